/** Positions of a source: where each partition is read on, its watermark, and what has been accepted of it since the run began. */
import { assert } from '../../core/errors.ts';
import type { Accepted, ToWriter } from '../messages.ts';
import type { Connection } from './connection.ts';
import { type LaneChoice, laneOf } from './lane-choice.ts';

type EpochMessage = Extract<ToWriter, { type: 'epoch' }>;

const NOTHING: Omit<Accepted, 'partition'> = { volumeLots: 0n, tradeCount: 0n, quoteCount: 0n };

/** Within the epoch's transaction: moves positions and watermarks on and adds what the epoch accepted. */
export async function storeOffsets(
  client: Connection,
  context: LaneChoice & { readonly run: number },
  message: EpochMessage,
  databaseEpoch: number,
): Promise<void> {
  const { source, run } = context;
  const offsets = new Map(message.offsets);
  const watermarks = new Map(message.watermarks);
  const accepted = new Map(message.accepted.map((sums) => [sums.partition, sums]));
  const partitions = [...new Set([...offsets.keys(), ...watermarks.keys(), ...accepted.keys()])];
  if (partitions.length === 0) return;
  for (const partition of partitions) {
    assert(context.lanes.includes(laneOf(context, partition)), `partition ${partition} of source ${source} is among the lanes owned`);
  }
  const text = (value: bigint | undefined): string | null => (value === undefined ? null : String(value));
  const sums = partitions.map((partition) => accepted.get(partition) ?? NOTHING);
  await client.query(
    `insert into source_offsets as o (source, partition, next_offset, watermark_ns, run, epoch, accepted_lots, accepted_trades, accepted_quotes)
     select $1, p.partition, p.next_offset, p.watermark_ns, $2, $3, p.lots, p.trades, p.quotes
     from unnest($4::integer[], $5::bigint[], $6::bigint[], $7::numeric[], $8::bigint[], $9::bigint[])
       as p (partition, next_offset, watermark_ns, lots, trades, quotes)
     on conflict (source, partition) do update set
       next_offset = coalesce(excluded.next_offset, o.next_offset),
       watermark_ns = coalesce(excluded.watermark_ns, o.watermark_ns),
       accepted_lots = o.accepted_lots + excluded.accepted_lots,
       accepted_trades = o.accepted_trades + excluded.accepted_trades,
       accepted_quotes = o.accepted_quotes + excluded.accepted_quotes,
       run = excluded.run, epoch = excluded.epoch, updated_at = now()`,
    [
      source,
      run,
      databaseEpoch,
      partitions,
      partitions.map((partition) => text(offsets.get(partition))),
      partitions.map((partition) => text(watermarks.get(partition))),
      sums.map(({ volumeLots }) => String(volumeLots)),
      sums.map(({ tradeCount }) => String(tradeCount)),
      sums.map(({ quoteCount }) => String(quoteCount)),
    ],
  );
}
