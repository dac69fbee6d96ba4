/**
 * The same bars in plain JavaScript over typed arrays, made as one would make it for speed: a bucket is one record of a Float64Array, the
 * second in hand is looked up once, and a record costs no object, closure or BigInt. See twin.ts for what it does and does not do.
 */
import { readInt64 } from '../../engine/core/int64.ts';
import * as L from '../../schemas/layout.gen.ts';
import * as T from './twin.ts';
import * as B from './typed-buckets.ts';

// Constants of this module, since V8 folds these, and loads and checks an imported one at every use.
const { TICK_KIND_TRADE, TICK_INGEST_US_I32, TICK_SYMBOL_INDEX_I32, TICK_PRICE_F64 } = L;
const { BAR_FIELDS, START, FIRST, LAST, OPEN, CLOSE, HIGH, LOW, LOTS, TRADES, LATE, PRICE_SCALE, SYMBOL, TIMEFRAME } = T;
const { KIND, FLAGS, MISSED, REVISION, INSTRUMENT_KIND, SECOND_NS, TWO_32 } = T;
const { STRIDE } = B;
const TS_LOW = L.TICK_TS_EVENT_NS >> 2;
const TS_HIGH = TS_LOW + 1;

interface State {
  readonly shape: T.BarTwinShape;
  readonly sizesNs: readonly number[];
  /** By timeframe: those that are built from it. */
  readonly childrenOf: readonly (readonly number[])[];
  /** [slot][symbol], then [timeframe - 1][symbol], then one for the tick in hand. */
  readonly buckets: Float64Array;
  readonly scratch: number;
  readonly sweepables: readonly T.Sweepable[];
  /** By partition: closed up to here; -Infinity before the first. */
  readonly watermarksNs: Float64Array;
  /** By partition, in order of registration. */
  readonly symbolsOf: readonly number[][];
  readonly partitionOf: Int32Array;
  readonly priceScales: Float64Array;
  readonly symbolIndices: Int32Array;
  readonly counts: T.BarCounts;
  symbolCount: number;
  words: Int32Array;
  doubles: Float64Array;
  bars: number;
  stampCount: number;
  /** The second in hand, open for every symbol, and its first bucket; NaN when there is none. */
  secondNs: number;
  secondAt: number;
  /** Seconds that are open for every partition that has symbols lie in [openFromNs, openToNs). */
  openFromNs: number;
  openToNs: number;
}

export function createTypedBars(shape: T.BarTwinShape): T.BarTwin {
  const state = createState(shape);
  return {
    get bars() {
      return state.bars;
    },
    get stampCount() {
      return state.stampCount;
    },
    counts: state.counts,
    run(ticks, from, to) {
      state.words = ticks.words;
      state.doubles = ticks.doubles;
      return take(state, from, to);
    },
  };
}

function createState(shape: T.BarTwinShape): State {
  const { symbols, slotCount, partitions, timeframeSeconds, timeframeParents } = shape;
  const sizesNs = timeframeSeconds.map((seconds) => seconds * SECOND_NS);
  const scratch = (slotCount + sizesNs.length - 1) * symbols * STRIDE;
  const ofPartitions = Array.from({ length: partitions }, (_, partition) => partition);
  const state: State = {
    shape,
    sizesNs,
    childrenOf: sizesNs.map((_, parent) => timeframeParents.flatMap((its, child) => (its === parent ? [child] : []))),
    buckets: new Float64Array(scratch + STRIDE),
    scratch,
    sweepables: ofPartitions.map((partition) => ({
      sizesNs,
      slotCount,
      close: (timeframe, endNs) => close(state, partition, timeframe, endNs),
      earliestOpenNs: () => earliestOpenNs(state, partition),
    })),
    watermarksNs: new Float64Array(partitions).fill(-Infinity),
    symbolsOf: ofPartitions.map(() => []),
    partitionOf: new Int32Array(symbols),
    priceScales: new Float64Array(symbols),
    symbolIndices: new Int32Array(symbols),
    counts: T.createCounts(sizesNs.length),
    symbolCount: 0,
    words: new Int32Array(),
    doubles: new Float64Array(),
    bars: 0,
    stampCount: 0,
    secondNs: NaN,
    secondAt: 0,
    openFromNs: Infinity,
    openToNs: -Infinity,
  };
  return state;
}

/** The loop over the records. A trade of the second in hand is merged here; all else is looked at below. */
function take(state: State, from: number, to: number): number {
  const { words, doubles, buckets } = state;
  const { originNs, stamps } = state.shape;
  const originHigh = Math.floor(originNs / TWO_32);
  const originLow = originNs - originHigh * TWO_32;
  let { secondNs, secondAt } = state;
  let stampUs = 0;
  let stampAt = 0;
  let stampFrom = 0;
  let merged = 0;
  let opened = 0;
  let record = from;
  for (; record < to; record += 1) {
    const word = record << 4;
    if (words[word] !== TICK_KIND_TRADE) {
      obey(state, record);
      secondNs = state.secondNs;
      continue;
    }
    const ingestUs = words[word + TICK_INGEST_US_I32]!;
    if (ingestUs !== stampUs) {
      if (merged > stampFrom) stampAt = writeStamp(stamps, stampAt, stampUs, merged - stampFrom);
      stampFrom = merged;
      stampUs = ingestUs;
      if (stampAt === stamps.length) break;
    }
    merged += 1;
    const highNs = (words[word + TS_HIGH]! - originHigh) * TWO_32;
    const tsNs = highNs + ((words[word + TS_LOW]! >>> 0) - originLow);
    const symbol = words[word + TICK_SYMBOL_INDEX_I32]!;
    let rowAt = secondAt;
    if (!(tsNs >= secondNs && tsNs < secondNs + SECOND_NS)) {
      rowAt = findSecond(state, symbol, tsNs);
      if (rowAt < 0) {
        mergeLate(state, record, tsNs);
        continue;
      }
      ({ secondNs, secondAt } = state);
    }
    const at = rowAt + symbol * STRIDE;
    const price = doubles[(record << 3) + TICK_PRICE_F64]!;
    const firstNs = buckets[at + FIRST]!;
    if (tsNs < firstNs) {
      if (firstNs === Infinity) {
        buckets[at + START] = Math.floor(tsNs / SECOND_NS) * SECOND_NS;
        opened += 1;
      }
      buckets[at + FIRST] = tsNs;
      buckets[at + OPEN] = price;
    }
    if (tsNs >= buckets[at + LAST]!) {
      buckets[at + LAST] = tsNs;
      buckets[at + CLOSE] = price;
    }
    mergePrice(buckets, at, price, T.lotsOf(words, word));
  }
  if (merged > stampFrom) stampAt = writeStamp(stamps, stampAt, stampUs, merged - stampFrom);
  state.stampCount = stampAt >> 1;
  state.counts.ticksMerged += merged;
  state.counts.openBars[0]! += opened;
  return record - from;
}

function mergePrice(buckets: Float64Array, at: number, price: number, lots: number): void {
  if (price > buckets[at + HIGH]!) buckets[at + HIGH] = price;
  if (price < buckets[at + LOW]!) buckets[at + LOW] = price;
  buckets[at + LOTS]! += lots;
  buckets[at + TRADES]! += 1;
  B.addProduct(buckets, at, price * buckets[at + PRICE_SCALE]!, lots);
}

function writeStamp(stamps: Uint32Array, at: number, ingestUs: number, count: number): number {
  stamps[at] = ingestUs;
  stamps[at + 1] = count;
  return at + 2;
}

/** First bucket of the second that `tsNs` is in, -1 when it is closed for the symbol. It comes in hand when it is open for every symbol. */
function findSecond(state: State, symbol: number, tsNs: number): number {
  if (symbol < 0 || symbol >= state.symbolCount) throw new RangeError(`symbol ${symbol}: ${state.symbolCount} are registered`);
  const { slotCount, symbols } = state.shape;
  const watermarkNs = state.watermarksNs[state.partitionOf[symbol]!]!;
  const second = Math.floor(tsNs / SECOND_NS);
  const startNs = second * SECOND_NS;
  if (startNs + SECOND_NS <= watermarkNs) return -1;
  const aheadNs = startNs - watermarkNs;
  if (aheadNs >= slotCount * SECOND_NS && aheadNs !== Infinity) throw new RangeError(`${aheadNs} ns ahead of ${slotCount} slots`);
  const rowAt = (second & (slotCount - 1)) * symbols * STRIDE;
  if (startNs >= state.openFromNs && startNs < state.openToNs) {
    state.secondNs = startNs;
    state.secondAt = rowAt;
    return rowAt;
  }
  const at = rowAt + symbol * STRIDE;
  if (state.buckets[at + FIRST] !== Infinity && state.buckets[at + START] !== startNs)
    throw new RangeError(`slot of ${startNs} ns is taken`);
  return rowAt;
}

/** A trade whose second is closed: it joins the shortest open bucket, from where the cascade carries it, and amends the closed ones. */
function mergeLate(state: State, record: number, tsNs: number): void {
  const { buckets, scratch, sizesNs, counts } = state;
  const symbol = barOfTick(state, record, tsNs);
  const watermarkNs = state.watermarksNs[state.partitionOf[symbol]!]!;
  counts.lateTicks += 1;
  let missed = 0;
  for (let timeframe = 0; timeframe < sizesNs.length; timeframe += 1) {
    const startNs = Math.floor(tsNs / sizesNs[timeframe]!) * sizesNs[timeframe]!;
    if (startNs + sizesNs[timeframe]! <= watermarkNs) {
      missed |= 1 << timeframe;
      buckets[scratch + START] = startNs;
      buckets[scratch + TIMEFRAME] = timeframe;
      emit(state, scratch, L.OUT_KIND_BAR_AMEND);
      counts.amendmentsOut[timeframe]! += 1;
    } else if ((missed & (1 << state.shape.timeframeParents[timeframe]!)) !== 0) {
      const into = accumulatorAt(state, timeframe) + symbol * STRIDE;
      if (B.mergeBucket(buckets, into, scratch, startNs)) counts.openBars[timeframe]! += 1;
    }
  }
}

/** Makes the scratch bucket that of one late trade; returns its symbol. */
function barOfTick(state: State, record: number, tsNs: number): number {
  const { words, doubles, buckets, scratch } = state;
  const symbol = words[(record << 4) + TICK_SYMBOL_INDEX_I32]!;
  const price = doubles[(record << 3) + TICK_PRICE_F64]!;
  B.formatBucket(buckets, scratch, identityOf(state, symbol, 0));
  buckets[scratch + FIRST] = tsNs;
  buckets[scratch + LAST] = tsNs;
  buckets[scratch + OPEN] = price;
  buckets[scratch + CLOSE] = price;
  buckets[scratch + LATE] = 1;
  mergePrice(buckets, scratch, price, T.lotsOf(words, record << 4));
  return symbol;
}

function identityOf(state: State, symbol: number, timeframe: number) {
  const partition = state.partitionOf[symbol]!;
  return { symbolIndex: state.symbolIndices[symbol]!, partition, priceScale: state.priceScales[symbol]!, timeframe };
}

/** A record that is not a trade. */
function obey(state: State, record: number): void {
  const { words } = state;
  const word = record << 4;
  const kind = words[word]!;
  if (kind === L.TICK_KIND_WATERMARK) advance(state, words[word + TICK_SYMBOL_INDEX_I32]!, T.offsetNs(words, word, state.shape.originNs));
  else if (kind === L.TICK_KIND_SYMBOL) registerSymbol(state, record);
  else if (kind === L.TICK_KIND_LATE) passOnLate(state, record);
  else if (kind === L.TICK_KIND_BARRIER) passBarrier(state, word);
  else throw new RangeError(`record ${record}: kind ${kind}, the twin takes trades`);
}

function registerSymbol(state: State, record: number): void {
  const { words, buckets } = state;
  const word = record << 4;
  const symbol = words[word + TICK_SYMBOL_INDEX_I32]!;
  const identity = words[word + TICK_INGEST_US_I32]!;
  const isNext = symbol === state.symbolCount && symbol < state.shape.symbols;
  if (!isNext || identity < 0) throw new RangeError(`symbol ${symbol} of ${state.shape.symbols}: expected the next one, with trades`);
  const partition = words[word + L.TICK_TRADE_COUNT_I32]!;
  state.symbolIndices[symbol] = identity;
  state.partitionOf[symbol] = partition;
  state.priceScales[symbol] = state.doubles[(record << 3) + TICK_PRICE_F64]!;
  state.symbolsOf[partition]!.push(symbol);
  state.symbolCount += 1;
  const { slotCount, symbols } = state.shape;
  for (let row = 0; row < slotCount + state.sizesNs.length - 1; row += 1) {
    B.formatBucket(buckets, (row * symbols + symbol) * STRIDE, identityOf(state, symbol, Math.max(0, row - slotCount + 1)));
  }
  learnWindow(state);
}

function advance(state: State, partition: number, targetNs: number): void {
  const fromNs = state.watermarksNs[partition]!;
  if (targetNs <= fromNs) return;
  T.sweep(state.sweepables[partition]!, fromNs, targetNs);
  state.watermarksNs[partition] = targetNs;
  learnWindow(state);
}

/** Finds the seconds that are open for every partition with symbols; a partition without a watermark leaves none. */
function learnWindow(state: State): void {
  const known = state.watermarksNs.filter((_, partition) => state.symbolsOf[partition]!.length > 0);
  state.openFromNs = Math.max(...known);
  state.openToNs = Math.min(...known) + state.shape.slotCount * SECOND_NS;
  state.secondNs = NaN;
}

function accumulatorAt(state: State, timeframe: number): number {
  return (state.shape.slotCount + timeframe - 1) * state.shape.symbols * STRIDE;
}

function close(state: State, partition: number, timeframe: number, endNs: number): void {
  const { buckets, counts, shape } = state;
  const children = state.childrenOf[timeframe]!;
  const symbols = state.symbolsOf[partition]!;
  const secondNs = endNs - SECOND_NS;
  const slot = (secondNs / SECOND_NS) & (shape.slotCount - 1);
  const rowAt = timeframe === 0 ? slot * shape.symbols * STRIDE : accumulatorAt(state, timeframe);
  let closed = 0;
  for (let index = 0; index < symbols.length; index += 1) {
    const symbol = symbols[index]!;
    const at = rowAt + symbol * STRIDE;
    if (buckets[at + FIRST] === Infinity || (timeframe === 0 && buckets[at + START] !== secondNs)) continue;
    emit(state, at, L.OUT_KIND_BAR_FINAL);
    for (let child = 0; child < children.length; child += 1) feed(state, children[child]!, symbol, at);
    B.emptyBucket(buckets, at);
    closed += 1;
  }
  counts.barsOut[timeframe]! += closed;
  counts.openBars[timeframe]! -= closed;
}

/** Merges a bucket that closes into the accumulator of a timeframe that is built from it. Only the first of a bucket needs a division. */
function feed(state: State, timeframe: number, symbol: number, from: number): void {
  const { buckets, sizesNs } = state;
  const into = accumulatorAt(state, timeframe) + symbol * STRIDE;
  const fromNs = buckets[from + START]!;
  const aheadNs = fromNs - buckets[into + START]!;
  const isIn = aheadNs >= 0 && aheadNs < sizesNs[timeframe]! && buckets[into + FIRST] !== Infinity;
  const startNs = isIn ? buckets[into + START]! : Math.floor(fromNs / sizesNs[timeframe]!) * sizesNs[timeframe]!;
  if (B.mergeBucket(buckets, into, from, startNs)) state.counts.openBars[timeframe]! += 1;
}

/** Writes a bucket as a record that goes out; returns where it lies. */
function emit(state: State, at: number, kind: number): number {
  const { buckets } = state;
  const { out } = state.shape;
  const to = (state.bars & (out.length / BAR_FIELDS - 1)) * BAR_FIELDS;
  state.bars += 1;
  for (let field = 0; field < STRIDE; field += 1) out[to + field] = buckets[at + field]!;
  out[to + KIND] = kind;
  out[to + FLAGS] = 0;
  out[to + MISSED] = 0;
  out[to + REVISION] = 0;
  out[to + INSTRUMENT_KIND] = L.INSTRUMENT_KIND_TRADE;
  return to;
}

/** A trade that ingest refused as too late: all timeframes missed. */
function passOnLate(state: State, record: number): void {
  const { buckets, scratch, sizesNs } = state;
  const { out, originNs } = state.shape;
  const tsNs = T.offsetNs(state.words, record << 4, originNs);
  barOfTick(state, record, tsNs);
  buckets[scratch + START] = tsNs;
  const to = emit(state, scratch, L.OUT_KIND_LATE_TICK);
  out[to + CLOSE] = 0;
  out[to + MISSED] = ((1 << sizesNs.length) - 1) | L.LATE_FLAG_REFUSED;
  state.counts.lateRefused += 1;
}

function passBarrier(state: State, word: number): void {
  const { out } = state.shape;
  const flags = state.words[word + TICK_SYMBOL_INDEX_I32]!;
  if ((flags & L.BARRIER_FLAG_WITH_OPEN_STATE) !== 0)
    throw new RangeError('a barrier asks for the open state, which the twin does not list');
  const to = (state.bars & (out.length / BAR_FIELDS - 1)) * BAR_FIELDS;
  state.bars += 1;
  out.fill(0, to, to + BAR_FIELDS);
  out[to + KIND] = L.OUT_KIND_BARRIER;
  out[to + SYMBOL] = 0;
  out[to + START] = readInt64(state.words, word + TS_LOW);
  out[to + FLAGS] = flags;
}

function earliestOpenNs(state: State, partition: number): number {
  const { buckets, shape } = state;
  let earliestNs = Infinity;
  for (const symbol of state.symbolsOf[partition]!) {
    for (let slot = 0; slot < shape.slotCount; slot += 1) {
      const at = (slot * shape.symbols + symbol) * STRIDE;
      if (buckets[at + FIRST] !== Infinity) earliestNs = Math.min(earliestNs, buckets[at + START]!);
    }
  }
  return earliestNs;
}
