/** What is stored of a source's lanes between sessions: open buckets, positions and watermarks, all of each lane's last epoch. */
import type { Timeframe } from '../../market/timeframes.ts';
import type { OpenState } from '../messages.ts';
import type { Connection } from './connection.ts';
import { type LaneChoice, ofLanes } from './lane-choice.ts';
import { readOpenState, readStalePartitions } from './open-state.ts';
import { readStageBars, type StoredStageSymbol } from './stage-bars.ts';

export interface StoredState {
  /** The run that goes on. */
  readonly run: number;
  /** Open buckets by symbol; the timeframeIndex of each is a position in the timeframes asked for. */
  readonly openState: readonly OpenState[];
  /** Partitions whose open buckets are of another version, with the offset from which they are to be built again; openState has none of them. */
  readonly rebuild: ReadonlyMap<number, bigint>;
  readonly watermarks: readonly (readonly [partition: number, watermarkNs: bigint])[];
  readonly offsets: readonly (readonly [partition: number, offset: bigint])[];
  /** Names of the files that a replay was given, in order. */
  readonly files: readonly string[];
  /** What a stage that reads bars keeps of them. */
  readonly stageBars?: readonly StoredStageSymbol[];
}

/**
 * Reads the state of lanes in the transaction that `client` is in.
 * @throws EngineError OPEN_STATE_TIMEFRAME, OPEN_STATE_VERSION
 */
export async function readState(
  client: Connection,
  lanes: LaneChoice,
  { run, timeframes }: { readonly run: number; readonly timeframes: readonly Timeframe[] },
): Promise<StoredState> {
  const rebuild = await readStalePartitions(client, lanes);
  const openState = await readOpenState(client, lanes, { timeframes, stalePartitions: [...rebuild.keys()] });
  const positions = await readPositions(client, lanes);
  const { rows } = await client.query<{ files: string[] }>(`select coalesce(config -> 'files', '[]') as files from runs where run = $1`, [
    run,
  ]);
  return {
    run,
    files: rows[0]?.files ?? [],
    openState,
    stageBars: await readStageBars(client, lanes),
    rebuild,
    watermarks: positions.flatMap(({ partition, watermarkNs }) => (watermarkNs === null ? [] : [[partition, watermarkNs] as const])),
    offsets: positions.flatMap(({ partition, nextOffset }) => (nextOffset === null ? [] : [[partition, nextOffset] as const])),
  };
}

export interface StoredPosition {
  readonly partition: number;
  readonly nextOffset: bigint | null;
  readonly watermarkNs: bigint | null;
}

/** Positions and watermarks of the lanes' partitions. */
export async function readPositions(client: Connection, { source, isLaned, lanes }: LaneChoice): Promise<StoredPosition[]> {
  const { rows } = await client.query<{ partition: number; next_offset: string | null; watermark_ns: string | null }>(
    `select partition, next_offset, watermark_ns from source_offsets where ${ofLanes('source_offsets')} order by partition`,
    [source, isLaned, lanes],
  );
  const whole = (text: string | null): bigint | null => (text === null ? null : BigInt(text));
  return rows.map((row) => ({ partition: row.partition, nextOffset: whole(row.next_offset), watermarkNs: whole(row.watermark_ns) }));
}
