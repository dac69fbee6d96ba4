/**
 * The marker: how far a lane is published, kept by Kafka itself as the committed offset of a group that nobody joins. It moves in the
 * transaction that publishes, so it tells after any crash whether that transaction was committed.
 */
import { EngineError } from '../../core/errors.ts';
import { type AccessOrList, connectClient } from './client.ts';
import type { MarkerClient, TransactionLane } from './lane.ts';
import type { TopicPartition } from './rdkafka.ts';

const CONNECT_TIMEOUT_MS = 15_000;
const READ_TIMEOUT_MS = 10_000;

/** Who publishes, and where it writes down how far it has come. */
export interface TransactionOptions {
  readonly transactionalId: string;
  readonly markerGroup: string;
  /** A topic that exists; only its name is used. */
  readonly markerTopic: string;
  /** Lanes that this publisher owns; a lane is the partition of its marker. */
  readonly lanes: readonly number[];
  /**
   * Asks the database whether the lanes still belong to this publisher. Asked after its transactional id was initialised: who claims the
   * lanes later fences that id, so a yes holds until then. A rejection is taken as "not known now" and asked again.
   */
  isOwner(): Promise<boolean>;
}

export type Markers = ReadonlyMap<number, number>;

export interface MarkerIdentity {
  readonly prefix: string;
  readonly schema: string;
  readonly source: string;
}

export function markerGroupOf({ prefix, schema, source }: MarkerIdentity): string {
  return `${prefix}${source}.published.${schema}`;
}

/** One id for each claim of lanes, so that fencing one claim touches no other. */
export function transactionalIdOf({ prefix, schema, source }: MarkerIdentity, token: bigint): string {
  return `${prefix}tickwright.${schema}.${source}.${token}`;
}

/**
 * A client of the marker group. It never joins: it lends its group to transactions and reads what they committed.
 * @throws EngineError KAFKA_UNREACHABLE (retryable)
 */
export async function openMarkerClient(lane: TransactionLane, to: AccessOrList, group: string): Promise<MarkerClient> {
  const client = lane.createMarkerClient(group);
  await connectClient(client, to, CONNECT_TIMEOUT_MS);
  return client;
}

/**
 * The database epoch up to which each lane is published; a lane without a marker is left out.
 * @throws EngineError KAFKA_UNREACHABLE (retryable)
 */
export function readMarkers(client: MarkerClient, { markerTopic, markerGroup, lanes }: TransactionOptions): Promise<Markers> {
  const partitions = lanes.map((lane): TopicPartition => ({ topic: markerTopic, partition: lane }));
  return new Promise((resolve, reject) => {
    client.committed(partitions, READ_TIMEOUT_MS, (error, offsets) => {
      if (!error) return resolve(new Map(offsets.flatMap(({ partition, offset = -1 }) => (offset < 0 ? [] : [[partition, offset]]))));
      const text = `markers of group ${markerGroup}: not read in ${READ_TIMEOUT_MS} ms: ${error.message}`;
      reject(new EngineError('KAFKA_UNREACHABLE', text, { cause: error, retryable: true }));
    });
  });
}
