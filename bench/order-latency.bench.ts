/**
 * From an order's intended time to the end of what came of it: order ring, the matcher's own thread, event ring. Orders come at 100,000 a second
 * whether or not those before them are answered, so that whoever is kept waiting counts in full.
 */
import { availableParallelism } from 'node:os';
import { loadConfig } from '../config/load.ts';
import { EngineError } from '../engine/core/errors.ts';
import type { BenchContext } from './harness.ts';
import { type FlowShape, makeMatcherFlow } from './matcher-flow.ts';
import { type OrderRound, orderFigures } from './order-figures.ts';
import { type Arrivals, dueTimes, type Heard, type OrderRun, plainAnswer, runOrders, sharedRecords } from './order-run.ts';
import { ECHO_FILE, MATCHER_FILE, MATCHER_THREAD, SENDER_THREAD } from './order-threads.ts';
import { holdThreads } from './processor.ts';

export const name = 'order-latency';

const SEED = 7;
const PER_SECOND = 100_000;
const P99_MAX_US = 50;
/** As other threads do. */
const FEW_LOOKS = 128;
/** One thread sends and receives, one matches. */
const PROCESSORS = 2;

interface Variant {
  readonly label: string;
  readonly arrivals: Arrivals;
  /** Instead of what the knob is unless set. */
  readonly looks?: number;
  /** In the matcher's thread; the matcher unless told. */
  readonly file?: string;
}

const VARIANTS: readonly Variant[] = [
  { label: 'Poisson arrivals', arrivals: 'Poisson' },
  // The same two threads with nothing between them: what this machine lets anybody have.
  { label: 'Poisson arrivals, without a matcher', arrivals: 'Poisson', file: ECHO_FILE },
  { label: 'evenly spaced', arrivals: 'evenly spaced' },
  { label: `Poisson arrivals, matcher looks for ${FEW_LOOKS} times only`, arrivals: 'Poisson', looks: FEW_LOOKS },
  { label: 'Poisson arrivals, matcher sleeps at once', arrivals: 'Poisson', looks: 0 },
];

export async function run(context: BenchContext): Promise<void> {
  if (availableParallelism() < PROCESSORS) {
    context.log(`  skipped: the sender and the matcher need ${PROCESSORS} processors, this machine has ${availableParallelism()}`);
    return;
  }
  const { rounds, warmUpSec, seconds } = context.isQuick
    ? { rounds: 2, warmUpSec: 1, seconds: 1 }
    : { rounds: 12, warmUpSec: 1, seconds: 2 };
  const { config } = loadConfig({ environment: {} });
  const shape: FlowShape = { name: 'XC-1', operations: PER_SECOND * (warmUpSec + seconds), resting: 1000, span: 1200 };
  const flow = makeMatcherFlow(shape, SEED);
  const records = sharedRecords(flow);
  const plain = plainAnswer(flow, records);
  const found = new Map<Variant, OrderRound[]>(VARIANTS.map((variant) => [variant, []]));
  for (let round = 0; round < rounds; round += 1) {
    // Each round turns the order around, so that what the machine does meanwhile falls on all.
    for (const variant of round % 2 === 0 ? VARIANTS : VARIANTS.toReversed()) {
      const { label, arrivals, looks = config.MATCHER_LOOKS, file = MATCHER_FILE } = variant;
      const count = flow.commands - flow.prefill;
      const dueUs = dueTimes(arrivals, { count, perSecond: PER_SECOND, seed: SEED + round });
      const measured = await measure(
        { flow, records, dueUs, slots: config.ORDER_QUEUE, looksBeforePark: looks, file },
        warmUpSec * PER_SECOND,
      );
      checkAnswer(label, measured, file === ECHO_FILE ? NOTHING_HEARD : plain);
      found.get(variant)?.push(measured);
    }
  }
  for (const [{ label, looks = config.MATCHER_LOOKS }, measured] of found) {
    context.report(`order to fill through both rings, ${label}`, { 'looks before sleeping': looks, ...orderFigures(measured, P99_MAX_US) });
  }
}

type Measured = OrderRound & Heard;

const NOTHING_HEARD: Heard = { events: 0, hash: 0 };

/** @throws EngineError BENCH_CHECKSUM when what came of the orders is not what had to come of them */
function checkAnswer(label: string, { events, hash }: Heard, expected: Heard): void {
  if (events === expected.events && hash === expected.hash) return;
  const text = `${events} events with hash ${hash}, expected ${expected.events} with ${expected.hash}`;
  throw new EngineError('BENCH_CHECKSUM', `order-latency, ${label}: ${text}`);
}

/** @param warmUp orders that are left out */
async function measure(order: Omit<OrderRun, 'onStarted'>, warmUp: number): Promise<Measured> {
  let hasOwnCores = false;
  const { sentAfterUs, answeredAfterUs, hasTraded, ...done } = await runOrders({
    ...order,
    onStarted: () => {
      hasOwnCores = holdThreads([MATCHER_THREAD, SENDER_THREAD]);
    },
  });
  return {
    ...done,
    sentAfterUs: sentAfterUs.subarray(warmUp),
    answeredAfterUs: answeredAfterUs.subarray(warmUp),
    hasTraded: hasTraded.subarray(warmUp),
    count: order.dueUs.length,
    offeredUs: order.dueUs.at(-1) ?? 0,
    hasOwnCores,
  };
}
