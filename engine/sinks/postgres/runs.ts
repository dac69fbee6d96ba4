/** Runs: one row in `runs` each, and what the last one of a source left. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, KNOBS } from '../../../config/knobs.ts';
import { EngineError } from '../../core/errors.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { type Connection, withConnection } from './connection.ts';
import type { LaneChoice } from './lane-choice.ts';
import { lockSource } from './source-lock.ts';
import { readState, type StoredState } from './state.ts';

export interface Database {
  readonly connectionString: string;
  readonly schema: string;
}

export interface RunStart extends Database {
  readonly source: string;
  readonly config: Config;
  /** Names of the files of a replay, in order. */
  readonly files?: readonly string[];
  /** True: the source's last run goes on, if there is one. False: a new run begins, and forgets what the source had left. */
  readonly goesOn: boolean;
}

/**
 * Puts down that a run begins or goes on. Engines that start at once are let through one by one, so that those that share a source get one run.
 * @returns its number
 * @throws EngineError SOURCE_TAKEN when another engine writes a source that is not shared; RUN_TIMEFRAMES when the run that would go on
 *   has other timeframes
 */
export async function beginRun({ connectionString, schema, source, config, files = [], goesOn }: RunStart): Promise<number> {
  const stored = JSON.stringify({ ...withoutSecrets(config), files });
  return await withConnection(connectionString, schema, async (client) => {
    // Let go with the connection. The writer of a source that is not shared takes it again, for as long as it runs.
    await lockSource(client, { schema, source, isRetryable: false });
    const last = goesOn ? await lastRun(client, source) : undefined;
    if (last !== undefined) {
      assertTimeframes(last.timeframes, config.TIMEFRAMES, { run: last.run, schema });
      await client.query(
        'update runs set ended_at = null, conserved = null, summary = null, engine_version = $2, config = $3 where run = $1',
        [last.run, engineVersion(), stored],
      );
      return last.run;
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

interface LastRun {
  readonly run: number;
  /** As the knob was given. */
  readonly timeframes: string;
  readonly files: readonly string[];
}

async function lastRun(client: Connection, source: string): Promise<LastRun | undefined> {
  const { rows } = await client.query<{ run: number; timeframes: string; files: string[] }>(
    `select run, coalesce(config ->> 'TIMEFRAMES', '') as timeframes, coalesce(config -> 'files', '[]') as files
     from runs where source = $1 order by run desc limit 1`,
    [source],
  );
  return rows[0];
}

/** A timeframe that joins or leaves in the middle of a run would lack bars that the others have. */
function assertTimeframes(stored: string, given: string, { run, schema }: { run: number; schema: string }): void {
  const namesOf = (text: string): string =>
    text
      .split(',')
      .map((name) => name.trim())
      .join(',');
  if (namesOf(stored) === namesOf(given)) return;
  throw new EngineError(
    'RUN_TIMEFRAMES',
    `TIMEFRAMES ${given}: run ${run} in schema ${schema}, which goes on, has ${stored}; use these, or another PG_SCHEMA`,
  );
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

/** What the last run of a source left; undefined when there was none. @throws EngineError OPEN_STATE_TIMEFRAME */
export async function loadState(request: Database & LaneChoice & { timeframes: readonly Timeframe[] }): Promise<StoredState | undefined> {
  const { connectionString, schema, timeframes } = request;
  return await withConnection(connectionString, schema, async (client) => {
    await client.query('begin isolation level repeatable read read only');
    const last = await lastRun(client, request.source);
    if (last === undefined) return undefined;
    return await readState(client, request, { run: last.run, timeframes });
  });
}

/** Forgets the open buckets, positions and messages of a source; its bars stay, and so do the numbers of its lanes' epochs. */
async function forget(client: Connection, source: string): Promise<void> {
  for (const table of ['open_state', 'source_offsets', 'outbox', 'stage_bars'])
    await client.query(`delete from ${table} where source = $1`, [source]);
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
