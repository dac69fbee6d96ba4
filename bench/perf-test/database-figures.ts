/** What Postgres counts of itself, before and after. */
import { withConnection } from '../../engine/sinks/postgres/connection.ts';

export type Counts = Readonly<Record<string, number>>;

/** Of the whole server: a cell has it for itself. */
export function readDatabaseCounts(connectionString: string): Promise<Counts> {
  return withConnection(connectionString, undefined, async (client) => {
    const { rows } = await client.query<Record<string, string>>(
      `select d.xact_commit as "postgres transactions", d.xact_rollback as "postgres rollbacks", d.tup_inserted as "postgres rows inserted",
              d.tup_updated as "postgres rows updated", d.active_time as "postgres active ms",
              w.wal_bytes as "postgres WAL bytes", w.wal_records as "postgres WAL records"
       from (select sum(xact_commit) as xact_commit, sum(xact_rollback) as xact_rollback, sum(tup_inserted) as tup_inserted,
                    sum(tup_updated) as tup_updated, sum(active_time) as active_time from pg_stat_database) d, pg_stat_wal w`,
    );
    return Object.fromEntries(Object.entries(rows[0] ?? {}).map(([name, value]) => [name, Number(value)]));
  });
}

export function countsBetween(before: Counts, after: Counts): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]));
}

/** For each partition of a source the offset that is durable, by the engine's own table. */
export function readDurableOffset(connectionString: string, schema: string): Promise<bigint> {
  return withConnection(connectionString, schema, async (client) => {
    const { rows } = await client.query<{ total: string | null }>('select sum(next_offset) as total from source_offsets');
    return BigInt(rows[0]?.total ?? 0);
  });
}
