/**
 * The same bars in plain JavaScript over typed arrays: one column per field, row = slot x symbols + symbol. Event times are taken relative to
 * the start of the stream, so that a double holds them to the nanosecond; the notional is two doubles, low part below 2^52.
 */
import * as L from '../../schemas/layout.gen.ts';
import { BAR_FIELDS, type BarTwin, type BarTwinShape, lotsOf, offsetNs } from './twin.ts';

const SECOND_NS = 1e9;
const LOW_LIMIT = 2 ** 52;

interface Columns {
  readonly startNs: Float64Array;
  readonly firstNs: Float64Array;
  readonly lastNs: Float64Array;
  readonly open: Float64Array;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
  readonly lots: Float64Array;
  readonly notionalLow: Float64Array;
  readonly notionalHigh: Float64Array;
  readonly trades: Int32Array;
}

function createColumns(rows: number): Columns {
  const column = (): Float64Array => new Float64Array(rows);
  const columns: Columns = {
    startNs: column(),
    firstNs: column(),
    lastNs: column(),
    open: column(),
    high: column(),
    low: column(),
    close: column(),
    lots: column(),
    notionalLow: column(),
    notionalHigh: column(),
    trades: new Int32Array(rows),
  };
  for (let row = 0; row < rows; row += 1) clear(columns, row);
  return columns;
}

function clear(columns: Columns, row: number): void {
  columns.firstNs[row] = Infinity;
  columns.lastNs[row] = -Infinity;
  columns.high[row] = -Infinity;
  columns.low[row] = Infinity;
  columns.lots[row] = 0;
  columns.notionalLow[row] = 0;
  columns.notionalHigh[row] = 0;
  columns.trades[row] = 0;
}

/** Adds low < 2^53 and high, and carries. */
function addNotional(columns: Columns, row: number, low: number, high: number): void {
  let sum = columns.notionalLow[row]! + low;
  let carry = high;
  while (sum >= LOW_LIMIT) {
    sum -= LOW_LIMIT;
    carry += 1;
  }
  columns.notionalLow[row] = sum;
  columns.notionalHigh[row]! += carry;
}

/** Adds units x lots exactly, however large. */
function addProduct(columns: Columns, row: number, units: number, lots: number): void {
  const product = units * lots;
  if (product < LOW_LIMIT) {
    addNotional(columns, row, product, 0);
    return;
  }
  const exact = BigInt(units) * BigInt(lots);
  addNotional(columns, row, Number(BigInt.asUintN(52, exact)), Number(exact >> 52n));
}

export function createTypedBars(shape: BarTwinShape): BarTwin {
  const { symbols, slotCount, priceScale, out } = shape;
  const sizesNs = shape.timeframeSeconds.map((seconds) => seconds * SECOND_NS);
  const seconds = createColumns(slotCount * symbols);
  const accumulators = createColumns(sizesNs.length * symbols);
  const mask = slotCount - 1;
  const outMask = out.length / BAR_FIELDS - 1;
  let watermarkNs = -Infinity;
  let bars = 0;

  const feed = (child: number, symbol: number, from: Columns, row: number): void => {
    const into = child * symbols + symbol;
    const sizeNs = sizesNs[child]!;
    accumulators.startNs[into] = from.startNs[row]! - (from.startNs[row]! % sizeNs);
    if (from.firstNs[row]! < accumulators.firstNs[into]!) {
      accumulators.firstNs[into] = from.firstNs[row]!;
      accumulators.open[into] = from.open[row]!;
    }
    if (from.lastNs[row]! >= accumulators.lastNs[into]!) {
      accumulators.lastNs[into] = from.lastNs[row]!;
      accumulators.close[into] = from.close[row]!;
    }
    if (from.high[row]! > accumulators.high[into]!) accumulators.high[into] = from.high[row]!;
    if (from.low[row]! < accumulators.low[into]!) accumulators.low[into] = from.low[row]!;
    accumulators.lots[into]! += from.lots[row]!;
    accumulators.trades[into]! += from.trades[row]!;
    addNotional(accumulators, into, from.notionalLow[row]!, from.notionalHigh[row]!);
  };

  const writeBar = (columns: Columns, row: number, timeframe: number, symbol: number): void => {
    const at = (bars & outMask) * BAR_FIELDS;
    bars += 1;
    out[at] = timeframe;
    out[at + 1] = symbol;
    out[at + 2] = columns.startNs[row]!;
    out[at + 3] = columns.firstNs[row]!;
    out[at + 4] = columns.lastNs[row]!;
    out[at + 5] = columns.open[row]!;
    out[at + 6] = columns.high[row]!;
    out[at + 7] = columns.low[row]!;
    out[at + 8] = columns.close[row]!;
    out[at + 9] = columns.lots[row]!;
    out[at + 10] = columns.trades[row]!;
    out[at + 11] = columns.notionalHigh[row]! * LOW_LIMIT + columns.notionalLow[row]!;
  };

  const close = (timeframe: number, columns: Columns, firstRow: number, secondNs: number): void => {
    for (let symbol = 0, row = firstRow; symbol < symbols; symbol += 1, row += 1) {
      if (columns.firstNs[row] === Infinity || (timeframe === 0 && columns.startNs[row] !== secondNs)) continue;
      writeBar(columns, row, timeframe, symbol);
      for (let child = timeframe + 1; child < sizesNs.length; child += 1) {
        if (shape.timeframeParents[child] === timeframe) feed(child, symbol, columns, row);
      }
      clear(columns, row);
    }
  };

  const advance = (targetNs: number): void => {
    if (watermarkNs === -Infinity) watermarkNs = targetNs;
    for (; watermarkNs < targetNs; watermarkNs += SECOND_NS) {
      close(0, seconds, ((watermarkNs / SECOND_NS) & mask) * symbols, watermarkNs);
      const endNs = watermarkNs + SECOND_NS;
      for (let timeframe = 1; timeframe < sizesNs.length; timeframe += 1) {
        if (endNs % sizesNs[timeframe]! === 0) close(timeframe, accumulators, timeframe * symbols, 0);
      }
    }
  };

  return {
    get bars() {
      return bars;
    },
    run(words, doubles, from, to) {
      for (let record = from; record < to; record += 1) {
        const word = record << 4;
        const tsNs = offsetNs(words, word, shape);
        if (words[word] === L.TICK_KIND_WATERMARK) {
          advance(tsNs);
          continue;
        }
        if (words[word] !== L.TICK_KIND_TRADE) throw new RangeError(`record ${record}: kind ${words[word]}`);
        const second = Math.floor(tsNs / SECOND_NS);
        if (second * SECOND_NS < watermarkNs) throw new RangeError(`record ${record}: behind the watermark`);
        const row = (second & mask) * symbols + words[word + L.TICK_SYMBOL_INDEX_I32]!;
        const price = doubles[(record << 3) + L.TICK_PRICE_F64]!;
        const lots = lotsOf(words, word);
        if (tsNs < seconds.firstNs[row]!) {
          seconds.startNs[row] = second * SECOND_NS;
          seconds.firstNs[row] = tsNs;
          seconds.open[row] = price;
        }
        if (tsNs >= seconds.lastNs[row]!) {
          seconds.lastNs[row] = tsNs;
          seconds.close[row] = price;
        }
        if (price > seconds.high[row]!) seconds.high[row] = price;
        if (price < seconds.low[row]!) seconds.low[row] = price;
        seconds.lots[row]! += lots;
        seconds.trades[row]! += 1;
        addProduct(seconds, row, Math.round(price * priceScale), lots);
      }
    },
  };
}
