/**
 * What every epoch's transaction does first: it moves the epoch of its lanes on, under the locks of their rows, and only for the owner. So an
 * engine that has lost its lanes can commit nothing more, and an attempt whose outcome is unknown is found out: this waits for its end.
 */
import { EngineError } from '../../core/errors.ts';
import type { WriterStart } from '../messages.ts';
import type { Connection } from './connection.ts';

export type LaneOwner = Pick<WriterStart, 'source' | 'lanes' | 'token' | 'schema'>;

/**
 * @param isPublishing true when what earlier owners left has been published, their producers fenced, before this session began
 * @returns false when an earlier attempt had committed this epoch
 * @throws EngineError FENCED when the lanes have another owner, or none
 */
export async function takeEpoch(client: Connection, owner: LaneOwner, databaseEpoch: number, isPublishing: boolean): Promise<boolean> {
  const { source, lanes, token } = owner;
  // Locked in order, as a claim does, so that the two never wait for each other.
  const { rowCount } = await client.query(
    `with held as (select lane from lanes where source = $1 and lane = any($2) order by lane for update)
     update lanes l set epoch = $4, unfenced = case when $5 then '{}' else unfenced end
     from held where l.source = $1 and l.lane = held.lane and l.owner = $3 and l.epoch < $4`,
    [source, lanes, String(token), databaseEpoch, isPublishing],
  );
  if (rowCount === lanes.length) return true;
  const { rows } = await client.query<{ lane: number; owner: string | null; epoch: string }>(
    'select lane, owner, epoch from lanes where source = $1 and lane = any($2) order by lane',
    [source, lanes],
  );
  const lost = lanes.filter((lane) => rows.find((row) => row.lane === lane)?.owner !== String(token));
  if (lost.length === 0 && rowCount === 0 && rows.every(({ epoch }) => Number(epoch) === databaseEpoch)) return false;
  throw fenced(
    owner,
    lost,
    rows.map(({ lane, owner: found, epoch }) => `lane ${lane}: owner ${found ?? 'none'}, epoch ${epoch}`).join('; '),
  );
}

/** @throws EngineError FENCED when the lanes have another owner, or none */
export async function assertOwner(client: Connection, owner: LaneOwner): Promise<void> {
  const { rows } = await client.query<{ lane: number }>('select lane from lanes where source = $1 and lane = any($2) and owner = $3', [
    owner.source,
    owner.lanes,
    String(owner.token),
  ]);
  const lost = owner.lanes.filter((lane) => !rows.some((row) => row.lane === lane));
  if (lost.length > 0) throw fenced(owner, lost, '');
}

/** The error of an engine that owns less than it thinks. */
export function fenced({ source, schema, token }: Omit<LaneOwner, 'lanes'>, lost: readonly number[], found: string): EngineError {
  return new EngineError(
    'FENCED',
    `source ${source} in schema ${schema}: claim ${token} no longer owns lanes ${lost.join(', ')}; another engine took over${found === '' ? '' : ` (${found})`}`,
  );
}
