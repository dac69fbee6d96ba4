/** The ticks topic, or the one that a stage reads, by consumer group: each partition that the group gives out is a lane. */
import { accessOf } from '../../config/kafka-access.ts';
import { SYSTEM_PAUSE } from '../core/clock.ts';
import type { HealthPart } from '../gateway/http.ts';
import type { KafkaFeed } from '../ingest/kafka.ts';
import { createDirectLane, createLaneSource, type DirectLane } from '../ingest/kafka-lane.ts';
import { createKafkaReader } from '../ingest/kafka-reader.ts';
import { createJumpCounter, type JumpCounter } from '../kafka-direct/offset-jumps.ts';
import { laneText } from './servers.ts';
import { type HostParts, requireKafka, type SourceHost } from './source-host.ts';
import { stageOf, stageTitle } from './stage.ts';

export interface KafkaHost extends SourceHost {
  /** True once the group has given out partitions, none perhaps. */
  isJoined(): boolean;
}

export function ticksTopicOf({ config }: HostParts): string {
  return `${config.TOPIC_PREFIX}${config.TICKS_TOPIC}`;
}

/**
 * @param feed what writes the topic, where this process does
 * @throws EngineError KAFKA_UNAVAILABLE
 */
export function kafkaHost(parts: HostParts, feed?: KafkaFeed): KafkaHost {
  const { config, clock } = parts;
  const stage = stageOf(config);
  const { topic, group, source: name } = stage;
  const kafka = requireKafka(parts, stage.name === 'all' ? 'SOURCE kafka' : `STAGES ${stage.name}`);
  const jumps = createJumpCounter((jump) => parts.log.warn(jump, 'offsets that the topic no longer holds are passed over'));
  const gone = { onOffsetGone: config.KAFKA_OFFSET_GONE, onJump: jumps.note };
  const lane = kafka.fetchLane?.name === 'direct' ? createDirectLane({ ...accessOf(kafka), topic, clock, ...gone }) : undefined;
  const reader = createKafkaReader({
    library: kafka.library,
    ...accessOf(kafka),
    topic,
    group,
    engineId: config.ENGINE_ID,
    sessionMs: config.KAFKA_SESSION_MS,
    clock,
    pause: parts.pause ?? SYSTEM_PAUSE,
    ...gone,
    ...(lane ? { fetcher: lane.fetcher } : {}),
  });
  let letterCount = 0;
  let isUp = false;
  let sinceMs = clock.wallMs();
  /** Since when is seen here: the reader only knows how it stands. */
  const health = (): HealthPart => {
    if (reader.health.isUp !== isUp) {
      isUp = reader.health.isUp;
      sinceMs = clock.wallMs();
    }
    return { name: 'source', isUp, detail: reader.health.detail, sinceMs };
  };
  return {
    name,
    isLive: true,
    isLaned: true,
    title: `${stage.name === 'all' ? `Kafka topic ${topic}` : stageTitle(stage, config.TOPIC_PREFIX)}, group ${group}${kafka.fetchLane ? `, by ${laneText(kafka.fetchLane)}` : ''}`,
    crashLoss: '',
    isJoined: () => reader.assigned !== undefined,
    start: () => reader.join(),
    lanes() {
      reader.pump();
      const failure = reader.takeFailure();
      if (failure) throw failure;
      return reader.assigned ?? [];
    },
    open: (letters, lanes) =>
      createLaneSource(
        {
          name,
          reader,
          clock,
          partitions: lanes,
          ...(feed ? { feed } : {}),
          onRejected(rejected) {
            letterCount += 1;
            letters.add(rejected);
          },
        },
        lane,
      ),
    openUntil: (until, lanes) => createLaneSource({ name, reader, clock, partitions: lanes, until, onRejected: () => undefined }, lane),
    endSession: () => reader.end(),
    health: () => [health()],
    feed: () => undefined,
    fetch: () => ({ counts: new Map(Object.entries(lane?.fetcher.counts ?? {})), jumps: jumps.byPartition }),
    requestStop: () => undefined,
    settle: async () => undefined,
    notes: () => [
      ...(letterCount > 0 ? [`${letterCount} records went to ${config.TOPIC_PREFIX}dlq`] : []),
      ...(reader.commitFailures > 0 ? [`${reader.commitFailures} times the group was not told how far it is; the database knows`] : []),
      ...jumpNotes(topic, jumps),
      ...fetchNotes(lane),
    ],
    close: () => reader.close(),
  };
}

function jumpNotes(topic: string, { byPartition }: JumpCounter): string[] {
  return [...byPartition].map(([partition, { jumps, offsets }]) => {
    return `${offsets} offsets of ${topic} partition ${partition} were passed over in ${jumps} jumps: the topic no longer held them`;
  });
}

function fetchNotes(lane: DirectLane | undefined): string[] {
  if (!lane) return [];
  const { counts, stopped } = lane.fetcher;
  return [
    ...stopped.values(),
    ...(counts.refetches > 0 ? [`${counts.refetches} batches could not be read and were fetched again`] : []),
    ...(counts.throttles > 0 ? [`${counts.throttles} times a broker held back what it was asked for (quotas)`] : []),
  ];
}
