/** One run of orders through both rings to the matcher's own thread and back, and what the plain book makes of the same orders. */
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { EngineError, messageOf } from '../engine/core/errors.ts';
import { createPrng } from '../engine/core/prng.ts';
import { type MatcherStart, setUpMatcher } from '../engine/kernel/matcher-core.ts';
import { createMatcherTwin } from '../engine/kernel/matcher-twin.ts';
import { OPEN_INSTRUMENT } from '../engine/market/order-command.ts';
import { ORDER_SLOT_BYTES, ORDER_SLOT_WORDS } from '../engine/market/order-ring.ts';
import { allocateRing } from '../engine/memory/ring.ts';
import { startWorker } from '../engine/runtime/workers.ts';
import { type MatcherFlow, recordsOf } from './matcher-flow.ts';
import { hashSlot } from './order-hash.ts';
import type { OrderSenderDone, OrderSenderStart, OrderSenderStarted } from './order-sender.ts';
import { MATCHER_THREAD, SENDER_THREAD } from './order-threads.ts';

export type Arrivals = 'Poisson' | 'evenly spaced';

export interface OrderRun {
  readonly flow: MatcherFlow;
  readonly records: SharedArrayBuffer;
  readonly dueUs: Float64Array;
  /** Slots of each ring. */
  readonly slots: number;
  /** Of the matcher's thread. */
  readonly looksBeforePark: number;
  /** MATCHER_FILE, or ECHO_FILE for a thread that says only that an order is done. */
  readonly file: string;
  /** Called when both threads run. */
  readonly onStarted: () => void;
}

export interface Heard {
  readonly events: number;
  readonly hash: number;
}

const SETUP = { instruments: [{ ...OPEN_INSTRUMENT, lastTicks: 0 }], owners: [], restores: [] };
/** MiB of the sender's young generation: reading the clock makes garbage, and what sweeps it up must not be measured. */
const SENDER_NURSERY_MIB = 512;

/** What a round may take beyond the time over which its orders are sent. */
const PATIENCE_MS = 60_000;

/** The flow's orders as slots of the order ring. */
export function sharedRecords(flow: MatcherFlow): SharedArrayBuffer {
  const records = recordsOf(flow, 1);
  const shared = new SharedArrayBuffer(records.length);
  new Uint8Array(shared).set(records);
  return shared;
}

/** Intended times of `count` orders at a rate, in us. Poisson: gaps are exponential, so that orders come in bursts and after pauses as they do by themselves. */
export function dueTimes(arrivals: Arrivals, { count, perSecond, seed }: { count: number; perSecond: number; seed: number }): Float64Array {
  const gapUs = 1e6 / perSecond;
  const prng = createPrng(seed);
  const dueUs = new Float64Array(count);
  let atUs = 0;
  for (let index = 0; index < count; index += 1) {
    dueUs[index] = atUs;
    atUs += arrivals === 'Poisson' ? prng.nextExponential() * gapUs : gapUs;
  }
  return dueUs;
}

function poolsFor({ shape }: MatcherFlow): MatcherStart['pools'] {
  return { symbols: 1, orders: Math.ceil(1.25 * shape.resting), pages: 256, owners: 2 };
}

/** What the plain book says to all orders of the flow. */
export function plainAnswer(flow: MatcherFlow, records: SharedArrayBuffer): Heard {
  const twin = createMatcherTwin(poolsFor(flow));
  setUpMatcher(twin, SETUP);
  const events = new Int32Array(twin.events.bytes.buffer);
  let [hash, count] = [0, 0];
  for (let index = 0; index < flow.commands; index += 1) {
    twin.commands.bytes.set(new Uint8Array(records, index * ORDER_SLOT_BYTES, ORDER_SLOT_BYTES));
    twin.run(1);
    for (let slot = 0; slot < twin.eventCount(); slot += 1) hash = hashSlot(hash, events, slot * ORDER_SLOT_WORDS);
    count += twin.eventCount();
  }
  return { hash, events: count };
}

/** Starts the matcher's thread and the sender's, and returns what the sender measured. @throws EngineError BENCH_ORDERS */
export async function runOrders({ flow, records, dueUs, slots, looksBeforePark, file, onStarted }: OrderRun): Promise<OrderSenderDone> {
  const orderRing = allocateRing(slots, ORDER_SLOT_BYTES);
  const eventRing = allocateRing(slots, ORDER_SLOT_BYTES);
  const matcher = await startMatcher(file, {
    orderRing,
    eventRing,
    heartbeat: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
    pools: poolsFor(flow),
    looksBeforePark,
    ...SETUP,
  });
  try {
    const start: OrderSenderStart = { orderRing, eventRing, records, prefill: flow.prefill, dueUs, name: SENDER_THREAD };
    return await runSender(start, onStarted, matcher.failed);
  } finally {
    await matcher.terminate();
  }
}

interface StartedMatcher {
  /** Rejects when the thread fails. */
  readonly failed: Promise<never>;
  terminate(): Promise<void>;
}

async function startMatcher(file: string, start: MatcherStart): Promise<StartedMatcher> {
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  // Somebody looks at it while the sender runs; a failure at another time is not one of this bench.
  failed.catch(() => undefined);
  let announce: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    announce = resolve;
  });
  const { terminate } = startWorker<unknown, never>({
    name: MATCHER_THREAD,
    file,
    data: start,
    onMessage: () => announce(),
    onFailure: (error) => fail(error),
  });
  await Promise.race([ready, failed]);
  return { failed, terminate };
}

async function lateBy(ms: number): Promise<never> {
  await sleep(ms, undefined, { ref: false });
  throw new EngineError('BENCH_ORDERS', `not all orders are answered after ${Math.round(ms)} ms`);
}

async function runSender(start: OrderSenderStart, onStarted: () => void, failed: Promise<never>): Promise<OrderSenderDone> {
  setFlagsFromString(`--min-semi-space-size=${SENDER_NURSERY_MIB}`);
  const worker = new Worker(new URL('./order-sender.js', import.meta.url), {
    workerData: start,
    resourceLimits: { maxYoungGenerationSizeMb: 3 * SENDER_NURSERY_MIB },
  });
  try {
    const done = new Promise<OrderSenderDone>((resolve, reject) => {
      worker.on('message', (message: OrderSenderStarted | OrderSenderDone) => {
        if (message === 'started') onStarted();
        else resolve(message);
      });
      worker.on('error', (cause) => reject(new EngineError('BENCH_ORDERS', `the sender failed: ${messageOf(cause)}`, { cause })));
    });
    return await Promise.race([done, failed, lateBy((start.dueUs.at(-1) ?? 0) / 1000 + PATIENCE_MS)]);
  } finally {
    setFlagsFromString('--min-semi-space-size=0');
    await worker.terminate();
  }
}
