/**
 * A source without offsets that writes the ticks topic, which this engine reads by its group as it would read anybody's: the log is what
 * can be read again. The name is that of the kafka source, so an engine that only reads may take the partitions over, and give them back.
 */
import { accessOf } from '../../config/kafka-access.ts';
import { createFeeder } from '../ingest/feeder.ts';
import type { KafkaFeed } from '../ingest/kafka.ts';
import { createLogPort } from '../ingest/log-port.ts';
import { createLogWriter } from '../ingest/log-writer.ts';
import { createTickLog, type TickLog } from '../ingest/tick-log.ts';
import { kafkaHost, ticksTopicOf } from './kafka-host.ts';
import { type HostParts, type LiveSource, requireKafka, type SourceHost } from './source-host.ts';
import { formatCount } from './text.ts';

/** A stop does not wait longer than this for acknowledgements. */
const STOP_MS = 2000;

/** @throws EngineError KAFKA_UNAVAILABLE */
export function logFirstHost(parts: HostParts, live: LiveSource): SourceHost {
  const { config, clock, log: logger } = parts;
  const kafka = requireKafka(parts, 'INGEST_MODE log-first');
  const topic = ticksTopicOf(parts);
  const encoding = config.PUBLISH_TICKS === 'json' ? 'json' : 'packed';
  const log = createTickLog({
    library: kafka.library,
    ...accessOf(kafka),
    topic,
    clock,
    lingerMs: encoding === 'json' ? config.KAFKA_LINGER_MS : 0,
    onTrouble: (error) => logger.error({ err: error, topic }, 'writing ticks: the producer failed and is replaced'),
  });
  const writer = createLogWriter({ log, encoding, clock, lingerMs: config.KAFKA_LINGER_MS });
  const port = createLogPort(log, writer);
  const source = live.open();
  const feed: KafkaFeed = {
    isEnded: (partitions, nextOffsets) => feeder.isDone && isRead(log, partitions, nextOffsets),
    failure: () => feeder.failure(),
  };
  const host = kafkaHost(parts, feed);
  const feeder = createFeeder({ source, log, port, writer, clock, isReady: host.isJoined });
  const stop = (): Promise<void> => feeder.stop(STOP_MS);

  return {
    ...host,
    title: `${live.title}, log-first (${encoding}) through ${host.title}`,
    crashLoss: 'ticks that Kafka has not acknowledged: now tickwright_loss_window_seconds; what it has is read again',
    async start() {
      await log.open();
      await host.start();
      feeder.start();
    },
    lanes() {
      const failure = feeder.failure();
      if (failure) throw failure;
      return host.lanes();
    },
    health: () => [...host.health(), { name: 'feeder', ...feeder.health() }],
    feed() {
      const { written, acknowledged, failedDeliveries } = log.counts();
      const unloggedMs = feeder.oldestMs === undefined ? 0 : clock.wallMs() - feeder.oldestMs;
      return { written, acknowledged, dropped: 0, failedDeliveries, lagMs: feeder.lagMs, unloggedMs };
    },
    requestStop: () => feeder.requestStop(),
    settle: stop,
    notes: () => [...host.notes(), ...notesOf(topic, log, port.refused)],
    async close() {
      await stop();
      await Promise.all([log.close(), host.close()]);
    },
  };
}

/** True when everything that was acknowledged of these partitions has been read. */
function isRead(log: TickLog, partitions: readonly number[], nextOffsets: ReadonlyMap<number, bigint>): boolean {
  return partitions.every((partition) => Number(nextOffsets.get(partition) ?? 0n) >= (log.ends.get(partition) ?? 0));
}

function notesOf(topic: string, log: TickLog, refused: ReadonlyMap<number, number>): string[] {
  const { written, acknowledged, failedDeliveries, replacedProducers } = log.counts();
  const refusedCount = [...refused.values()].reduce((sum, count) => sum + count, 0);
  const unknown = written - acknowledged;
  return [
    `${formatCount(written)} ticks were written to ${topic}, ${formatCount(acknowledged)} of them acknowledged`,
    ...(unknown > 0 ? [`${formatCount(unknown)} ticks were NOT acknowledged: ${topic} may hold them or not`] : []),
    ...(replacedProducers > 0
      ? [
          `the producer of ${topic} was replaced ${replacedProducers} times, ${formatCount(failedDeliveries)} messages were sent again by another`,
        ]
      : []),
    ...(refusedCount > 0 ? [`${formatCount(refusedCount)} ticks could not be written to ${topic}`] : []),
  ];
}
