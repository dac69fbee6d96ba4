/** A source without offsets that feeds the rings at once, and is published beside where that is asked for. */
import { accessOf } from '../../config/kafka-access.ts';
import { createBeside } from '../ingest/beside.ts';
import { createLogWriter } from '../ingest/log-writer.ts';
import { createTickLog } from '../ingest/tick-log.ts';
import { ticksTopicOf } from './kafka-host.ts';
import { type HostParts, type LiveSource, requireKafka, type SourceHost, singleHost } from './source-host.ts';
import { formatCount } from './text.ts';

/** A stop does not wait longer than this for Kafka. */
const SETTLE_MS = 1500;

/** Nothing can be read again: what a crash loses is bounded by the time since the last commit. */
function crashLossOf({ config }: HostParts): string {
  return (
    `the ticks since the last commit: of FLUSH_MS (${config.FLUSH_MS} ms) and the length of a commit, ` +
    'now tickwright_loss_window_seconds; INGEST_MODE=log-first keeps them'
  );
}

export function directHost(parts: HostParts, live: LiveSource): SourceHost {
  return singleHost({ ...live, isLive: true, crashLoss: crashLossOf(parts), notes: () => [] });
}

/** @throws EngineError KAFKA_UNAVAILABLE */
export function besideHost(parts: HostParts, live: LiveSource): SourceHost {
  const { config, clock, log: logger } = parts;
  const kafka = requireKafka(parts, `PUBLISH_TICKS ${config.PUBLISH_TICKS}`);
  const topic = ticksTopicOf(parts);
  const encoding = config.PUBLISH_TICKS === 'json' ? 'json' : 'packed';
  const log = createTickLog({
    library: kafka.library,
    ...accessOf(kafka),
    topic,
    clock,
    lingerMs: encoding === 'json' ? config.KAFKA_LINGER_MS : 0,
    onTrouble: (error) => logger.error({ err: error, topic }, 'publishing ticks beside: the producer failed and is replaced'),
  });
  const writer = createLogWriter({ log, encoding, clock, lingerMs: config.KAFKA_LINGER_MS });
  const beside = createBeside({ log, writer, clock });
  return singleHost({
    name: live.name,
    title: `${live.title}, published beside to ${topic} (${encoding})`,
    isLive: true,
    crashLoss: crashLossOf(parts),
    start: () => log.open(),
    open: () => beside.attach(live.open()),
    health: () => [{ name: 'beside', ...log.health() }],
    feed() {
      const { written, acknowledged, failedDeliveries } = log.counts();
      return { written, acknowledged, dropped: beside.dropped, failedDeliveries, lagMs: 0, unloggedMs: 0 };
    },
    settle: () => beside.settle(SETTLE_MS),
    notes() {
      const { written, acknowledged } = log.counts();
      const { dropped } = beside;
      return [
        `${formatCount(written)} ticks were published beside to ${topic}, ${formatCount(acknowledged)} of them acknowledged`,
        ...(dropped > 0 ? [`${formatCount(dropped)} ticks were NOT published beside: the queue to Kafka was full`] : []),
      ];
    },
    close: () => log.close(),
  });
}
