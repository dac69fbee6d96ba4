/** The conservation verdict from the database alone: what a run holds against what its epochs say was accepted, both of one moment. */
import type { Timeframe } from '../market/timeframes.ts';
import { timeframeParents } from '../memory/region.ts';
import { type Connection, quoteIdentifier, withConnection } from '../sinks/postgres/connection.ts';
import type { Database } from '../sinks/postgres/runs.ts';
import { type ConservationInput, type ConservationLine, judgeConservation, type TimeframeSums } from './conservation.ts';

export interface StoredVerdictRequest extends Database {
  readonly source: string;
  readonly run: number;
  /** Those of the run. */
  readonly timeframes: readonly Timeframe[];
  /** True where each timeframe's open buckets hold all that it has not closed: those of a stage that reads bars. */
  readonly isEachWhole?: boolean;
}

/**
 * For each timeframe: sums over the run's bars, open buckets and late ticks that were accepted but not taken, against those of `source_offsets`.
 * Holds at any moment, also while engines are at work, since each epoch is one transaction.
 */
export async function judgeStored({
  connectionString,
  schema,
  source,
  run,
  timeframes,
  isEachWhole = false,
}: StoredVerdictRequest): Promise<ConservationLine[]> {
  return await withConnection(connectionString, schema, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const accepted = await readAccepted(client, source, run);
    const open = await readOpenSums(client, run, timeframes);
    const parents = isEachWhole ? timeframes.map(() => -1) : timeframeParents(timeframes.map(({ seconds }) => seconds));
    const inputs: ConservationInput[] = [];
    for (const [index, { name }] of timeframes.entries()) {
      inputs.push(await readHeld(client, { run, index, name, open: openBelow(open, parents, index) }));
    }
    return judgeConservation(accepted, inputs);
  });
}

type SumsRow = Record<'vol' | 'trades' | 'quotes', string>;

function sumsOf(row: SumsRow | undefined): TimeframeSums {
  return { volumeLots: BigInt(row?.vol ?? 0), tradeCount: BigInt(row?.trades ?? 0), quoteCount: BigInt(row?.quotes ?? 0) };
}

function addSums(left: TimeframeSums, right: TimeframeSums): TimeframeSums {
  return {
    volumeLots: left.volumeLots + right.volumeLots,
    tradeCount: left.tradeCount + right.tradeCount,
    quoteCount: left.quoteCount + right.quoteCount,
  };
}

async function readAccepted(client: Connection, source: string, run: number): Promise<TimeframeSums> {
  const { rows } = await client.query<SumsRow>(
    `select coalesce(sum(accepted_lots), 0) as vol, coalesce(sum(accepted_trades), 0) as trades, coalesce(sum(accepted_quotes), 0) as quotes
     from source_offsets where source = $1 and run = $2`,
    [source, run],
  );
  return sumsOf(rows[0]);
}

interface HeldRequest {
  readonly run: number;
  /** Position in the timeframes, and bit in `late_ticks.missed`. */
  readonly index: number;
  readonly name: string;
  readonly open: TimeframeSums;
}

async function readHeld(client: Connection, { run, index, name, open }: HeldRequest): Promise<ConservationInput> {
  const { rows: held } = await client.query<SumsRow>(
    `select b.vol, b.trades, q.quotes
     from (select coalesce(sum(vol), 0) as vol, coalesce(sum(n_trades), 0) as trades from ${quoteIdentifier(`bars_${name}`)} where run = $1) b,
       (select coalesce(sum(n), 0) as quotes from ${quoteIdentifier(`quotes_${name}`)} where run = $1) q`,
    [run],
  );
  const { rows: missed } = await client.query<SumsRow>(
    `select coalesce(sum(quantity), 0) as vol, coalesce(sum(n) filter (where ask is null), 0) as trades,
       coalesce(sum(n) filter (where ask is not null), 0) as quotes
     from late_ticks where run = $1 and not is_refused and missed & (1 << $2) <> 0`,
    [run, index],
  );
  return { timeframe: name, held: addSums(sumsOf(held[0]), open), missed: sumsOf(missed[0]) };
}

/** Sums over the open buckets of a run, by timeframe. */
async function readOpenSums(client: Connection, run: number, timeframes: readonly Timeframe[]): Promise<TimeframeSums[]> {
  const { rows } = await client.query<SumsRow & { tf_sec: number }>(
    `select b.tf_sec, coalesce(sum(b.vol), 0) as vol, coalesce(sum(b.n) filter (where s.kind = 'trade'), 0) as trades,
       coalesce(sum(b.n) filter (where s.kind = 'quote'), 0) as quotes
     from open_state s cross join lateral unnest(s.tf_sec, s.vol, s.n) as b (tf_sec, vol, n)
     where s.run = $1 group by b.tf_sec`,
    [run],
  );
  return timeframes.map(({ seconds }) => sumsOf(rows.find(({ tf_sec: found }) => found === seconds)));
}

/** What a timeframe has not closed yet: its own open buckets, and those of the timeframes that it is built from. */
function openBelow(open: readonly TimeframeSums[], parents: readonly number[], index: number): TimeframeSums {
  let sums = open[index]!;
  for (let at = parents[index]!; at >= 0; at = parents[at]!) sums = addSums(sums, open[at]!);
  return sums;
}
