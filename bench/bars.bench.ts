/** The bar kernel against branch-free C++, a typed-array twin and a Map of objects, of the same rules and fields, on one seeded stream. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { timeframeParents } from '../engine/memory/region.ts';
import { type BarRunner, createBarKernelRunner, OUT_CAPACITY, SLOT_COUNT } from './bar-kernel-runner.ts';
import { type BarStream, makeBarStream, ORIGIN_NS, TIMEFRAME_SECONDS } from './bar-stream.ts';
import { buildCpp } from './cpp.ts';
import { type BenchContext, median } from './harness.ts';
import { measureLeanLimit } from './lean-limit.ts';
import { createMapBars } from './twins/map-bars.ts';
import { BAR_FIELDS, type BarTwin, type BarTwinShape, checksumOf } from './twins/twin.ts';
import { createTypedBars } from './twins/typed-bars.ts';

export const name = 'bars';

/** Passes over the stream in a round; their median is the round's rate. */
const PASSES = 5;
/** As the kernel is polled, and as many stamps as its region holds. */
const RECORDS_PER_POLL = 4096;
const STAMP_CAPACITY = 512;

interface Outcome {
  readonly rate: number;
  readonly bars: number;
  readonly checksum: number;
}

export async function run(context: BenchContext): Promise<void> {
  for (const symbols of [500, 10_000]) await compareAt(context, symbols, context.isQuick ? 500_000 : 2_000_000);
}

async function compareAt(context: BenchContext, symbols: number, ticks: number): Promise<void> {
  const stream = makeBarStream(symbols, ticks);
  const runner = createBarKernelRunner(stream);
  const expected = outcomeOf(runner);
  const label = `${symbols.toLocaleString('en')} symbols`;
  const check = (who: string, { rate, bars, checksum }: Outcome): number => {
    if (bars === expected.bars && checksum === expected.checksum) return rate;
    const found = `${bars} bars, sum ${checksum}`;
    throw new EngineError('BENCH_CHECKSUM', `bars, ${label}, ${who}: ${found}; the kernel has ${expected.bars}, sum ${expected.checksum}`);
  };
  const compare = (against: string, atLeast: number, opponent: () => Outcome): Promise<void> =>
    context.compare({
      work: `bar kernel, ${label}`,
      against,
      atLeast,
      unit: 'ticks/s',
      run: { work: () => check('kernel', outcomeOf(runner)), against: () => check(against, opponent()) },
    });
  const typed = (): Outcome => runTwin(createTypedBars, stream);
  if (context.hasCompiler) {
    const opponent = prepareCpp(stream);
    await compare('branch-free C++', 0.75, opponent);
    // How far the twin is from the limit: no kernel of these rules can be more than about that much faster than it.
    await context.compare({
      work: `branch-free C++, ${label}`,
      against: 'typed-array JS',
      unit: 'ticks/s',
      run: { work: () => check('branch-free C++', opponent()), against: () => check('typed-array JS', typed()) },
    });
    const lean = measureLeanLimit(stream);
    context.report(`lean limit, ${label}`, { 'bars_bl.cpp, ticks/s': lean, 'bar kernel, ticks/s': Math.round(expected.rate) });
  } else {
    context.log('  skipped: the comparison with C++ needs g++');
  }
  await compare('typed-array JS', 4, typed);
  await compare('Map of objects', 15, () => runTwin(createMapBars, stream));
}

function outcomeOf(runner: BarRunner): Outcome {
  const rates = Array.from({ length: PASSES }, () => runner.run());
  return { rate: median(rates), bars: runner.bars, checksum: runner.checksum };
}

/** The stream goes to the C++ program as a file; its rate is the median of its own passes, after one to warm up. */
function prepareCpp(stream: BarStream): () => Outcome {
  const program = buildCpp('bars');
  const file = join(PROJECT_ROOT, '.data/bench', `bars-${stream.symbols}.bin`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, stream.bytes);
  const args = [file, String(stream.symbols), String(SLOT_COUNT), String(PASSES), ...TIMEFRAME_SECONDS.map(String)];
  return () => {
    const [rate, bars, checksum] = execFileSync(program, args, { encoding: 'utf8' }).split(' ').map(Number);
    return { rate: rate!, bars: bars!, checksum: checksum! };
  };
}

/** One pass: the twins are too slow for more, and vary less. They take the records in batches of a poll, and register symbols untimed. */
function runTwin(create: (shape: BarTwinShape) => BarTwin, stream: BarStream): Outcome {
  const out = new Float64Array(OUT_CAPACITY * BAR_FIELDS);
  const twin = create({
    symbols: stream.symbols,
    partitions: 1,
    slotCount: SLOT_COUNT,
    timeframeSeconds: TIMEFRAME_SECONDS,
    timeframeParents: timeframeParents(TIMEFRAME_SECONDS),
    originNs: ORIGIN_NS,
    out,
    stamps: new Uint32Array(2 * STAMP_CAPACITY),
  });
  const ticks = { words: new Int32Array(stream.bytes.buffer), doubles: new Float64Array(stream.bytes.buffer) };
  const runUntil = (from: number, end: number): void => {
    for (let at = from; at < end; ) at += twin.run(ticks, at, Math.min(at + RECORDS_PER_POLL, end));
  };
  runUntil(0, stream.symbolRecords);
  const fromUs = SYSTEM_CLOCK.monotonicUs();
  runUntil(stream.symbolRecords, stream.records);
  const rate = ((stream.records - stream.symbolRecords) * 1e6) / (SYSTEM_CLOCK.monotonicUs() - fromUs);
  return { rate, bars: twin.bars, checksum: checksumOf(out, twin.bars, Math.min(twin.bars, OUT_CAPACITY)) };
}
