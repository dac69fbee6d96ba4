/** The long rounds by name: what each breaks, for how long, and under what load. Pure. */
import { EngineError } from '../../engine/core/errors.ts';
import { createPrng } from '../../engine/core/prng.ts';
import type { FeedShape } from './feed.ts';
import type { EngineKnobs, RoundPlan } from './plan.ts';

export const SCENARIO_NAMES = [
  'postgres-60s',
  'kafka-60s',
  'both-60s',
  'slow-500ms',
  'disk-full',
  'backlog-5m',
  'stop-under-load',
] as const;

export type ScenarioName = (typeof SCENARIO_NAMES)[number];

export interface Scenario {
  readonly name: ScenarioName;
  readonly doc: string;
  /** How long the fault lasts unless told otherwise; of a backlog, how much event time lies in the topic. */
  readonly seconds: number;
  /** Feed before the fault, in s. */
  readonly leadSec: number;
  readonly ticksPerSec: number;
  readonly shape: Pick<FeedShape, 'tradeSymbols' | 'quoteSymbols' | 'packedOneIn' | 'packedMost' | 'lateShare'>;
  /** Parts of health that are red while it lasts, and those that need not stay green. */
  readonly reds: readonly string[];
  readonly mayBeRed: readonly string[];
}

const OUTAGE = {
  seconds: 60,
  leadSec: 5,
  ticksPerSec: 5000,
  shape: { tradeSymbols: 200, quoteSymbols: 20, packedOneIn: 4, packedMost: 40, lateShare: 0.3 },
  reds: [],
  // A session that ends meanwhile begins again when it can.
  mayBeRed: ['engine'],
} as const;

const BACKLOG_SHAPE = { tradeSymbols: 400, quoteSymbols: 40, packedOneIn: 3, packedMost: 100, lateShare: 0.1 };

export const SCENARIOS: readonly Scenario[] = [
  { ...OUTAGE, name: 'postgres-60s', doc: 'Postgres is stopped', reds: ['postgres'] },
  { ...OUTAGE, name: 'kafka-60s', doc: 'the broker is killed', reds: ['kafka', 'source'] },
  {
    ...OUTAGE,
    name: 'both-60s',
    doc: 'Postgres is stopped and the broker killed',
    reds: ['postgres', 'source'],
    mayBeRed: ['engine', 'kafka'],
  },
  { ...OUTAGE, name: 'slow-500ms', doc: 'each statement takes 500 ms longer', leadSec: 0, mayBeRed: ['engine', 'postgres'] },
  { ...OUTAGE, name: 'disk-full', doc: 'the disk of the database is full', seconds: 20, reds: ['postgres'] },
  {
    ...OUTAGE,
    name: 'backlog-5m',
    doc: 'the engine stands still while minutes of ticks come',
    seconds: 300,
    shape: BACKLOG_SHAPE,
  },
  {
    ...OUTAGE,
    name: 'stop-under-load',
    doc: 'engines are told to stop while they read a backlog at full speed',
    leadSec: 0,
    ticksPerSec: 8000,
    // Nearly every tick makes a bar of its own: the database is what holds everything up, and the rings fill.
    shape: { tradeSymbols: 4000, quoteSymbols: 400, packedOneIn: 2, packedMost: 100, lateShare: 0.1 },
  },
];

/** @throws EngineError USAGE */
export function scenariosOf(name: string): readonly Scenario[] {
  if (name === 'all') return SCENARIOS;
  const found = SCENARIOS.filter((scenario) => scenario.name === name);
  if (found.length > 0) return found;
  throw new EngineError('USAGE', `--scenario '${name}': expected all, or one of ${SCENARIO_NAMES.join(', ')}`);
}

const PARTITIONS = 6;
const LATENESS_MS = 500;
const AMEND_SEC = 60;
const POISON_ONE_IN = 400;

const SCENARIO_KNOBS: readonly EngineKnobs[] = [{ workers: 2, queue: 65_536, flushMs: 250 }];
/** Of engines that are stopped one after the other. The third is cut short in any case; the last reads the rest. */
const STOPPED_KNOBS: readonly EngineKnobs[] = [
  { workers: 2, queue: 65_536, flushMs: 250, stopMs: 3500 },
  { workers: 3, queue: 4096, flushMs: 100, stopMs: 3500 },
  { workers: 1, queue: 16_384, flushMs: 1000, stopMs: 150 },
  { workers: 2, queue: 16_384, flushMs: 250 },
];

/** The stream goes by event time as fast as by the wall clock, from the feed's begin until the fault is over. */
export function planScenario({ name, leadSec, ticksPerSec, shape }: Scenario, seed: number, seconds: number): RoundPlan {
  const prng = createPrng(seed);
  const spanSec = leadSec + seconds;
  const feed: FeedShape = {
    ...shape,
    seed,
    partitions: PARTITIONS,
    ticks: spanSec * ticksPerSec,
    baseNs: BigInt(prng.nextBelow(900)) * 1_000_000_000n,
    spanSec,
    latenessMs: LATENESS_MS,
    amendSec: AMEND_SEC,
    poisonOneIn: POISON_ONE_IN,
  };
  const engines = name === 'stop-under-load' ? STOPPED_KNOBS : SCENARIO_KNOBS;
  return { seed, feed, feedMs: spanSec * 1000, barPartitions: 3, engines, faults: [], exchange: undefined };
}
