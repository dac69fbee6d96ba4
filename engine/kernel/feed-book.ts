/** Follows DBN bytes in a book region, decoding and applying in one kernel. The readable twin of the book is engine/market/feed-book.ts. */
import * as L from '../../schemas/order-layout.gen.ts';
import { EngineError } from '../core/errors.ts';
import { OPEN_INSTRUMENT } from '../market/order-command.ts';
import { createDbnInstruments, DBN_INSTRUMENT_BYTES, type DbnInstrument } from './dbn-instruments.ts';
import { createByteStage } from './dbn-stage.ts';
import { createPrivateMemory, loadKernel } from './host.ts';
import { type Matcher, matcherBytes, openMatcher } from './matcher.ts';

/** Room for bytes unless told: small enough to stay in a core's cache. */
const INPUT_BYTES = 1 << 18;
const INSTRUMENTS_MAX = 4096;
/** From the end of the book region on: the counters, the instruments, the input. */
const COUNTER_BYTES = 1024;
const INSTRUMENT_BYTES = INSTRUMENTS_MAX * DBN_INSTRUMENT_BYTES;

/** What did not become part of the book, in the order of the kernel's counters. */
const COUNTER_NAMES = [
  'offTick',
  'priceOutOfRange',
  'quantityOutOfRange',
  'malformed',
  'ignored',
  'unknownOrder',
  'duplicateId',
  'tooMuchTaken',
  'sideChanged',
  'noRoom',
] as const;
export type FeedBookCounter = (typeof COUNTER_NAMES)[number];

interface FeedBookExports extends Record<string, (...args: never[]) => number> {
  orderLayoutHash(): number;
  open(): number;
  place(instruments: number, count: number, counters: number): number;
  follow(source: number, bytes: number): number;
  consumedBytes(): number;
  stopReason(): number;
  liveOrders(): number;
}

export interface FeedBookShape {
  readonly symbols: number;
  readonly orders: number;
  readonly pages: number;
  /** Bytes of `input`; 256 KiB unless told. */
  readonly inputBytes?: number;
}

export interface DbnFeedBook {
  /**
   * Applies records; what is not a whole record is kept for the next call.
   * @throws EngineError FEED_FILE at a record that cannot be or of an instrument that was not added
   */
  take(bytes: Uint8Array): void;
  /** Memory that the kernel reads. A reader may put records here and have them followed where they lie; `take` copies to it. */
  readonly input: Uint8Array;
  /**
   * Applies the records among bytes `from` to `to` of `input`; returns where the first that is not whole begins.
   * @throws EngineError FEED_FILE at a record that cannot be or of an instrument that was not added, and beyond the end of `input`
   */
  follow(from: number, to: number): number;
  /** Makes an instrument known. Order ids must not occur in two instruments of one book at a time. @throws EngineError FEED_FILE beyond its symbols */
  add(instrument: DbnInstrument): void;
  /** Messages applied. */
  readonly messages: number;
  /** Orders that rest. */
  readonly orders: number;
  readonly counters: Readonly<Record<FeedBookCounter, number>>;
  /** Lists the levels and orders. */
  readonly matcher: Pick<Matcher, 'levels' | 'list' | 'clear'>;
}

/** @throws EngineError MATCHER_OPTIONS, KERNEL_MISSING, KERNEL_LAYOUT */
export function createDbnFeedBook(shape: FeedBookShape): DbnFeedBook {
  const { inputBytes = INPUT_BYTES, ...capacities } = shape;
  const options = { ...capacities, owners: 1, commandCapacity: 1 };
  const countersAt = matcherBytes(options);
  const instrumentsAt = countersAt + COUNTER_BYTES;
  const inputAt = instrumentsAt + INSTRUMENT_BYTES;
  const memory = createPrivateMemory(inputAt + inputBytes);
  const matcher = openMatcher(memory, options);
  for (let symbol = 0; symbol < shape.symbols; symbol += 1) matcher.configure(symbol, OPEN_INSTRUMENT);
  const kernel = loadKernel<FeedBookExports>('feed-book', memory);
  if (kernel.orderLayoutHash() !== L.ORDER_LAYOUT_HASH) {
    throw new EngineError('KERNEL_LAYOUT', 'kernel feed-book: built for another order layout; run npm run build-kernels');
  }
  const stage = createByteStage(memory.buffer, inputAt, inputBytes);
  const instruments = createDbnInstruments(memory.buffer, instrumentsAt, INSTRUMENTS_MAX);
  const counters = new Int32Array(memory.buffer, countersAt, COUNTER_NAMES.length);
  let messages = 0;
  kernel.open();
  kernel.place(instrumentsAt, 0, countersAt);
  const follow = (from: number, to: number): number => {
    if (from < 0 || from > to || to > inputBytes) {
      throw new EngineError('FEED_FILE', `DBN: bytes ${from} to ${to} of the input cannot be followed; it has ${inputBytes}`);
    }
    messages += kernel.follow(inputAt + from, to - from);
    const end = from + (kernel.consumedBytes() >>> 0);
    const stop = kernel.stopReason();
    if (stop !== 0) {
      const id = new DataView(memory.buffer, inputAt + end).getUint32(4, true);
      throw new EngineError('FEED_FILE', stop === 2 ? `DBN: instrument ${id} is not known` : 'DBN: a record that cannot be');
    }
    return end;
  };
  return {
    matcher,
    input: stage.bytes,
    follow,
    take(bytes) {
      for (let from = 0; from < bytes.length; ) {
        from += stage.put(from === 0 ? bytes : bytes.subarray(from));
        stage.consume(follow(stage.start, stage.end) - stage.start);
      }
    },
    add(instrument) {
      if (!Number.isInteger(instrument.symbolIndex) || instrument.symbolIndex < 0 || instrument.symbolIndex >= shape.symbols) {
        const text = `DBN: instrument ${instrument.id} has symbol index ${instrument.symbolIndex}: expected 0 to ${shape.symbols - 1}`;
        throw new EngineError('FEED_FILE', text);
      }
      instruments.add(instrument);
      kernel.place(instrumentsAt, instruments.count, countersAt);
    },
    get messages() {
      return messages;
    },
    get orders() {
      return kernel.liveOrders();
    },
    get counters() {
      const named = COUNTER_NAMES.map((name, index) => [name, counters[index]!] as const);
      return Object.fromEntries(named) as Record<FeedBookCounter, number>; // A cast: fromEntries forgets the names.
    },
  };
}
