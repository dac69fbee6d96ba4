/**
 * The order ring's producer and the event ring's consumer in one thread, as the exchange's main thread is both. It sends each order at its intended
 * time whether or not those before it are answered, and counts from that time until it has seen the end of what came of the order.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { threadUs } from '../engine/core/clock.ts';
import { assert } from '../engine/core/errors.ts';
import { nameThread } from '../engine/core/thread-name.ts';
import { ORDER_RING_KIND, ORDER_SLOT_WORDS } from '../engine/market/order-ring.ts';
import { createRing } from '../engine/memory/ring.ts';
import { ORDER_EVENT_KIND } from '../schemas/order-layout.gen.ts';
import { EVENT_KIND } from '../schemas/order-records.ts';
import { hashSlot } from './order-hash.ts';

export interface OrderSenderStart {
  readonly orderRing: SharedArrayBuffer;
  readonly eventRing: SharedArrayBuffer;
  /** Slots of the order ring, one behind the other. */
  readonly records: SharedArrayBuffer;
  /** Orders that are sent as fast as they are taken, before the time begins. */
  readonly prefill: number;
  /** When each of the others is meant to be sent, in us since then. */
  readonly dueUs: Float64Array;
  /** Of its thread. */
  readonly name: string;
}

/** What the sender says first, when its thread has its name. */
export type OrderSenderStarted = 'started';

/** Arrays have one place for each order behind the prefill. */
export interface OrderSenderDone {
  /** From the intended time until the order was in the ring, and until it was answered. */
  readonly sentAfterUs: Float64Array<ArrayBuffer>;
  readonly answeredAfterUs: Float64Array<ArrayBuffer>;
  /** 1 where the order traded. */
  readonly hasTraded: Uint8Array<ArrayBuffer>;
  /** Until the last answer. */
  readonly elapsedUs: number;
  readonly events: number;
  readonly hash: number;
}

/** Orders published at once when several are due. */
const BATCH = 64;
/** Looks at the event ring between two at the clock, which costs as much as all of them. */
const LOOKS_PER_CLOCK = 64;
const KIND_WORD = ORDER_EVENT_KIND >> 2;

function sendAll({ orderRing, eventRing, records, prefill, dueUs }: OrderSenderStart): OrderSenderDone {
  const orders = createRing(orderRing, 0);
  const events = createRing(eventRing, 0);
  const source = new Int32Array(records);
  const count = dueUs.length;
  const sentAfterUs = new Float64Array(count);
  const answeredAfterUs = new Float64Array(count);
  const hasTraded = new Uint8Array(count);
  /** Orders, those of the prefill included; and slots that came of them. */
  let sent = 0;
  let answered = 0;
  let eventCount = 0;
  let hash = 0;
  let startUs = 0;
  let nowUs = 0;

  const send = (upTo: number): void => {
    const taken = Math.min(upTo - sent, orders.free());
    if (taken === 0) return;
    orders.publish(source, sent * ORDER_SLOT_WORDS, taken);
    for (let index = sent - prefill; index < sent - prefill + taken; index += 1) {
      if (index >= 0) sentAfterUs[index] = nowUs - dueUs[index]!;
    }
    sent += taken;
  };

  /** How many may be in the ring by now. */
  const dueBy = (): number => {
    let upTo = sent;
    const most = Math.min(prefill + count, sent + BATCH);
    while (upTo < most && dueUs[upTo - prefill]! <= nowUs) upTo += 1;
    return upTo;
  };

  const hear = (ready: number): void => {
    let at = events.tailIndex();
    for (let slot = 0; slot < ready; slot += 1, at += ORDER_SLOT_WORDS) {
      const kind = events.words[at + KIND_WORD]!;
      const index = answered - prefill;
      if (kind === ORDER_RING_KIND.done) {
        if (index >= 0) answeredAfterUs[index] = nowUs - dueUs[index]!;
        answered += 1;
      } else {
        hash = hashSlot(hash, events.words, at);
        eventCount += 1;
        if (index >= 0 && (kind & 0xff) === EVENT_KIND.trade) hasTraded[index] = 1;
      }
    }
    events.release(ready);
  };

  while (answered < prefill) {
    send(Math.min(prefill, sent + BATCH));
    hear(events.run());
  }
  startUs = threadUs();
  while (answered < prefill + count) {
    nowUs = threadUs() - startUs;
    send(dueBy());
    for (let look = 0; look < LOOKS_PER_CLOCK; look += 1) {
      const ready = events.run();
      if (ready === 0) continue;
      nowUs = threadUs() - startUs;
      hear(ready);
      break;
    }
  }
  return { sentAfterUs, answeredAfterUs, hasTraded, elapsedUs: nowUs, events: eventCount, hash };
}

const port = parentPort;
assert(port !== null, 'the sender runs in a worker thread');
// A cast: the bench starts this thread with exactly this.
const start = workerData as OrderSenderStart;
nameThread(start.name);
port.postMessage('started' satisfies OrderSenderStarted);
const done = sendAll(start);
port.postMessage(done, [done.sentAfterUs.buffer, done.answeredAfterUs.buffer, done.hasTraded.buffer]);
