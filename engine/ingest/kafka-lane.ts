/** The two ways in which assigned partitions are read: by librdkafka, message for message, or fetched directly and decoded where they lie. */
import type { KafkaAccess } from '../../config/kafka-access.ts';
import { type Clock, SYSTEM_PAUSE } from '../core/clock.ts';
import { createCluster } from '../kafka-direct/cluster.ts';
import { createFetcher, FETCH_APIS, type Fetcher } from '../kafka-direct/fetcher.ts';
import type { OffsetJump, OffsetPolicy } from '../kafka-direct/offset-jumps.ts';
import { createKafkaSource, type KafkaSourceOptions } from './kafka.ts';
import { createDirectSource } from './kafka-direct.ts';
import type { Source } from './source.ts';

const CLIENT_ID = 'tickwright';

export interface DirectLane {
  readonly topic: string;
  readonly fetcher: Fetcher;
}

export interface LaneOptions extends KafkaAccess {
  readonly topic: string;
  readonly clock: Clock;
  /** As in `FetcherOptions`; `stop` unless given. */
  readonly onOffsetGone?: OffsetPolicy;
  readonly onJump?: (jump: OffsetJump) => void;
}

/** A lane for one reader of the topic; it connects when the reader begins, and the reader closes it. */
export function createDirectLane({
  brokers,
  topic,
  clock,
  security = {},
  onOffsetGone = 'stop',
  onJump = () => undefined,
}: LaneOptions): DirectLane {
  const cluster = createCluster({ clientId: CLIENT_ID, brokers, apis: FETCH_APIS, clock, pause: SYSTEM_PAUSE, security });
  return { topic, fetcher: createFetcher({ cluster, topic, clock, isCommittedOnly: true, onOffsetGone, onJump }) };
}

/** A source of a reader: on the direct lane where there is one, which has to be the reader's. */
export function createLaneSource(options: KafkaSourceOptions, lane: DirectLane | undefined): Source {
  return lane ? createDirectSource({ ...options, ...lane }) : createKafkaSource(options);
}
