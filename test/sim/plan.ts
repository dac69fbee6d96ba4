/** What a seed decides before anything runs: the ticks, the engines, and what is going to go wrong. */
import { createPrng, type Prng } from '../../engine/core/prng.ts';
import type { FeedShape } from '../torture/feed.ts';

export interface ProcessPlan {
  readonly workers: number;
  readonly queue: number;
  readonly outQueue: number;
  readonly committedQueue: number;
  readonly flushMs: number;
}

export const MISHAPS = [
  'crash',
  'freeze',
  'leave',
  'join',
  'evict',
  'rebalance',
  'kill thread',
  'wedge thread',
  'database away',
  'database restart',
  'broker away',
  'broker impatient',
] as const;
export type Mishap = (typeof MISHAPS)[number];

export interface PlannedMishap {
  readonly kind: Mishap;
  readonly atMs: number;
  readonly forMs: number;
  /** Which process or thread, modulo those that there are. */
  readonly target: number;
  readonly knobs: ProcessPlan;
}

export interface SimPlan {
  readonly seed: number;
  readonly feed: FeedShape;
  readonly feedMs: number;
  readonly timeframes: string;
  readonly symbolsMax: number;
  readonly engines: readonly ProcessPlan[];
  /** One request in this many does not go well; 0: all do. */
  readonly databaseFaultsOneIn: number;
  readonly brokerFaultsOneIn: number;
  readonly mishaps: readonly PlannedMishap[];
}

const WEIGHTS: Readonly<Record<Mishap, number>> = {
  crash: 30,
  freeze: 14,
  leave: 8,
  join: 10,
  evict: 10,
  rebalance: 8,
  'kill thread': 8,
  'wedge thread': 2,
  'database away': 6,
  'database restart': 6,
  'broker away': 6,
  'broker impatient': 4,
};
/** A whole message has to fit into half of the smallest tick ring. */
const PACKED_MOST = 8;
const LONGEST_MS = 1500;
const BASE_NS = BigInt(Date.UTC(2026, 0, 5, 9)) * 1_000_000n;

export function planSimulation(seed: number): SimPlan {
  const prng = createPrng(seed);
  const pick = <T>(choices: readonly T[]): T => choices[prng.nextBelow(choices.length)]!;
  const feedMs = 150 + prng.nextBelow(500);
  const feed: FeedShape = {
    seed,
    partitions: 1 + prng.nextBelow(3),
    tradeSymbols: 3 + prng.nextBelow(5),
    quoteSymbols: prng.nextBelow(3),
    ticks: 200 + prng.nextBelow(300),
    baseNs: BASE_NS + BigInt(prng.nextBelow(900)) * 1_000_000_000n,
    spanSec: pick([10, 40, 120, 300]),
    latenessMs: pick([0, 100, 500, 2000, 5000]),
    amendSec: pick([20, 60, 3600]),
    poisonOneIn: pick([0, 30, 100]),
    packedMost: PACKED_MOST,
  };
  const engines = Array.from({ length: pick([1, 1, 2, 2, 3]) }, () => drawProcess(prng));
  const count = pick([0, 2, 3, 4, 6, 9]);
  const mishaps = Array.from({ length: count }, () => drawMishap(prng, feedMs)).sort((left, right) => left.atMs - right.atMs);
  return {
    seed,
    feed,
    feedMs,
    timeframes: pick(['1s,5s,15s,1m', '1s,1m,3m,5m,15m', '1s,2s,10s', '1s']),
    symbolsMax: 16,
    engines,
    databaseFaultsOneIn: pick([0, 10, 30, 100]),
    brokerFaultsOneIn: pick([0, 10, 30, 100]),
    mishaps,
  };
}

function drawProcess(prng: Prng): ProcessPlan {
  const pick = (choices: readonly number[]): number => choices[prng.nextBelow(choices.length)]!;
  return {
    workers: 1 + prng.nextBelow(3),
    queue: pick([16, 32, 128]),
    outQueue: pick([8, 16, 64]),
    committedQueue: pick([8, 32, 128]),
    flushMs: pick([2, 5, 10, 25]),
  };
}

function drawMishap(prng: Prng, feedMs: number): PlannedMishap {
  const total = MISHAPS.reduce((sum, kind) => sum + WEIGHTS[kind], 0);
  let at = prng.nextBelow(total);
  const kind = MISHAPS.find((name) => {
    at -= WEIGHTS[name];
    return at < 0;
  });
  return {
    kind: kind ?? 'crash',
    // Some come while the engines catch up.
    atMs: prng.nextFloat() * feedMs * 1.3,
    forMs: prng.nextFloat() ** 3 * LONGEST_MS,
    target: prng.nextBelow(12),
    knobs: drawProcess(prng),
  };
}
