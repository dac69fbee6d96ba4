/** What a stage that reads bars has counted: for the verdict, and in its region, where a shard's worker would. */
import * as L from '../../../schemas/layout.gen.ts';
import { OUT_KIND, REFUSAL, STAGE_OUT_KIND } from '../../../schemas/records.ts';
import type { BarRecord } from '../../market/ring-record.ts';
import { SHARD_HEADER_ADDRESS } from '../../memory/region.ts';
import type { AcceptedSums, IngestCounts } from '../port-router.ts';
import { refusalName } from '../refusal-name.ts';
import type { TakenResult } from './combiner.ts';

export interface StageCounters {
  noteTaken(partition: number, taken: TakenResult): void;
  /** By refusal code. */
  noteRefused(reason: number, count: number): void;
  noteOut(record: BarRecord): void;
  setOpen(byTimeframe: readonly number[]): void;
  counts(): IngestCounts;
  takeAccepted(): AcceptedSums[];
  forget(): void;
}

/** An input that is known: dropped like a refused one, though nothing is wrong with it. */
export const DUPLICATE_BAR = 'duplicateBar';

export function createStageCounters(region: WebAssembly.Memory): StageCounters {
  const f64 = new Float64Array(region.buffer);
  const at = SHARD_HEADER_ADDRESS >> 3;
  const refused = new Map<string, number>();
  const accepted = new Map<number, { lots: bigint; trades: bigint }>();
  let offered = 0;
  let bars = 0;
  let trades = 0;
  let lots = 0n;

  const refuse = (reason: string, count: number): void => {
    offered += count;
    refused.set(reason, (refused.get(reason) ?? 0) + count);
  };
  const forget = (): void => {
    for (const name of [...Object.keys(REFUSAL), DUPLICATE_BAR]) refused.set(name, 0);
    accepted.clear();
    offered = 0;
    bars = 0;
    trades = 0;
    lots = 0n;
  };
  forget();

  return {
    noteTaken(partition, { outcome, volumeLots, tradeCount }) {
      if (outcome === 'duplicate') return refuse(DUPLICATE_BAR, 1);
      offered += 1;
      bars += 1;
      trades += tradeCount;
      lots += BigInt(volumeLots);
      const sums = accepted.get(partition) ?? { lots: 0n, trades: 0n };
      sums.lots += BigInt(volumeLots);
      sums.trades += BigInt(tradeCount);
      accepted.set(partition, sums);
      f64[at + L.SHARD_TICKS_MERGED_F64]! += 1;
    },
    noteRefused: (reason, count) => refuse(refusalName(reason), count),
    noteOut({ kind, timeframeIndex }) {
      if (kind === OUT_KIND.barFinal) f64[at + L.SHARD_BARS_OUT_F64 + timeframeIndex]! += 1;
      else if (kind === STAGE_OUT_KIND.barReplace) f64[at + L.SHARD_AMENDMENTS_OUT_F64 + timeframeIndex]! += 1;
      else if (kind === OUT_KIND.lateTick) f64[at + L.SHARD_LATE_REFUSED_F64]! += 1;
    },
    setOpen(byTimeframe) {
      for (const [index, count] of byTimeframe.entries()) f64[at + L.SHARD_OPEN_BARS_F64 + index] = count;
    },
    counts: () => ({
      offered,
      acceptedTrades: trades,
      acceptedLots: lots,
      acceptedQuotes: 0,
      acceptedBars: bars,
      refused: new Map(refused),
    }),
    takeAccepted() {
      const taken = [...accepted].map(([partition, sums]) => ({
        partition,
        volumeLots: sums.lots,
        tradeCount: sums.trades,
        quoteCount: 0n,
      }));
      accepted.clear();
      return taken;
    },
    forget,
  };
}
