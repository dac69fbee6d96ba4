/** Counts what a committed epoch wrote. */
import * as L from '../../../schemas/layout.gen.ts';
import { isQuoteRecord } from './bar-record.ts';
import { tableIndex } from './collect.ts';
import type { EpochWork } from './epoch-transaction.ts';
import { BAR_WORDS } from './record-list.ts';
import { WRITER_COUNTER } from './writer-counters.ts';

/** Adds an epoch's rows to the counters: first revisions, and the one row that each amended bucket ends with. */
export function tallyRows(counters: Float64Array, { batch, amendments }: Pick<EpochWork, 'batch' | 'amendments'>): void {
  const { last } = amendments;
  // Slots of quote bars follow those of trade bars, as table indices do.
  for (let table = 0; table < batch.finalCounts.length; table += 1) counters[WRITER_COUNTER.barRows + table]! += batch.finalCounts[table]!;
  for (let index = 0; index < last.length; index += 1) {
    const table = tableIndex(last.i32[index * BAR_WORDS + L.BAR_TIMEFRAME_INDEX_I32]!, isQuoteRecord(last, index));
    counters[WRITER_COUNTER.barRows + table]! += 1;
  }
  counters[WRITER_COUNTER.amendments]! += batch.deltas.length;
  counters[WRITER_COUNTER.lateTicks]! += batch.lates.length;
  counters[WRITER_COUNTER.lastFlushRows] = batch.finals.length + last.length;
}
