/** The two ways in which assigned partitions are read: by librdkafka, message for message, or fetched directly and decoded where they lie. */
import type { KafkaAccess } from '../../config/kafka-access.ts';
import type { Config } from '../../config/knobs.ts';
import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import { createCluster } from '../kafka-direct/cluster.ts';
import { assertApi, connectBroker, parseBrokers } from '../kafka-direct/connection.ts';
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
}

export interface LaneOptions extends KafkaAccess {
  readonly topic: string;
  readonly clock: Clock;
}

export interface FetchLane {
  readonly name: 'librdkafka' | 'direct';
  readonly why: string;
}

/**
 * Which lane a topic is read on; `auto` takes the direct one where the brokers have the APIs for it.
 * @throws EngineError KAFKA_LANE, KAFKA_REFUSED, KAFKA_UNREACHABLE (retryable)
 */
export async function chooseFetchLane(knob: Config['KAFKA_LANE'], server: KafkaAccess & { isEmbedded: boolean }): Promise<FetchLane> {
  if (knob === 'librdkafka') return { name: 'librdkafka', why: 'KAFKA_LANE=librdkafka' };
  const missing = server.isEmbedded ? 'the embedded cluster is a mock of what librdkafka needs' : await missingForDirect(server);
  if (missing === '') return { name: 'direct', why: knob === 'direct' ? 'KAFKA_LANE=direct' : 'the brokers have the APIs for it' };
  if (knob === 'auto') return { name: 'librdkafka', why: missing };
  throw new EngineError(
    'KAFKA_LANE',
    `KAFKA_LANE direct: ${missing}: set KAFKA_BROKER to such brokers, or KAFKA_LANE to librdkafka or auto`,
  );
}

/** What the first broker that answers lacks of what the direct lane needs; empty when it lacks nothing. */
async function missingForDirect({ brokers, security = {} }: KafkaAccess): Promise<string> {
  let last: unknown;
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
      if (error instanceof EngineError && error.code === 'KAFKA_API_MISSING') return error.message;
      if (!(error instanceof EngineError) || !error.retryable) throw error;
      last = error;
    }
  }
  throw last;
}

/** A lane for one reader of the topic; it connects when the reader begins, and the reader closes it. */
export function createDirectLane({ brokers, topic, clock, security = {} }: LaneOptions): DirectLane {
  const cluster = createCluster({ bootstrap: parseBrokers(brokers), topic, clientId: CLIENT_ID, timeoutMs: TIMEOUT_MS, security });
  return { topic, fetcher: createFetcher({ cluster, topic, clock, isCommittedOnly: true, onOffsetGone: 'stop' }) };
}

/** A source of a reader: on the direct lane where there is one, which has to be the reader's. */
export function createLaneSource(options: KafkaSourceOptions, lane: DirectLane | undefined): Source {
  return lane ? createDirectSource({ ...options, ...lane }) : createKafkaSource(options);
}
