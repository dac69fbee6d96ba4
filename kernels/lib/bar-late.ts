// Ticks that come after their own second has closed, and those that ingest passed on as too late.
import {
  BAR_ASK_OPEN,
  BAR_CLOSE,
  BAR_FLAGS,
  BAR_FLAG_NOTIONAL_UNKNOWN,
  BAR_INSTRUMENT_KIND,
  BAR_LATE_COUNT,
  BAR_MISSED_MASK,
  BAR_TIMEFRAME_INDEX,
  BAR_TS_START_NS,
  INSTRUMENT_KIND_QUOTE,
  LATE_FLAG_REFUSED,
  OUT_KIND_BAR_AMEND,
  OUT_KIND_LATE_TICK,
  SHARD_AMENDMENTS_OUT,
  SHARD_LATE_POLICY,
  SHARD_LATE_REFUSED,
  SHARD_LATE_TICKS,
  SHARD_TIMEFRAME_COUNT,
  SHARD_TIMEFRAME_PARENT,
  TICK_SYMBOL_INDEX,
  TICK_TS_EVENT_NS,
} from "../../schemas/layout.gen";
import { emitBar, outHasRoom } from "./bar-out";
import { accumulatorRow, barOfTick, count, mergeBar, metaOf, scratchBar, sizeNsOf, touch } from "./bar-state";

const BAR_SHIFT: usize = 7;
const POLICY_AMEND: i32 = 0;

/** What became of a tick. */
export const MERGED: i32 = 0;
export const PASSED_ON: i32 = 1;
export const NO_ROOM: i32 = 2;

/**
 * A tick whose second is closed at `watermarkNs`: it joins the shortest open bucket (longer ones get it through the cascade), and the
 * closed ones before it are amended, or named in one late_ticks record. NO_ROOM: nothing was done.
 */
export function mergeLate(header: usize, tick: usize, watermarkNs: i64): i32 {
  const timeframes = load<i32>(header, SHARD_TIMEFRAME_COUNT);
  const isAmending = load<i32>(header, SHARD_LATE_POLICY) == POLICY_AMEND;
  if (!outHasRoom(isAmending ? timeframes : 1)) return NO_ROOM;
  const localIndex = load<i32>(tick, TICK_SYMBOL_INDEX);
  const tsNs = load<i64>(tick, TICK_TS_EVENT_NS);
  const meta = metaOf(header, localIndex);
  const bar = scratchBar(header);
  barOfTick(bar, tick, meta);
  store<i32>(bar, 1, BAR_LATE_COUNT);
  count(header + SHARD_LATE_TICKS);
  let missed = 0;
  for (let timeframe = 0; timeframe < timeframes; ++timeframe) {
    const at = (<usize>timeframe) << 2;
    const sizeNs = sizeNsOf(header, timeframe);
    const startNs = tsNs - (tsNs % sizeNs);
    if (startNs + sizeNs <= watermarkNs) {
      missed |= 1 << timeframe;
      if (!isAmending) continue;
      store<i64>(bar, startNs, BAR_TS_START_NS);
      store<i32>(bar, timeframe, BAR_TIMEFRAME_INDEX);
      emitBar(bar, OUT_KIND_BAR_AMEND);
      count(header + SHARD_AMENDMENTS_OUT + (at << 1));
    } else if (missed & (1 << load<i32>(header + at, SHARD_TIMEFRAME_PARENT))) {
      mergeBar(header, accumulatorRow(header, timeframe) + ((<usize>localIndex) << BAR_SHIFT), bar, startNs);
      touch(meta);
    }
  }
  if (isAmending) return MERGED;
  emitLate(bar, tsNs, missed);
  if (missed != (1 << timeframes) - 1) return MERGED;
  count(header + SHARD_LATE_REFUSED);
  return PASSED_ON;
}

/** A tick that ingest refused as too late: to late_ticks, with all timeframes missed and the mark of the refused. */
export function passOnLate(header: usize, tick: usize): i32 {
  if (!outHasRoom(1)) return NO_ROOM;
  const bar = scratchBar(header);
  barOfTick(bar, tick, metaOf(header, load<i32>(tick, TICK_SYMBOL_INDEX)));
  store<i32>(bar, 1, BAR_LATE_COUNT);
  const all = (1 << load<i32>(header, SHARD_TIMEFRAME_COUNT)) - 1;
  emitLate(bar, load<i64>(tick, TICK_TS_EVENT_NS), all | LATE_FLAG_REFUSED);
  count(header + SHARD_LATE_REFUSED);
  return PASSED_ON;
}

/** The record of one late tick. Its close is the ask of a quote, the close of a source bar, 0 for a trade. */
function emitLate(bar: usize, tsNs: i64, missed: i32): void {
  store<i64>(bar, tsNs, BAR_TS_START_NS);
  store<i32>(bar, 0, BAR_TIMEFRAME_INDEX);
  const record = emitBar(bar, OUT_KIND_LATE_TICK);
  store<i32>(record, missed, BAR_MISSED_MASK);
  if (load<i32>(bar, BAR_INSTRUMENT_KIND) == INSTRUMENT_KIND_QUOTE) store<f64>(record, load<f64>(bar, BAR_ASK_OPEN), BAR_CLOSE);
  else if ((load<i32>(bar, BAR_FLAGS) & BAR_FLAG_NOTIONAL_UNKNOWN) == 0) store<f64>(record, 0, BAR_CLOSE);
}
