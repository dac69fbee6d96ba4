/**
 * What a perf-test run leaves behind: one JSON file, from which the page, the tables and every comparison are made. Names of the contract's report
 * stand as they do there, in snake case; a value that was not measured is null, never a stand-in.
 */
import { z } from 'zod';
import type { Config } from '../../config/knobs.ts';

/** Of an HDR histogram, in microseconds; `hdr` is the histogram itself, compressed and in base 64, as HdrHistogram tools read it. */
export const LATENCY = z.strictObject({
  count: z.int().min(0),
  p50Us: z.number(),
  p90Us: z.number(),
  p99Us: z.number(),
  p999Us: z.number(),
  maxUs: z.number(),
  hdr: z.string(),
});
export type Latency = z.infer<typeof LATENCY>;

/** How ticks stand in their topic. */
export const ENCODING = z.enum(['json', 'packed']);
export type Encoding = z.infer<typeof ENCODING>;

/** As the knob has it. */
export const KAFKA_LANE = z.enum(['auto', 'direct', 'librdkafka'] satisfies Config['KAFKA_LANE'][]);

/** What is measured in one cell. */
export const CELL_PLAN = z.strictObject({
  /** Unique in the run, and part of the names of its topics and its schema. */
  id: z.string().regex(/^[a-z0-9_]+$/),
  /** What is measured: `tickwright`, `naive`, the name of a peer, or of a bare limit such as `limit-consume`. */
  runtime: z.string(),
  scenario: z.string(),
  /** `live`: at the pace of its event times; `catch-up`: a backlog with times past, as fast as it goes. */
  mode: z.enum(['live', 'catch-up']),
  /** Absent where ticks come through no topic. */
  encoding: ENCODING.optional(),
  workers: z.int().min(1),
  symbols: z.int().min(1),
  repeat: z.int().min(1),
  /** `aa`: the same as the cell that it names, once more: what differs between the two is noise. */
  role: z.enum(['measure', 'aa']),
});
export type CellPlan = z.infer<typeof CELL_PLAN>;

/** Right, wrong, or not to be judged. */
export const VERDICT = z.strictObject({
  isRight: z.boolean(),
  /** What is wrong, a line each; the first ones of many. */
  differences: z.array(z.string()),
  barsCompared: z.int().min(0),
  messagesCompared: z.int().min(0),
  /** SHA-256 over all bars in order, as expected and as found in Postgres; null where there are none to compare. */
  expectedHash: z.string().nullable(),
  foundHash: z.string().nullable(),
});
export type Verdict = z.infer<typeof VERDICT>;

export const THREAD_CPU = z.strictObject({
  /** `engine`, `postgres`, `kafka`, `generator`, `harness`. */
  process: z.string(),
  thread: z.string(),
  cpuSec: z.number(),
});

/** Samples over time; every list is as long as `atSec`. A value that could not be read is null. */
export const SERIES = z.strictObject({
  /** Since the measured stage began. */
  atSec: z.array(z.number()),
  residentMib: z.array(z.number().nullable()),
  heapMib: z.array(z.number().nullable()),
  /** Deepest tick ring. */
  ringDepth: z.array(z.number().nullable()),
  openEpochs: z.array(z.number().nullable()),
  eventLoopDelayP99Ms: z.array(z.number().nullable()),
  acceptedPerSec: z.array(z.number().nullable()),
});

export const CELL_RESULT = z.strictObject({
  ...CELL_PLAN.shape,
  /** Of the measured stage, warm-up left out. */
  duration_sec: z.number(),
  source_ticks_per_sec: z.number().nullable(),
  source_latency_p95_sec: z.number().nullable(),
  source_dropped: z.number().nullable(),
  source_queue_peak: z.number().nullable(),
  builder_ticks_per_sec: z.number().nullable(),
  builder_bars_per_sec: z.number().nullable(),
  builder_latency_p95_sec: z.number().nullable(),
  agg_3m_bars_per_sec: z.number().nullable(),
  agg_latency_p95_sec: z.number().nullable(),
  queue: z.int(),
  flushMs: z.int(),
  /** Ticks a second that were to be sent by schedule; 0 in catch-up, where all are there at once. */
  offeredPerSec: z.number(),
  /** Ticks of the measured stage: by schedule, sent, and merged into bars before the stage ended. */
  offered: z.int(),
  sent: z.int(),
  achieved: z.int(),
  /** Less than 99.9 % of the offered load was achieved: its latencies are not compared. */
  isSaturated: z.boolean(),
  verdict: VERDICT,
  /**
   * By stage: `sendLag` (intended to sent), `tickToBar`, `flush`, `barToCommit`, `barToAck`, `barToConsumer` (bar end to a read-committed consumer),
   * `mainPause` (of each second the time for which main stood still); without servers `epochToFold` (barriers put to all bars of the epoch taken),
   * `orderToEvents` (batch sent to everything said of it).
   */
  latency: z.record(z.string(), LATENCY),
  /** The same by stage and worker, of stages that workers measure each for itself; absent where none does. */
  workerLatency: z.record(z.string(), z.record(z.string(), LATENCY)).optional(),
  cpu: z.array(THREAD_CPU),
  /** Processor microseconds by process, over ticks that came out right; null when the cell is void. */
  cpuUsPerTick: z.record(z.string(), z.number()).nullable(),
  gc: z.strictObject({ count: z.int(), totalMs: z.number(), maxMs: z.number() }).nullable(),
  eventLoopDelayMs: z.strictObject({ p50: z.number(), p99: z.number(), max: z.number() }).nullable(),
  flushes: z.strictObject({ count: z.int(), meanMs: z.number(), meanBytes: z.number(), meanRows: z.number() }).nullable(),
  /** Server-side times and counts over the stage, by name with its unit. */
  servers: z.record(z.string(), z.number()),
  /** Share of all processors that went to processes that are not of this run. */
  othersShare: z.number().nullable(),
  series: SERIES,
  /** What a reader of the numbers should know. */
  notes: z.array(z.string()),
});
export type CellResult = z.infer<typeof CELL_RESULT>;

/** How far two medians of the same thing lie apart by chance: from cells that were run twice. */
export const NOISE = z.strictObject({
  /** `throughput`, `cpuUsPerTick`, `<stage> p50`, `<stage> p99`. */
  measure: z.string(),
  /** Pairs that it is taken from. */
  pairs: z.int(),
  /** Largest and median relative difference of a pair: |a - b| / mean. */
  maxDifference: z.number(),
  medianDifference: z.number(),
});
export type Noise = z.infer<typeof NOISE>;

export const SETTINGS = z.strictObject({
  scenario: z.string(),
  workers: z.array(z.int()),
  loads: z.array(z.int()),
  repeats: z.int(),
  stageSec: z.number(),
  warmupSec: z.number(),
  sampleSec: z.number(),
  baseTps: z.number(),
  encoding: z.enum([...ENCODING.options, 'both']),
  seed: z.int(),
  peers: z.array(z.string()),
  /** Ticks or orders that are there before a stage begins; absent where all are paced, and in runs of before there was such a setting. */
  backlogTicks: z.int().optional(),
  /** KAFKA_LANE of the engine; absent where there is no Kafka, and in runs of before it was recorded. */
  kafkaLane: KAFKA_LANE.optional(),
});
export type Settings = z.infer<typeof SETTINGS>;

/** The part of a manifest that only a perf-test has. */
export const PERF_TEST = z.strictObject({
  settings: SETTINGS,
  /** In the order in which they ran. */
  cells: z.array(CELL_RESULT),
  noise: z.array(NOISE),
  /** Cells planned that did not run, with the reason. */
  missing: z.array(z.strictObject({ id: z.string(), reason: z.string() })),
  servers: z.record(z.string(), z.string()),
});
export type PerfTest = z.infer<typeof PERF_TEST>;
