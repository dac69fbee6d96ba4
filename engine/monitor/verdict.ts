/** What Postgres holds of a run, summed exactly: one side of the conservation verdict. */
import type { Timeframe } from '../market/timeframes.ts';
import { timeframeParents } from '../memory/region.ts';
import { quoteIdentifier, withConnection } from '../sinks/postgres/connection.ts';
import { type Database, readOpenSums, type StoredSums } from '../sinks/postgres/runs.ts';

export interface HeldSums {
  readonly timeframe: string;
  /** Over the rows that the run wrote and its open buckets. */
  readonly held: StoredSums;
  /** Over late ticks that ingest had accepted and this timeframe did not take. */
  readonly missed: StoredSums;
}

/** Sums by timeframe, in order; volumes in lots. All of one moment. */
export async function readSums(request: Database & { run: number; timeframes: readonly Timeframe[] }): Promise<HeldSums[]> {
  const { connectionString, schema, run, timeframes } = request;
  return await withConnection(connectionString, schema, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const open = await readOpenSums(client, run, timeframes);
    const parents = timeframeParents(timeframes.map(({ seconds }) => seconds));
    const sums: HeldSums[] = [];
    for (const [index, { name }] of timeframes.entries()) {
      const { rows } = await client.query<Record<'vol' | 'trades' | 'quotes' | 'late_vol' | 'late_trades' | 'late_quotes', string>>(
        `select b.vol, b.trades, q.quotes, l.late_vol, l.late_trades, l.late_quotes
         from (select coalesce(sum(vol), 0) as vol, coalesce(sum(n_trades), 0) as trades from ${quoteIdentifier(`bars_${name}`)} where run = $1) b,
           (select coalesce(sum(n), 0) as quotes from ${quoteIdentifier(`quotes_${name}`)} where run = $1) q,
           (select coalesce(sum(quantity), 0) as late_vol, coalesce(sum(n) filter (where ask is null), 0) as late_trades,
              coalesce(sum(n) filter (where ask is not null), 0) as late_quotes
            from late_ticks where run = $1 and not is_refused and missed & (1 << $2) <> 0) l`,
        [run, index],
      );
      const row = rows[0];
      const whole = (text: string | undefined): bigint => BigInt(text ?? 0);
      const buckets = openBelow(open, parents, index);
      sums.push({
        timeframe: name,
        held: {
          volumeLots: whole(row?.vol) + buckets.volumeLots,
          tradeCount: whole(row?.trades) + buckets.tradeCount,
          quoteCount: whole(row?.quotes) + buckets.quoteCount,
        },
        missed: { volumeLots: whole(row?.late_vol), tradeCount: whole(row?.late_trades), quoteCount: whole(row?.late_quotes) },
      });
    }
    return sums;
  });
}

/** What a timeframe has not closed yet: its own open buckets, and those of the timeframes that it is built from. */
function openBelow(open: readonly StoredSums[], parents: readonly number[], index: number): StoredSums {
  const sums = { volumeLots: 0n, tradeCount: 0n, quoteCount: 0n };
  for (let at = index; at >= 0; at = parents[at]!) {
    sums.volumeLots += open[at]!.volumeLots;
    sums.tradeCount += open[at]!.tradeCount;
    sums.quoteCount += open[at]!.quoteCount;
  }
  return sums;
}
