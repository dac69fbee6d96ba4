/** What a round does, drawn from its seed: the stream, the engines with their knobs, and what goes wrong when. Pure. */
import { createPrng, type Prng } from '../../engine/core/prng.ts';
import type { FeedShape } from './feed.ts';

export const FAULTS = [
  'kill',
  'freeze',
  'join',
  'leave',
  'pg-fast',
  'pg-immediate',
  'pg-kill',
  'pg-terminate',
  'pg-slow',
  'pg-cut',
  'pg-silent',
  'kafka-kill',
  'kafka-freeze',
] as const;

/** Those of a cluster besides: the others befall all of its brokers. */
export const CLUSTER_FAULTS = ['broker-kill', 'broker-freeze', 'leader-move'] as const;

export type FaultKind = (typeof FAULTS)[number] | (typeof CLUSTER_FAULTS)[number];

/** Kinds that there are with so many brokers. Those of one broker come first, and by themselves they are drawn as ever. */
export function faultsOf(brokers: number): readonly FaultKind[] {
  return brokers === 1 ? FAULTS : [...FAULTS, ...CLUSTER_FAULTS];
}

/** Knobs in which engines of one round may differ. */
export interface EngineKnobs {
  readonly workers: number;
  readonly queue: number;
  readonly flushMs: number;
  /** Unless given, long enough for any drain. */
  readonly stopMs?: number;
}

export interface Fault {
  readonly kind: FaultKind;
  /** Since the feed began. */
  readonly atMs: number;
  /** How long it lasts, or how long until what was stopped is started again. */
  readonly forMs: number;
  /** Which engine or broker it befalls, modulo those that run. */
  readonly engine: number;
  /** Of the engine that comes after it. */
  readonly knobs: EngineKnobs;
  /** Delay of a statement by a slow database. */
  readonly delayMs: number;
}

export interface RoundPlan {
  readonly seed: number;
  /** `baseNs` is counted from a quarter of an hour that the driver chooses. */
  readonly feed: FeedShape;
  /** Wall time over which the messages are sent. */
  readonly feedMs: number;
  readonly barPartitions: number;
  readonly engines: readonly EngineKnobs[];
  readonly faults: readonly Fault[];
  /** What is sent to the exchange; none: no engine has one. */
  readonly exchange: ExchangePlan | undefined;
}

export interface ExchangePlan {
  readonly seed: number;
  readonly journal: 'file' | 'kafka';
  /** Requests over the time of the feed, sent in groups; and how many of a group go without a reply at once. */
  readonly requests: number;
  readonly window: number;
}

/** Which rounds have an exchange: one in four as the seed has it, all or none. */
export const EXCHANGE_SHARES = ['some', 'all', 'none'] as const;
export type ExchangeShare = (typeof EXCHANGE_SHARES)[number];

export interface PlanOptions {
  readonly seed: number;
  /** Kinds to draw from; none: a round without faults. */
  readonly kinds: readonly FaultKind[];
  /** Most engines at the start; fewer may be drawn. */
  readonly enginesMax: number;
  readonly exchange: ExchangeShare;
}

/** Of 100 draws with one broker, of 140 with several. A broker that is killed takes seconds to come back, so a Kafka that is gone is the rarest. */
const WEIGHTS: Readonly<Record<FaultKind, number>> = {
  kill: 30,
  freeze: 10,
  join: 12,
  leave: 10,
  'pg-fast': 5,
  'pg-immediate': 4,
  'pg-kill': 4,
  'pg-terminate': 7,
  'pg-slow': 5,
  'pg-cut': 4,
  'pg-silent': 3,
  'kafka-kill': 2,
  'kafka-freeze': 4,
  'broker-kill': 16,
  'broker-freeze': 10,
  'leader-move': 14,
};

/** Shortest and longest duration by kind, in ms. */
const DURATIONS_MS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [0, 1000],
  freeze: [200, 15_000],
  join: [0, 0],
  leave: [0, 1000],
  'pg-fast': [200, 5000],
  'pg-immediate': [200, 5000],
  'pg-kill': [200, 5000],
  'pg-terminate': [0, 0],
  'pg-slow': [500, 4000],
  'pg-cut': [100, 3000],
  'pg-silent': [200, 3000],
  'kafka-kill': [0, 1000],
  'kafka-freeze': [1000, 8000],
  // Shorter and longer than the cluster takes to give its partitions to others.
  'broker-kill': [0, 10_000],
  'broker-freeze': [500, 12_000],
  'leader-move': [0, 3000],
};

const ROUND_SEED_STEP = 7919;
/** The exchange is drawn apart from all else, so that a round's ticks and faults are the same with it and without. */
const EXCHANGE_SEED = 0x5eed0;
const EXCHANGE_ONE_IN = 4;
/** So that the faults of engines befall the one with the exchange often. */
const EXCHANGE_ENGINES_MAX = 2;

/** Seed of a round; the first is that of the run, so that one round can be repeated by itself. */
export function roundSeed(runSeed: number, round: number): number {
  return (runSeed + round * ROUND_SEED_STEP) % 2 ** 31;
}

export function planRound({ seed, kinds, enginesMax, exchange: share }: PlanOptions): RoundPlan {
  const prng = createPrng(seed);
  const feedMs = 2500 + prng.nextBelow(2000);
  const feed = planFeed(prng, seed);
  const barPartitions = 1 + prng.nextBelow(3);
  const engines = Array.from({ length: 1 + prng.nextBelow(enginesMax) }, () => drawKnobs(prng));
  const wanted = kinds.length === 0 ? 0 : 1 + prng.nextBelow(4);
  const faults: Fault[] = [];
  // Exponential gaps, as of things that happen by themselves; the mean leaves room for all of them.
  let atMs = 200;
  for (let index = 0; index < wanted; index += 1) {
    atMs += prng.nextExponential() * (feedMs / (wanted + 0.5));
    if (atMs > feedMs && faults.length > 0) break;
    faults.push(drawFault(prng, kinds, Math.min(atMs, feedMs)));
  }
  const exchange = planExchange(seed, share);
  const few = exchange === undefined ? engines : engines.slice(0, EXCHANGE_ENGINES_MAX);
  return { seed, feed, feedMs, barPartitions, engines: few, faults, exchange };
}

function planExchange(seed: number, share: ExchangeShare): ExchangePlan | undefined {
  const prng = createPrng(seed ^ EXCHANGE_SEED);
  const isDrawn = prng.nextBelow(EXCHANGE_ONE_IN) === 0;
  if (share === 'none' || (share === 'some' && !isDrawn)) return undefined;
  return {
    seed: prng.nextBelow(2 ** 31),
    journal: prng.nextBelow(3) === 0 ? 'file' : 'kafka',
    requests: 1000 + prng.nextBelow(3000),
    window: pick(prng, [5, 20, 100, 250]),
  };
}

function planFeed(prng: Prng, seed: number): FeedShape {
  return {
    seed,
    partitions: 4 + prng.nextBelow(3),
    tradeSymbols: 20 + prng.nextBelow(150),
    quoteSymbols: prng.nextBelow(30),
    ticks: 3000 + prng.nextBelow(4000),
    baseNs: BigInt(prng.nextBelow(900)) * 1_000_000_000n,
    spanSec: 120 + prng.nextBelow(300),
    latenessMs: pick(prng, [0, 100, 500, 2000, 5000]),
    amendSec: pick(prng, [20, 60, 3600]),
    poisonOneIn: pick(prng, [40, 100, 400]),
  };
}

function drawKnobs(prng: Prng): EngineKnobs {
  return {
    workers: 1 + prng.nextBelow(4),
    queue: pick(prng, [1024, 4096, 65_536]),
    flushMs: pick(prng, [20, 50, 100, 250, 500]),
  };
}

function drawFault(prng: Prng, kinds: readonly FaultKind[], atMs: number): Fault {
  const total = kinds.reduce((sum, kind) => sum + WEIGHTS[kind], 0);
  let at = prng.nextBelow(total);
  const kind = kinds.find((name) => {
    at -= WEIGHTS[name];
    return at < 0;
  });
  const drawn = kind ?? 'kill';
  const [least, most] = DURATIONS_MS[drawn];
  // Squared, so that most are short: a round should not wait for long ones.
  const share = prng.nextFloat() ** 2;
  return {
    kind: drawn,
    atMs: Math.round(atMs),
    forMs: Math.round(least + share * (most - least)),
    engine: prng.nextBelow(6),
    knobs: drawKnobs(prng),
    delayMs: 50 + prng.nextBelow(451),
  };
}

function pick(prng: Prng, choices: readonly number[]): number {
  return choices[prng.nextBelow(choices.length)]!;
}
