/** The two ways in which assigned partitions are read: by librdkafka, message for message, or fetched directly and decoded where they lie. */
import type { Clock } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { createCluster } from '../kafka-direct/cluster.ts';
import { type LibraryCodecs, loadCodecs } from '../kafka-direct/codecs.ts';
import { assertApi, connectBroker, parseBrokers, type Security } from '../kafka-direct/connection.ts';
import { FETCH } from '../kafka-direct/fetch-request.ts';
import { createFetcher, type Fetcher } from '../kafka-direct/fetcher.ts';
import { LIST_OFFSETS } from '../kafka-direct/offsets-request.ts';
import { createKafkaSource, type KafkaSourceOptions } from './kafka.ts';
import { createDirectSource } from './kafka-direct.ts';
import type { Source } from './source.ts';

const CLIENT_ID = 'tickwright';
const TIMEOUT_MS = 10_000;

export interface DirectLane {
  readonly topic: string;
  readonly fetcher: Fetcher;
  readonly codecs: LibraryCodecs;
}

export interface LaneOptions {
  readonly brokers: string;
  readonly topic: string;
  readonly clock: Clock;
  readonly security?: Security;
}

/** What is missing for the direct lane at these brokers; empty when nothing is. */
export async function missingForDirect({ brokers, security = {} }: LaneOptions): Promise<string> {
  let last = '';
  for (const address of parseBrokers(brokers)) {
    try {
      const connection = await connectBroker(address, { clientId: CLIENT_ID, timeoutMs: TIMEOUT_MS, security });
      try {
        assertApi(connection, FETCH, 'Fetch');
        assertApi(connection, LIST_OFFSETS, 'ListOffsets');
        return '';
      } finally {
        await connection.close();
      }
    } catch (error) {
      last = messageOf(error);
      if (!(error instanceof EngineError) || error.code !== 'KAFKA_UNREACHABLE') return last;
    }
  }
  return last;
}

/** A lane of its own for a reader of the topic; it connects when the reader begins. */
export async function openDirectLane({ brokers, topic, clock, security = {} }: LaneOptions): Promise<DirectLane> {
  const cluster = createCluster({ bootstrap: parseBrokers(brokers), topic, clientId: CLIENT_ID, timeoutMs: TIMEOUT_MS, security });
  const fetcher = createFetcher({ cluster, topic, clock, isCommittedOnly: true, onOffsetGone: 'stop' });
  return { topic, fetcher, codecs: await loadCodecs() };
}

/** A source of a reader: on the direct lane where there is one, which has to be the reader's. */
export function createLaneSource(options: KafkaSourceOptions, lane: DirectLane | undefined): Source {
  return lane ? createDirectSource({ ...options, ...lane }) : createKafkaSource(options);
}
