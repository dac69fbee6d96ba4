/** Brings the tables of a schema up to date: the numbered files of sql/, then the tables of further timeframes. */
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import { EngineError, messageOf } from '../../core/errors.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { isRetryable, withConnection } from './connection.ts';

const SQL_FOLDER = join(PROJECT_ROOT, 'sql');
const SCHEMA_PATTERN = /^[a-z_][a-z0-9_]{0,62}$/;

/**
 * Forward only, may be repeated, and safe when two engines start at once: the second waits for the first.
 * @returns what was done: names of migrations, and of timeframes whose tables were made
 * @throws EngineError MIGRATION_FAILED, SCHEMA_INVALID, and those of connecting
 */
export async function migrate(connectionString: string, schema: string, timeframes: readonly Timeframe[]): Promise<readonly string[]> {
  if (!SCHEMA_PATTERN.test(schema)) {
    throw new EngineError('SCHEMA_INVALID', `PG_SCHEMA '${schema}': expected lower-case letters, digits and _, at most 63, no digit first`);
  }
  return await withConnection(connectionString, undefined, async (client) => {
    try {
      const done = await runner({
        dbClient: client,
        dir: SQL_FOLDER,
        direction: 'up',
        schema,
        createSchema: true,
        migrationsSchema: schema,
        migrationsTable: 'migrations',
        singleTransaction: true,
        advisoryLockMode: 'wait',
        log: () => undefined,
      });
      return [...done.map(({ name }) => name), ...(await createFurtherTables(client, schema, timeframes))];
    } catch (cause) {
      throw new EngineError('MIGRATION_FAILED', `migrations of schema ${schema}: ${messageOf(cause)}`, {
        cause,
        retryable: isRetryable(cause),
      });
    }
  });
}

type Queryable = Parameters<Parameters<typeof withConnection>[2]>[0];

async function createFurtherTables(client: Queryable, schema: string, timeframes: readonly Timeframe[]): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select name from unnest($1::text[]) as name
     where to_regclass(format('%I.%I', $2::text, 'bars_' || name)) is null or to_regclass(format('%I.%I', $2::text, 'quotes_' || name)) is null`,
    [timeframes.map(({ name }) => name), schema],
  );
  if (rows.length === 0) return [];
  // Taken again because the library gave it back: two engines may want the same timeframe.
  await client.query('select pg_advisory_lock(hashtext($1))', [`${schema}.create_bar_tables`]);
  for (const { name } of rows) await client.query('select create_bar_tables($1)', [name]);
  return rows.map(({ name }) => `tables of ${name}`);
}
