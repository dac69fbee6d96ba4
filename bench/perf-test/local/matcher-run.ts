/**
 * Matchers on threads of their own, as the exchange starts one: main puts orders into each order ring as soon as there is room and adds up what comes out
 * of the event rings. Closed at full speed, so that latencies are those of full rings.
 */
import { loadConfig } from '../../../config/load.ts';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../../engine/core/clock.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { createMatcherLink, type MatcherLink } from '../../../engine/execution/exchange/matcher-link.ts';
import type { MatcherStart } from '../../../engine/kernel/matcher-core.ts';
import { OPEN_INSTRUMENT } from '../../../engine/market/order-command.ts';
import { ORDER_SLOT_BYTES, ORDER_SLOT_WORDS, openSlotRing, type SlotRing } from '../../../engine/market/order-ring.ts';
import { allocateRing } from '../../../engine/memory/ring.ts';
import { startWorker, type WorkerHandle } from '../../../engine/runtime/workers.ts';
import { createWorkerLatencies, type WorkerLatencies } from './latencies.ts';
import type { LocalPlan, LocalResult } from './local-plan.ts';
import { drawOrders, type OrderBacklog, type RestingTotals, restingOf } from './order-backlog.ts';
import { createOrderSums, judgeOrders, type OrderSums, restingTotalsOf } from './order-sums.ts';
import { type StageWatch, watchStage } from './stage-watch.ts';
import { createThreadTable, type ThreadTable } from './threads.ts';

/** Orders put into a ring at once. */
const BATCH = 256;
/** Of 512 ticks: the flow's prices lie within six of them. */
const PAGES_PER_BOOK = 8;
/** A book may hold so many times the orders that are to rest in it. */
const ORDER_SLACK = 1.25;
/** Beside the slack, of a matcher with few books. */
const ORDERS_MORE = 1024;

interface Desk {
  readonly name: string;
  readonly backlog: OrderBacklog;
  readonly orderRing: SlotRing;
  readonly eventRing: SlotRing;
  readonly link: MatcherLink;
  readonly worker: WorkerHandle<never>;
  readonly sums: OrderSums;
  /** Batches that are not answered in full: how many commands there are up to the end of each, and when it was sent. */
  readonly batches: { readonly end: number; readonly sentUs: number }[];
  sent: number;
  answered: number;
}

/** @throws EngineError PERF_MATCHER when a matcher's thread fails */
export async function measureMatcher(plan: LocalPlan): Promise<LocalResult> {
  const { symbols, workers, seed, sampleSec } = plan;
  if (workers > symbols) throw new EngineError('PERF_MATCHER', `WORKERS ${workers}: more than the ${symbols} symbols there are to share`);
  const backlogs = drawOrders({ symbols, orders: plan.backlog, workers, seed });
  const threads = createThreadTable();
  const latencies = createWorkerLatencies();
  let failure: Error | undefined;
  const onFailure = (error: Error): void => {
    failure ??= error;
  };
  const whatFailed = (): Error | undefined => failure;
  const desks: Desk[] = [];
  const watch = watchStage({
    threads,
    sampleSec,
    counts: () => ({ done: desks.reduce((sum, { answered }) => sum + answered, 0), bars: null }),
    depth: () => Math.max(...desks.map(({ orderRing }) => orderRing.depth())),
  });
  try {
    for (const [index, backlog] of backlogs.entries()) {
      desks.push(await openDesk({ name: `matcher-${index}`, backlog, queue: plan.queue, threads, onFailure, failure: whatFailed }));
    }
    const run = (ends: readonly number[]): Promise<void> => pump(desks, { ends, latencies, failure: whatFailed });
    await run(backlogs.map(({ prefill }) => prefill));
    await measureStage(watch, latencies, () => run(backlogs.map(({ commands }) => commands)));
    const outcomes = [];
    for (const desk of desks) outcomes.push({ ...desk, resting: await restingIn(desk) });
    return {
      ...watch.figures(),
      ...latencies.read(),
      dropped: 0,
      verdict: judgeOrders(outcomes),
      notes: [
        'closed at full speed: latencies are those of full rings; the stage lasts until every order is answered',
        `before the stage ${restingOf(symbols)} orders were put into each of ${symbols} books; what counts as an order is a new one, a cancel or a move`,
      ],
    };
  } finally {
    watch.close();
    await Promise.all(desks.map(({ worker }) => worker.terminate()));
  }
}

async function measureStage(watch: StageWatch, latencies: WorkerLatencies, work: () => Promise<void>): Promise<void> {
  latencies.reset();
  watch.begin();
  await work();
  watch.end();
}

interface DeskParts {
  readonly name: string;
  readonly backlog: OrderBacklog;
  readonly queue: number;
  readonly threads: ThreadTable;
  onFailure(error: Error): void;
  failure(): Error | undefined;
}

async function openDesk({ name, backlog, queue, threads, onFailure, failure }: DeskParts): Promise<Desk> {
  const [orders, events] = [allocateRing(queue, ORDER_SLOT_BYTES), allocateRing(queue, ORDER_SLOT_BYTES)];
  const books = backlog.expected.length;
  const start: MatcherStart = {
    orderRing: orders,
    eventRing: events,
    heartbeat: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
    looksBeforePark: loadConfig({ environment: {} }).config.MATCHER_LOOKS,
    pools: { symbols: books, orders: ORDERS_MORE + Math.ceil(ORDER_SLACK * backlog.prefill), pages: PAGES_PER_BOOK * books, owners: 1 },
    instruments: backlog.expected.map(() => OPEN_INSTRUMENT),
    owners: [],
    restores: [],
  };
  const worker = await new Promise<WorkerHandle<never>>((resolve, reject) => {
    const started = threads.named(name, () =>
      startWorker<{ readonly type: string }, never>({
        name,
        file: 'matcher',
        data: start,
        onMessage: ({ type }) => {
          if (type === 'ready') resolve(started);
        },
        onFailure(error) {
          onFailure(error);
          reject(error);
        },
      }),
    );
  });
  const [orderRing, eventRing] = [openSlotRing(orders), openSlotRing(events)];
  const link = createMatcherLink({ orderRing, eventRing, pause: SYSTEM_PAUSE, failure });
  return { name, backlog, orderRing, eventRing, link, worker, sums: createOrderSums(books), batches: [], sent: 0, answered: 0 };
}

interface PumpOptions {
  /** Commands to be answered by each matcher. */
  readonly ends: readonly number[];
  readonly latencies: WorkerLatencies;
  failure(): Error | undefined;
}

async function pump(desks: readonly Desk[], { ends, latencies, failure }: PumpOptions): Promise<void> {
  while (desks.some(({ answered }, index) => answered < ends[index]!)) {
    const failed = failure();
    if (failed !== undefined) throw failed;
    for (const [index, desk] of desks.entries()) {
      send(desk, ends[index]!);
      hear(desk, latencies);
    }
    // A turn of the event loop: timers of the samples, and what the threads have to say.
    await SYSTEM_PAUSE(0);
  }
}

/** Whole batches only: a ring that is kept full to the last slot would be woken and stamped for each order. */
function send(desk: Desk, end: number): void {
  const { orderRing, backlog } = desk;
  while (desk.sent < end) {
    const count = Math.min(BATCH, end - desk.sent);
    if (orderRing.free() < count) return;
    orderRing.publish(backlog.words, desk.sent * ORDER_SLOT_WORDS, count);
    desk.sent += count;
    desk.batches.push({ end: desk.sent, sentUs: SYSTEM_CLOCK.monotonicUs() });
  }
}

function hear(desk: Desk, latencies: WorkerLatencies): void {
  const { eventRing, sums, batches } = desk;
  const ready = eventRing.run();
  if (ready === 0) return;
  const first = eventRing.tailIndex();
  let answered = desk.answered;
  for (let slot = 0; slot < ready; slot += 1) {
    if (sums.take(eventRing.words, first + slot * ORDER_SLOT_WORDS)) answered += 1;
  }
  eventRing.release(ready);
  desk.answered = answered;
  const nowUs = SYSTEM_CLOCK.monotonicUs();
  let done = 0;
  for (let batch = batches[done]; batch !== undefined && batch.end <= answered; batch = batches[done]) {
    latencies.record('orderToEvents', nowUs - batch.sentUs, desk.name);
    done += 1;
  }
  if (done > 0) batches.splice(0, done);
}

/** What rests in each book, as the matcher lists it. */
async function restingIn({ link, backlog }: Desk): Promise<RestingTotals[]> {
  const listed = await link.list(backlog.expected.map((_, symbol) => symbol));
  return listed.map(({ orders }) => restingTotalsOf(orders));
}
