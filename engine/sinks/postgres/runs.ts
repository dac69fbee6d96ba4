/** Runs and what is stored between them: one row in `runs` per run, open buckets and source positions per source. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, KNOBS } from '../../../config/knobs.ts';
import { EngineError } from '../../core/errors.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import type { OpenState } from '../messages.ts';
import { type Connection, withConnection } from './connection.ts';
import { readOpenState } from './open-state.ts';
import { lockSource } from './source-lock.ts';

export interface Database {
  readonly connectionString: string;
  readonly schema: string;
}

/** What a source left when it was stopped. */
export interface StoredState {
  /** The run that goes on. */
  readonly run: number;
  /** False after a kill: the open buckets of that moment are lost, and openState is empty. */
  readonly isWhole: boolean;
  /** Open buckets by symbol; the timeframeIndex of each is a position in the timeframes asked for. */
  readonly openState: readonly OpenState[];
  readonly watermarks: readonly (readonly [partition: number, watermarkNs: bigint])[];
  readonly offsets: readonly (readonly [partition: number, offset: bigint])[];
  /** Names of the files that a replay was given, in order. */
  readonly files: readonly string[];
  /** Sums over openState, by timeframe: in lots, and in ticks. */
  readonly sums: readonly StoredSums[];
}

export interface StoredSums {
  readonly volumeLots: bigint;
  readonly tradeCount: bigint;
  readonly quoteCount: bigint;
}

export interface RunStart extends Database {
  readonly source: string;
  readonly config: Config;
  /** Names of the files of a replay, in order. */
  readonly files?: readonly string[];
  /** The state that this run goes on from; undefined starts a new run, and forgets what the source had left. */
  readonly continues: StoredState | undefined;
}

/**
 * Puts down that a run begins.
 * @returns its number
 * @throws EngineError SOURCE_TAKEN when another engine writes the source into the schema
 */
export async function beginRun({ connectionString, schema, source, config, files = [], continues }: RunStart): Promise<number> {
  const stored = JSON.stringify({ ...withoutSecrets(config), files });
  return await withConnection(connectionString, schema, async (client) => {
    // Let go with the connection; the writer takes it again.
    await lockSource(client, { schema, source, isRetryable: false });
    if (continues !== undefined) {
      const { rowCount } = await client.query(
        'update runs set ended_at = null, conserved = null, summary = null, engine_version = $2, config = $3 where run = $1',
        [continues.run, engineVersion(), stored],
      );
      // What an earlier stop had left open went on in the run that was killed.
      if (!continues.isWhole) await client.query('delete from open_state where source = $1', [source]);
      if (rowCount !== 1) throw new EngineError('RUN_MISSING', `run ${continues.run}, to be continued, is not in table runs`);
      return continues.run;
    }
    await client.query('begin');
    await forget(client, source);
    const { rows } = await client.query<{ run: number }>(
      'insert into runs (source, engine_version, config) values ($1, $2, $3) returning run',
      [source, engineVersion(), stored],
    );
    await client.query('commit');
    return rows[0]?.run ?? 0;
  });
}

export interface RunEnd extends Database {
  readonly run: number;
  readonly isConserved: boolean;
  /** JSON. */
  readonly summary: string;
}

/** Puts down how a run ended. */
export async function endRun({ connectionString, schema, run, isConserved, summary }: RunEnd): Promise<void> {
  await withConnection(connectionString, schema, (client) =>
    client.query('update runs set ended_at = now(), conserved = $2, summary = $3 where run = $1', [run, isConserved, summary]),
  );
}

/**
 * What the source's last run left; undefined when there was none. Open buckets belong to the last epoch only when the run was stopped in
 * good order: after a kill there are none, while watermarks and offsets are those of the last commit.
 * @throws EngineError OPEN_STATE_TIMEFRAME
 */
export async function loadState(
  request: Database & { source: string; timeframes: readonly Timeframe[] },
): Promise<StoredState | undefined> {
  const { connectionString, schema, source, timeframes } = request;
  return await withConnection(connectionString, schema, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const { rows: runs } = await client.query<{ run: number; is_whole: boolean; files: string[] }>(
      `select r.run, r.open_state_epoch is not distinct from r.epoch as is_whole, coalesce(r.config -> 'files', '[]') as files
       from runs r where r.source = $1 order by r.run desc limit 1`,
      [source],
    );
    const last = runs[0];
    if (last === undefined) return undefined;
    const openState = last.is_whole ? await readOpenState(client, source, timeframes) : [];
    const { rows: positions } = await client.query<{ partition: number; next_offset: string | null; watermark_ns: string | null }>(
      'select partition, next_offset, watermark_ns from source_offsets where source = $1 order by partition',
      [source],
    );
    const sums = await readOpenSums(client, last.run, timeframes);
    return {
      run: last.run,
      isWhole: last.is_whole,
      files: last.files,
      openState,
      watermarks: positions.flatMap(({ partition, watermark_ns: at }) => (at === null ? [] : [[partition, BigInt(at)] as const])),
      offsets: positions.flatMap(({ partition, next_offset: at }) => (at === null ? [] : [[partition, BigInt(at)] as const])),
      sums,
    };
  });
}

/** Forgets the open buckets and positions of a source; its bars stay. */
export async function clearState({ connectionString, schema, source }: Database & { source: string }): Promise<void> {
  await withConnection(connectionString, schema, async (client) => {
    await client.query('begin');
    await forget(client, source);
    await client.query('commit');
  });
}

async function forget(client: Connection, source: string): Promise<void> {
  await client.query('delete from open_state where source = $1', [source]);
  await client.query('delete from source_offsets where source = $1', [source]);
}

/** Sums over the open buckets of a run, by timeframe. */
export async function readOpenSums(client: Connection, run: number, timeframes: readonly Timeframe[]): Promise<StoredSums[]> {
  const { rows } = await client.query<{ tf_sec: number; vol: string; trades: string; quotes: string }>(
    `select b.tf_sec, coalesce(sum(b.vol), 0) as vol, coalesce(sum(b.n) filter (where s.kind = 'trade'), 0) as trades,
       coalesce(sum(b.n) filter (where s.kind = 'quote'), 0) as quotes
     from open_state s cross join lateral unnest(s.tf_sec, s.vol, s.n) as b (tf_sec, vol, n)
     where s.run = $1 group by b.tf_sec`,
    [run],
  );
  return timeframes.map(({ seconds }) => {
    const row = rows.find(({ tf_sec: found }) => found === seconds);
    return { volumeLots: BigInt(row?.vol ?? 0), tradeCount: BigInt(row?.trades ?? 0), quoteCount: BigInt(row?.quotes ?? 0) };
  });
}

/** Knobs as stored with a run: passwords and addresses that may hold one are left out. */
function withoutSecrets(config: Config): Record<string, unknown> {
  const secrets = new Set<string>(KNOBS.filter(({ kind }) => kind === 'secret').map(({ name }) => name));
  return Object.fromEntries(Object.entries(config).filter(([name]) => !secrets.has(name)));
}

function engineVersion(): string {
  const { version } = JSON.parse(readFileSync(join(PROJECT_ROOT, 'package.json'), 'utf8'));
  return String(version);
}
