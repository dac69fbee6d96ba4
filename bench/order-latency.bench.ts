/**
 * From an order's intended time to the end of what came of it: order ring, the matcher's own thread, event ring. Orders come at 100,000 a second
 * whether or not those before them are answered, so that whoever is kept waiting counts in full.
 */
import { availableParallelism, cpus } from 'node:os';
import { loadConfig } from '../config/load.ts';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import type { BenchContext } from './harness.ts';
import { type FlowShape, makeMatcherFlow } from './matcher-flow.ts';
import { type OrderRound, orderFigures } from './order-figures.ts';
import { type Arrivals, dueTimes, type OrderRun, plainAnswer, runOrders, sharedRecords } from './order-run.ts';

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
}

const VARIANTS: readonly Variant[] = [
  { label: 'Poisson arrivals', arrivals: 'Poisson' },
  { label: 'evenly spaced', arrivals: 'evenly spaced' },
  { label: `Poisson arrivals, matcher looks for ${FEW_LOOKS} times only`, arrivals: 'Poisson', looks: FEW_LOOKS },
  { label: 'Poisson arrivals, matcher sleeps at once', arrivals: 'Poisson', looks: 0 },
];

export async function run(context: BenchContext): Promise<void> {
  const processors = availableParallelism();
  if (processors < PROCESSORS) {
    context.log(`  skipped: the sender and the matcher need ${PROCESSORS} processors, this machine has ${processors}`);
    return;
  }
  const { rounds, warmUpSec, seconds } = context.isQuick
    ? { rounds: 2, warmUpSec: 1, seconds: 1 }
    : { rounds: 5, warmUpSec: 1, seconds: 3 };
  const { config } = loadConfig({ environment: {} });
  const shape: FlowShape = { name: 'XC-1', operations: PER_SECOND * (warmUpSec + seconds), resting: 1000, span: 1200 };
  const flow = makeMatcherFlow(shape, SEED);
  const records = sharedRecords(flow);
  const expected = plainAnswer(flow, records);
  const found = new Map<Variant, OrderRound[]>(VARIANTS.map((variant) => [variant, []]));
  for (let round = 0; round < rounds; round += 1) {
    // Each round turns the order around, so that what the machine does meanwhile falls on all.
    for (const variant of round % 2 === 0 ? VARIANTS : VARIANTS.toReversed()) {
      const { arrivals, looks = config.MATCHER_LOOKS } = variant;
      const count = flow.commands - flow.prefill;
      const dueUs = dueTimes(arrivals, { count, perSecond: PER_SECOND, seed: SEED + round });
      const measured = await measure({ flow, records, dueUs, slots: config.ORDER_QUEUE, looksBeforePark: looks }, warmUpSec * PER_SECOND);
      const { events, hash } = measured;
      if (events !== expected.events || hash !== expected.hash) {
        const text = `${events} events with hash ${hash}, the plain book has ${expected.events} with ${expected.hash}`;
        throw new EngineError('BENCH_CHECKSUM', `order-latency, ${variant.label}: ${text}`);
      }
      found.get(variant)?.push(measured);
    }
  }
  for (const [{ label, looks = config.MATCHER_LOOKS }, measured] of found) {
    const limits = { p99Us: P99_MAX_US, processors, needed: PROCESSORS };
    context.report(`order to fill through both rings, ${label}`, { 'looks before sleeping': looks, ...orderFigures(measured, limits) });
  }
}

type Measured = OrderRound & { readonly events: number; readonly hash: number };

/** @param warmUp orders that are left out */
async function measure(order: OrderRun, warmUp: number): Promise<Measured> {
  const before = useNow();
  const { sentAfterUs, answeredAfterUs, hasTraded, ...done } = await runOrders(order);
  const after = useNow();
  const others = (after.busyMs - before.busyMs - (after.ownMs - before.ownMs)) / (after.wallMs - before.wallMs);
  return {
    ...done,
    sentAfterUs: sentAfterUs.subarray(warmUp),
    answeredAfterUs: answeredAfterUs.subarray(warmUp),
    hasTraded: hasTraded.subarray(warmUp),
    count: order.dueUs.length,
    offeredUs: order.dueUs.at(-1) ?? 0,
    others: Math.max(0, others),
  };
}

/** Processor time of all processors together, and of this process. */
function useNow(): { readonly wallMs: number; readonly busyMs: number; readonly ownMs: number } {
  const busyMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  const own = process.cpuUsage();
  return { wallMs: SYSTEM_CLOCK.wallMs(), busyMs, ownMs: (own.user + own.system) / 1000 };
}
