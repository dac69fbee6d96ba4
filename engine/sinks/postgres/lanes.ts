/** Ownership of lanes between sessions: claiming, giving back, and what an earlier owner left to be published. */
import { assert } from '../../core/errors.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import type { OutboxRow } from '../messages.ts';
import { type Connection, withConnection } from './connection.ts';
import type { LaneChoice } from './lane-choice.ts';
import { fenced } from './lane-fence.ts';
import type { Database } from './runs.ts';
import { readState, type StoredState } from './state.ts';

export interface LaneClaim {
  readonly token: bigint;
  /** The greatest epoch of the lanes: the session's epochs are counted from here. */
  readonly baseEpoch: number;
  /** Producers of earlier owners, to be fenced before anything is published: one that ended cleanly may have been left open by the brokers. */
  readonly previousTransactionalIds: readonly string[];
  readonly state: StoredState;
}

export interface ClaimRequest extends Database, LaneChoice {
  readonly run: number;
  readonly timeframes: readonly Timeframe[];
  /** Undefined where nothing is published. */
  transactionalIdOf(token: bigint): string | undefined;
}

/** A claim waits this long for transactions of the owner before it ends them: that owner may be stopped in the middle of one. */
const PATIENCE_MS = 2000;

/**
 * Takes lanes over, whoever has them, and reads what they hold: the earlier owner can commit nothing more. A transaction that it is in the
 * middle of is waited for, and after a while ended.
 * @throws EngineError OPEN_STATE_TIMEFRAME; errors of the server and the connection
 */
export async function claimLanes(request: ClaimRequest): Promise<LaneClaim> {
  const { connectionString, schema, source, run, timeframes } = request;
  const lanes = request.lanes.toSorted((left, right) => left - right);
  return await withConnection(connectionString, schema, async (client) => {
    await client.query('begin');
    const { rows: sequence } = await client.query<{ token: string }>(`select nextval('lane_claims') as token`);
    const token = BigInt(sequence[0]?.token ?? 0);
    const { taken, unfenced } = await evictingBlockers(client, connectionString, () => takeLanes(client, { ...request, lanes }, token));
    assert(taken.length === lanes.length, `source ${source}: ${taken.length} lanes claimed of ${lanes.length}`);
    const state = await readState(client, { ...request, lanes }, { run, timeframes });
    await client.query('commit');
    return { token, baseEpoch: Math.max(0, ...taken), previousTransactionalIds: unfenced, state };
  });
}

/** @returns the epochs of the lanes, and the producers of earlier owners */
async function takeLanes(
  client: Connection,
  { source, lanes, run, transactionalIdOf }: ClaimRequest,
  token: bigint,
): Promise<{ taken: number[]; unfenced: string[] }> {
  // A new lane counts from the clock, so that its epochs are above those that Kafka may still know from a schema of the same name.
  await client.query(
    `insert into lanes (source, lane, epoch, run)
     select $1, lane, (extract(epoch from clock_timestamp()) * 1000)::bigint, $3 from unnest($2::integer[]) as lane order by lane
     on conflict do nothing`,
    [source, lanes, run],
  );
  const { rows } = await client.query<{ epoch: string; unfenced: string[] }>(
    `with held as (
       select lane, case when transactional_id is null then unfenced else array_append(unfenced, transactional_id) end as unfenced
       from lanes where source = $1 and lane = any($2) order by lane for update
     )
     update lanes l set owner = $3, transactional_id = $4, run = $5, claimed_at = now(), unfenced = held.unfenced
     from held where l.source = $1 and l.lane = held.lane returning l.epoch, l.unfenced`,
    [source, lanes, String(token), transactionalIdOf(token), run],
  );
  return { taken: rows.map(({ epoch }) => Number(epoch)), unfenced: [...new Set(rows.flatMap(({ unfenced }) => unfenced))].toSorted() };
}

/** Runs `work`; while it waits for locks, ends every so often the transactions that hold them. */
async function evictingBlockers<T>(client: Connection, connectionString: string, work: () => Promise<T>): Promise<T> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const pid = rows[0]?.pid ?? 0;
  const evictions: Promise<void>[] = [];
  const timer = setInterval(() => {
    const eviction = withConnection(connectionString, undefined, async (other) => {
      await other.query(
        `select pg_terminate_backend(a.pid) from pg_stat_activity a
         where a.pid = any(pg_blocking_pids($1)) and a.application_name like 'tickwright %'`,
        [pid],
      );
    });
    // The claim itself goes on waiting and tells what ails the server.
    evictions.push(eviction.catch(() => undefined));
  }, PATIENCE_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await Promise.all(evictions);
  }
}

/** Ends ownership cleanly. Does nothing when another has them already. */
export async function releaseLanes({
  connectionString,
  schema,
  source,
  token,
}: Database & { source: string; token: bigint }): Promise<void> {
  await withConnection(connectionString, schema, (client) =>
    client.query('update lanes set owner = null where source = $1 and owner = $2', [source, String(token)]),
  );
}

/** Those of the lanes that still belong to the claim. */
export async function ownedLanes(request: Database & { source: string; token: bigint; lanes: readonly number[] }): Promise<number[]> {
  const { connectionString, schema, source, token, lanes } = request;
  return await withConnection(connectionString, schema, async (client) => {
    const { rows } = await client.query<{ lane: number }>(
      'select lane from lanes where source = $1 and lane = any($2) and owner = $3 order by lane',
      [source, lanes, String(token)],
    );
    return rows.map(({ lane }) => lane);
  });
}

/** What is committed and not known to be published, by lane, epoch, kind and part. */
export async function readOutbox({
  connectionString,
  schema,
  source,
  lanes,
}: Database & { source: string; lanes: readonly number[] }): Promise<OutboxRow[]> {
  return await withConnection(connectionString, schema, async (client) => {
    const { rows } = await client.query<{ lane: number; epoch: string; kind: OutboxRow['kind']; part: number; lines: string }>(
      'select lane, epoch, kind, part, lines from outbox where source = $1 and lane = any($2) order by lane, epoch, kind, part',
      [source, lanes],
    );
    return rows.map((row) => ({ ...row, epoch: Number(row.epoch) }));
  });
}

/**
 * Deletes what is published, by lane up to an epoch, and notes that earlier owners are fenced.
 * @throws EngineError FENCED when the claim no longer owns one of the lanes
 */
export async function dropOutbox({
  connectionString,
  schema,
  source,
  token,
  upTo,
}: Database & { source: string; token: bigint; upTo: ReadonlyMap<number, number> }): Promise<void> {
  const lanes = [...upTo.keys()].toSorted((left, right) => left - right);
  if (lanes.length === 0) return;
  await withConnection(connectionString, schema, async (client) => {
    await client.query('begin');
    const { rows } = await client.query<{ lane: number }>(
      `with held as (select lane from lanes where source = $1 and lane = any($2) order by lane for update)
       update lanes l set unfenced = '{}' from held where l.source = $1 and l.lane = held.lane and l.owner = $3 returning l.lane`,
      [source, lanes, String(token)],
    );
    const lost = lanes.filter((lane) => !rows.some((row) => row.lane === lane));
    if (lost.length > 0) throw fenced({ source, schema, token }, lost, '');
    await client.query(
      `delete from outbox o using unnest($2::integer[], $3::bigint[]) as p (lane, epoch)
       where o.source = $1 and o.lane = p.lane and o.epoch <= p.epoch`,
      [source, lanes, lanes.map((lane) => upTo.get(lane))],
    );
    await client.query('commit');
  });
}
