/** The process of the naive twin. */
import { loadProcessConfig } from '../../config/load.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import { barsTopic } from '../../engine/sinks/kafka/topics.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { startNaive } from './naive.ts';

const { config } = loadProcessConfig();
await withConnection(config.POSTGRES_URL, config.PG_SCHEMA, async (client) => {
  const naive = await startNaive({
    library: await requireRdkafka(),
    brokers: config.KAFKA_BROKER,
    group: config.KAFKA_GROUP,
    ticksTopic: `${config.TOPIC_PREFIX}${config.TICKS_TOPIC}`,
    timeframes: parseTimeframes(config.TIMEFRAMES).map(({ name, seconds }) => ({
      name,
      seconds,
      topic: barsTopic(config.TOPIC_PREFIX, name),
    })),
    client,
  });
  process.on('SIGTERM', () => naive.stop());
  await naive.run();
});
