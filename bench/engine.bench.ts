/**
 * The whole engine: simulator to bars in Postgres and Kafka, 500 symbols. Looks for the highest rate that is held without a drop
 * and without a lag that grows, confirms it over a minute, says what bounds it, and watches memory at half that rate.
 */
import { EngineError } from '../engine/core/errors.ts';
import { describeBound, memoryFiguresOf, percent, utilisationOf } from './engine-figures.ts';
import { createEngineBench, type EngineBench, type EngineRun } from './engine-run.ts';
import { type BenchContext, formatRate } from './harness.ts';

export const name = 'engine';

const SYMBOLS = 500;
const FIRST_RATE = 100_000;
const RATE_MAX = 25_600_000;
/** The search ends when the bracket is this narrow. */
const BRACKET = 1.12;
/** A confirmation that fails is repeated this much lower, so many times. */
const STEP_DOWN = 0.88;
const CONFIRMATIONS = 5;
/**
 * Ticks carry the time at which they were meant to be sent. A source that falls behind by 1 % is 0.6 s late after a minute; this
 * limit on p99 refuses that, and lets a pause of the machine pass.
 */
const TICK_TO_BAR_P99_MS = 500;
const FLAT_GROWTH = 0.05;

export async function run(context: BenchContext): Promise<void> {
  const seconds = context.isQuick ? { probe: 5, hold: 10, memory: 60 } : { probe: 10, hold: 60, memory: 600 };
  const engine = createEngineBench();
  try {
    const upper = await searchRate(context, engine, seconds.probe);
    const rate = await confirm({ context, engine, seconds: seconds.hold }, upper);
    await watchMemory({ context, engine, seconds: seconds.memory }, rate / 2);
  } finally {
    engine.close();
  }
}

/** Doubles until a short run fails, then halves the bracket; returns the highest rate that passed. */
async function searchRate(context: BenchContext, engine: EngineBench, durationSec: number): Promise<number> {
  let passed = 0;
  let failed = 0;
  let rate = FIRST_RATE;
  while (rate <= RATE_MAX && (failed === 0 || failed / Math.max(passed, 1) > BRACKET)) {
    const done = await engine.run({ symbols: SYMBOLS, ticksPerSecond: rate, durationSec });
    const why = whyNotHeld(done, rate * durationSec);
    context.log(`  ${formatRate(rate)} ticks/s for ${durationSec} s: ${why ?? 'held'}`);
    if (why === undefined) passed = rate;
    else failed = rate;
    if (failed > 0 && failed < 1000)
      throw new EngineError('BENCH_ENGINE', `the engine does not hold even ${failed} ticks/s: ${why}\n${done.output}`);
    if (failed === 0) rate *= 2;
    else rate = Math.round(passed === 0 ? failed / 4 : Math.sqrt(passed * failed));
  }
  return passed;
}

interface Stage {
  readonly context: BenchContext;
  readonly engine: EngineBench;
  readonly seconds: number;
}

/** Holds a rate for the whole time, stepping down when it is not held, and reports what was held. */
async function confirm({ context, engine, seconds }: Stage, upper: number): Promise<number> {
  let rate = upper;
  for (let attempt = 0; attempt < CONFIRMATIONS; attempt += 1, rate = Math.round(rate * STEP_DOWN)) {
    const done = await engine.run({ symbols: SYMBOLS, ticksPerSecond: rate, durationSec: seconds });
    const why = whyNotHeld(done, rate * seconds);
    context.log(`  ${formatRate(rate)} ticks/s for ${seconds} s: ${why ?? 'held'}`);
    if (why !== undefined || !done.summary) continue;
    const use = utilisationOf(done.samples, done.processId);
    const latency = Object.entries(done.summary.latency).filter(([, { count }]) => count > 0);
    context.report('engine, simulator to Postgres and Kafka', {
      'ticks/s': rate,
      seconds,
      symbols: SYMBOLS,
      ticks: done.summary.accepted,
      dropped: done.summary.offered - done.summary.accepted,
      conserved: String(done.summary.isConserved),
      'bars published': done.summary.published,
      servers: describeServers(),
      'bound by': describeBound(use),
      ...Object.fromEntries((use?.threads ?? []).slice(0, 4).map((thread) => [`cpu of ${thread.name}`, percent(thread.share)])),
      ...(use ? { 'cpu of the machine': percent(use.machineShare) } : {}),
      ...Object.fromEntries(latency.map(([stage, { p50Us, p99Us }]) => [`${stage} p50 / p99 ms`, `${ms(p50Us)} / ${ms(p99Us)}`])),
    });
    return rate;
  }
  throw new EngineError('BENCH_ENGINE', `no rate from ${formatRate(upper)} down to ${formatRate(rate)} ticks/s was held for ${seconds} s`);
}

async function watchMemory({ context, engine, seconds }: Stage, rate: number): Promise<void> {
  const done = await engine.run({ symbols: SYMBOLS, ticksPerSecond: rate, durationSec: seconds });
  const why = whyNotHeld(done, rate * seconds);
  if (why !== undefined) context.log(`  memory run at ${formatRate(rate)} ticks/s: ${why}`);
  const memory = memoryFiguresOf(done.samples);
  if (!memory) {
    context.log('  skipped: the memory curve needs /proc and a run of 20 s');
    return;
  }
  const isFlat = Math.abs(memory.growth) <= FLAT_GROWTH;
  context.report('engine, resident memory at half load', {
    'ticks/s': rate,
    seconds,
    held: why ?? 'yes',
    'warm-up s': memory.warmUpSec.toFixed(0),
    'median MiB': memory.medianMib.toFixed(0),
    'max MiB': memory.maxMib.toFixed(0),
    'growth, peak of second half over first': `${(memory.growth * 100).toFixed(1)} %`,
    'slope MiB/min': memory.slopeMibPerMinute.toFixed(2),
    flat: isFlat ? 'yes' : `NO: more than ${FLAT_GROWTH * 100} %`,
    'curve MiB': memory.curveMib.join(' '),
  });
}

/** Why a run does not count; undefined when every tick was sent in time, none was dropped and everything is conserved. */
function whyNotHeld(done: EngineRun, ticksMeant: number): string | undefined {
  const { summary } = done;
  if (!summary) return `the engine ended with code ${done.code} and no summary: ${done.output.trim().split('\n').slice(-3).join(' | ')}`;
  const dropped = summary.offered - summary.accepted;
  if (dropped > 0) return `${dropped} ticks dropped`;
  if (summary.offered < ticksMeant * 0.99) return `${summary.offered} ticks offered of ${ticksMeant}`;
  const lag = summary.latency['tickToBar'];
  if (!lag || lag.count === 0) return 'no latency from tick to bar in the summary';
  if (lag.p99Us > TICK_TO_BAR_P99_MS * 1000) return `lag: tick to bar p99 ${ms(lag.p99Us)} ms, at most ${TICK_TO_BAR_P99_MS}`;
  if (!summary.isConserved) return 'not conserved';
  return done.code === 0 ? undefined : `exit code ${done.code}`;
}

function ms(micros: number): string {
  return (micros / 1000).toFixed(micros < 10_000 ? 2 : 0);
}

function describeServers(): string {
  const isSet = (...names: string[]): boolean => names.some((variable) => (process.env[variable] ?? '') !== '');
  const postgres = isSet('POSTGRES_URL', 'POSTGRES_HOST') ? 'named Postgres' : 'embedded Postgres';
  const kafka = process.env['KAFKA'] === 'off' ? 'Kafka off' : isSet('KAFKA_BROKER') ? 'named Kafka' : 'embedded Kafka mock';
  return `${postgres}, ${kafka}`;
}
