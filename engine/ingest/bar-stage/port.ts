/**
 * The way in of a stage that reads bars. It stands where ticks have ingest, rings and shards: bars are decoded, combined here on main, and what
 * comes of them goes into an out ring, from where the Postgres writer takes it as it takes a shard's.
 *
 *   messages ─▶ decode, refuse ─▶ combiner ─▶ outbox ─▶ [out ring] ─▶ postgres writer
 *
 * Main thread only. There are never more bars than ticks that they are made of, and each is an object of its own here.
 */
import * as L from '../../../schemas/layout.gen.ts';
import { BARRIER_FLAG, OUT_KIND, REFUSAL } from '../../../schemas/records.ts';
import type { Clock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import type { InstrumentBook } from '../../market/instrument-book.ts';
import type { SymbolDictionary } from '../../market/instruments.ts';
import { type BarRecord, writeBar } from '../../market/ring-record.ts';
import { outRingOf } from '../../memory/region.ts';
import type { Ingest } from '../port.ts';
import { createOutbox } from '../port-outbox.ts';
import type { InstrumentSpec, MessageBatch } from '../source.ts';
import { createCombiner, type OpenBucket, type TakenResult } from './combiner.ts';
import { createStageCounters } from './counters.ts';
import { decodeJsonBar, type InputBar, type InputKind, limitsOf } from './json-bar.ts';
import type { KeptBar } from './kept-bars.ts';
import { createStageWatermarks } from './watermarks.ts';

export interface BarStageOptions {
  /** A formatted region, of which the out ring and the counters are used. */
  readonly region: WebAssembly.Memory;
  readonly symbols: SymbolDictionary;
  readonly book: InstrumentBook;
  readonly clock: Clock;
  readonly input: Pick<InputKind, 'seconds' | 'timeframe'>;
  /** Seconds of the bars that are built. */
  readonly seconds: readonly number[];
  readonly latenessMs: number;
  readonly amendSec: number;
  readonly futureMs: number;
  readonly isStrict: boolean;
}

/** What is stored of one symbol. */
export interface StoredInputs extends InstrumentSpec {
  readonly inputs: Iterable<readonly [tsSec: number, bar: KeptBar]>;
  readonly open: Iterable<OpenBucket>;
}

export interface BarStage extends Ingest {
  restoreInputs(stored: StoredInputs): void;
}

const BATCH_MAX = 1024;
const BAR_WORDS = L.BAR_SIZE >> 2;
/** Decimals of symbols that nothing is known of, as for ticks in JSON. */
const PRICE_DECIMALS = 2;
const LOT_DECIMALS = 0;

export function createBarStage(options: BarStageOptions): BarStage {
  const { region, symbols, book, clock, seconds, input } = options;
  const kind: InputKind = { ...input, ...limitsOf(Math.ceil(Math.max(...seconds) / input.seconds)) };
  const counters = createStageCounters(region);
  // What a batch puts out unasked: every open bucket of every symbol may close at once.
  const waitingMax = symbols.capacity * (seconds.length * 4 + 2) + BATCH_MAX * (seconds.length * 4 + 2);
  const outbox = createOutbox(outRingOf(region), waitingMax, BAR_WORDS);
  const record = new Int32Array(BAR_WORDS);
  const view = new DataView(record.buffer);
  const emit = (bar: BarRecord): void => {
    counters.noteOut(bar);
    writeBar(view, 0, bar);
    outbox.put(record, 0, 1);
  };
  const combiner = createCombiner({ inputSeconds: input.seconds, seconds, amendSec: options.amendSec }, emit);
  const watermarks = createStageWatermarks(options.latenessMs, combiner);
  const indices = new Map<string, number>();
  const partitions: number[] = [];

  const add = (spec: InstrumentSpec): number => {
    const { symbol: name, partition, priceDecimals, lotDecimals } = spec;
    const index = partitions.length;
    if (index >= symbols.capacity) return -REFUSAL.capacity;
    symbols.write(index, { name, partition, shard: 0, localIndex: index, priceDecimals, lotDecimals, isQuote: false });
    combiner.addSymbol({ symbolIndex: index, partition, priceScale: 10 ** priceDecimals });
    indices.set(name, index);
    partitions.push(partition);
    return index;
  };

  const register = (spec: InstrumentSpec): number => {
    const known = indices.get(spec.symbol);
    if (known !== undefined) return known;
    const entry = book.find(spec.symbol);
    if (!entry && options.isStrict) return -REFUSAL.unknownSymbol;
    if (entry?.kind === 'quote') return -REFUSAL.wrongKind;
    return add({ ...spec, priceDecimals: entry?.priceDecimals ?? spec.priceDecimals, lotDecimals: entry?.lotDecimals ?? spec.lotDecimals });
  };

  /** Takes a bar, or says by refusal code why not. */
  const take = (bar: InputBar, partition: number): TakenResult | number => {
    const spec = { symbol: bar.symbol, kind: 'trade', priceDecimals: PRICE_DECIMALS, lotDecimals: LOT_DECIMALS, partition } as const;
    const index = register(spec);
    if (index < 0) return -index;
    if (partitions[index] !== partition) return REFUSAL.wrongPartition;
    if ((bar.tsSec + input.seconds) * 1000 > clock.wallMs() + options.futureMs) return REFUSAL.eventTimeInFuture;
    const taken = combiner.take(index, bar);
    if (taken.outcome === 'tooLate') return REFUSAL.tooLate;
    watermarks.note(partition, bar.tsSec + input.seconds, clock.wallMs());
    return taken;
  };

  const room = (): number => Math.max(0, Math.min(BATCH_MAX, Math.floor(outbox.room() / (1 + 2 * seconds.length))));

  const commitMessages = ({ count, values, partition, encoding, onRejected }: MessageBatch): number => {
    watermarks.notePartition(partition);
    let index = 0;
    for (; index < count && room() > 0; index += 1) {
      const { bar, refusal } = encoding === 'json' ? decodeJsonBar(values[index]!, kind) : MALFORMED;
      const taken = bar === undefined ? refusal : take(bar, partition);
      if (typeof taken !== 'number') counters.noteTaken(partition, taken);
      else {
        counters.noteRefused(taken, 1);
        onRejected(index, -1, taken);
      }
    }
    return index;
  };

  return {
    ...STAGING,
    room,
    register(spec) {
      watermarks.notePartition(spec.partition);
      return register(spec);
    },
    decimalsOf(symbolIndex) {
      const entry = symbols.read(symbolIndex);
      assert(entry !== undefined, `symbol index ${symbolIndex} of ${partitions.length} registered symbols`);
      return entry;
    },
    commit() {
      throw new Error('invariant broken: a stage that reads bars takes messages only');
    },
    refuse: counters.noteRefused,
    commitMessages,
    publishBarrier(epoch, flags) {
      if (outbox.room() < 1) return false;
      if ((flags & BARRIER_FLAG.withOpenState) !== 0) combiner.listTouched();
      counters.setOpen(combiner.openCounts());
      record.fill(0);
      view.setInt32(L.BAR_KIND, OUT_KIND.barrier, true);
      view.setBigInt64(L.BAR_TS_START_NS, BigInt(epoch), true);
      view.setInt32(L.BAR_FLAGS, flags, true);
      outbox.put(record, 0, 1);
      return true;
    },
    // The stored decimals may be those of another stage's ticks: they stay as they were.
    restoreSymbol: (spec) => indices.get(spec.symbol) ?? add(spec),
    restoreInputs(stored) {
      watermarks.notePartition(stored.partition);
      const index = indices.get(stored.symbol) ?? add(stored);
      assert(index >= 0, `stored symbol ${stored.symbol}: SYMBOLS_MAX ${symbols.capacity} is less than it was`);
      combiner.restore(index, stored.inputs, stored.open);
    },
    advanceIdle: (partition, nowMs, idleMs) => outbox.room() > 0 && watermarks.advanceIdle(partition, nowMs, idleMs),
    closeAll() {
      watermarks.closeAll();
      return true;
    },
    watermarks: watermarks.list,
    restorePartition: watermarks.restore,
    counts: counters.counts,
    takeAccepted: counters.takeAccepted,
    forgetCounts: counters.forget,
  };
}

const MALFORMED = { bar: undefined, refusal: REFUSAL.malformed } as const;

const words = new ArrayBuffer(L.TICK_SIZE);
/** Nothing is staged here: records come as messages. */
const STAGING = {
  i32: new Int32Array(words),
  f64: new Float64Array(words),
  u8: new Uint8Array(words),
  stagingI32Index: 0,
  stagingCapacity: 0,
};
