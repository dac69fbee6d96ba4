/** Cells of a perf-test as tests need them: every figure is made up from a seed and stands for nothing that was measured. */
import type { CellPlan, CellResult, Latency, PerfTest, Verdict } from '../bench/perf-test/report-model.ts';
import { createHistogram, encodeHistogram, summarise } from '../engine/core/latency.ts';
import { createPrng, type Prng } from '../engine/core/prng.ts';

const STAGE_SEC = 20;

export const RIGHT: Verdict = {
  isRight: true,
  differences: [],
  barsCompared: 4_000,
  messagesCompared: 4_000,
  expectedHash: 'ab'.repeat(32),
  foundHash: 'ab'.repeat(32),
};

export const WRONG: Verdict = {
  ...RIGHT,
  isRight: false,
  differences: ['bars_1s SIM0007 12:00:31: trades 20 expected, 19 found <b>&</b>', 'conservation 1s: 400,000 ticks in, 399,999 in bars'],
  foundHash: 'cd'.repeat(32),
};

export function syntheticLatency(prng: Prng, meanUs: number): Latency {
  const histogram = createHistogram();
  for (let index = 0; index < 2_000; index += 1) histogram.recordValue(Math.round(meanUs * (0.4 + prng.nextExponential() ** 1.5)));
  return { ...summarise(histogram), hdr: encodeHistogram(histogram) };
}

/** What differs from a steady cell that came out right; its rate wanders by a few percent with the seed. */
export type CellChange = Partial<CellResult> & { readonly ratePerSec?: number; readonly seed?: number };

export function syntheticCell(plan: Partial<CellPlan>, change: CellChange = {}): CellResult {
  const { ratePerSec = 1_000, seed = 1, ...rest } = change;
  const whole: CellPlan = {
    runtime: 'tickwright',
    scenario: 'pipeline',
    mode: 'live',
    workers: 1,
    symbols: 50,
    repeat: 1,
    role: 'measure',
    id: '',
    ...plan,
  };
  const id = plan.id ?? idOf(whole);
  const prng = createPrng([...id].reduce((hash, letter) => Math.imul(hash, 31) + letter.charCodeAt(0), seed));
  const wander = 0.97 + 0.06 * prng.nextFloat();
  const achieved = Math.round(ratePerSec * STAGE_SEC * wander);
  return {
    ...whole,
    id,
    ...contractFields(achieved / STAGE_SEC),
    duration_sec: STAGE_SEC,
    queue: 65_536,
    flushMs: 100,
    offeredPerSec: whole.mode === 'live' ? ratePerSec : 0,
    offered: achieved,
    sent: achieved,
    achieved,
    isSaturated: false,
    verdict: RIGHT,
    latency: {
      sendLag: syntheticLatency(prng, 120 + whole.symbols / 10),
      tickToBar: syntheticLatency(prng, whole.runtime === 'naive' ? 900 : 300 / whole.workers),
      barToCommit: syntheticLatency(prng, 60_000 + whole.symbols * 10),
      barToConsumer: syntheticLatency(prng, 90_000 + whole.symbols * 15),
    },
    cpu: ['main', 'shard 0', 'postgres writer'].map((thread) => ({ process: 'engine', thread, cpuSec: 2 * wander })),
    cpuUsPerTick: { engine: 4 * wander, postgres: 6 * wander, kafka: 5 * wander, generator: 2, harness: 0.5 },
    gc: { count: 40, totalMs: 55, maxMs: 6.5 },
    eventLoopDelayMs: { p50: 1.1, p99: 3.2, max: 14 },
    flushes: { count: 200, meanMs: 11, meanBytes: 52_000, meanRows: 400 },
    servers: { 'postgres commits': 200, 'kafka produce request ms p99': 4.25 },
    othersShare: 0.03,
    series: syntheticSeries(prng, ratePerSec),
    notes: [],
    ...rest,
  };
}

function idOf(plan: CellPlan): string {
  const name = `${plan.runtime}_${plan.mode}_w${plan.workers}_s${plan.symbols}_r${plan.repeat}_${plan.role}`;
  return name.replace(/[^a-z0-9]+/g, '_');
}

function contractFields(ratePerSec: number) {
  return {
    source_ticks_per_sec: ratePerSec,
    source_latency_p95_sec: 0.000_21,
    source_dropped: 0,
    source_queue_peak: 512,
    builder_ticks_per_sec: ratePerSec,
    builder_bars_per_sec: ratePerSec / 20,
    builder_latency_p95_sec: 0.1234,
    agg_3m_bars_per_sec: null,
    agg_latency_p95_sec: null,
  };
}

function syntheticSeries(prng: Prng, ratePerSec: number): CellResult['series'] {
  const atSec = Array.from({ length: STAGE_SEC }, (_, second) => second + 1);
  return {
    atSec,
    residentMib: atSec.map((second) => 120 + 20 * (1 - Math.exp(-second / 5)) + prng.nextFloat()),
    heapMib: atSec.map(() => 30 + 8 * prng.nextFloat()),
    ringDepth: atSec.map((second) => (second === 4 ? null : Math.round(400 * prng.nextExponential()))),
    openEpochs: atSec.map(() => prng.nextBelow(3)),
    eventLoopDelayP99Ms: atSec.map(() => 3 * prng.nextFloat()),
    acceptedPerSec: atSec.map(() => ratePerSec * (0.95 + 0.1 * prng.nextFloat())),
  };
}

/** A whole run: two runtimes and a bare limit, one and two workers, two loads, five repeats, A/A pairs, one saturated group. */
export function syntheticPerfTest(seed = 1): Pick<PerfTest, 'settings' | 'cells' | 'missing' | 'servers'> {
  const cells: CellResult[] = [];
  for (const mode of ['live', 'catch-up'] as const)
    for (const symbols of [50, 500])
      for (const workers of [1, 2])
        for (let repeat = 1; repeat <= 5; repeat += 1) {
          const plan = { mode, symbols, workers, repeat };
          const ratePerSec = mode === 'live' ? symbols * 20 : 400_000 + workers * 90_000 - symbols * 60;
          cells.push(syntheticCell(plan, { seed, ratePerSec }));
          if (repeat === 1) cells.push(syntheticCell({ ...plan, role: 'aa' }, { seed, ratePerSec }));
          if (workers > 1) continue;
          const isSaturated = mode === 'live' && symbols === 500;
          cells.push(
            syntheticCell({ ...plan, runtime: 'naive' }, { seed, ratePerSec: mode === 'live' ? ratePerSec / 1.4 : 52_000, isSaturated }),
          );
          if (mode === 'catch-up')
            cells.push(
              syntheticCell(
                { ...plan, runtime: 'limit-consume' },
                {
                  seed,
                  ratePerSec: 900_000,
                  verdict: { ...RIGHT, barsCompared: 0, messagesCompared: 0, expectedHash: null, foundHash: null },
                },
              ),
            );
        }
  return { ...syntheticFrame(seed), cells };
}

/** What a run has besides its cells. */
export function syntheticFrame(seed = 1): Pick<PerfTest, 'settings' | 'missing' | 'servers'> {
  return {
    settings: {
      scenario: 'pipeline',
      workers: [1, 2],
      loads: [50, 500],
      repeats: 5,
      stageSec: STAGE_SEC,
      warmupSec: 5,
      sampleSec: 1,
      baseTps: 20,
      encoding: 'json',
      seed,
      peers: [],
    },
    missing: [],
    servers: { postgres: '15.0 (synthetic)', kafka: '3.9.0 (synthetic)' },
  };
}
