/** The servers of a run: Postgres always, Kafka where there is a client for it; embedded unless named. */
import { type KafkaAccess, kafkaAccess, securityText } from '../../config/kafka-access.ts';
import type { Config } from '../../config/knobs.ts';
import { chooseFetchLane, type FetchLane } from '../ingest/kafka-lane.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { type ChosenLane, chooseProduceLane } from '../sinks/kafka/choose-lane.ts';
import { greetAccess, loadRdkafka } from '../sinks/kafka/client.ts';
import { startEmbeddedKafka } from '../sinks/kafka/embedded.ts';
import type { Rdkafka } from '../sinks/kafka/rdkafka.ts';
import { ensureTopics, planTopics, touchTopics } from '../sinks/kafka/topics.ts';
import { migrate } from '../sinks/postgres/migrate.ts';
import { openPostgres, type PostgresServer } from '../sinks/postgres/server.ts';
import { stageOf } from './stage.ts';

export interface KafkaServer extends KafkaAccess {
  readonly library: Rdkafka;
  readonly isEmbedded: boolean;
  /** How bars are published; `librdkafka` unless given. */
  readonly produceLane?: ChosenLane['name'];
  /** How topics are read that the engine has partitions of; by librdkafka unless given. */
  readonly fetchLane?: FetchLane;
}

export interface Servers {
  readonly postgres: PostgresServer;
  readonly kafka: KafkaServer | undefined;
  /** How Kafka stands, for people. */
  readonly kafkaLabel: string;
  close(): Promise<void>;
}

/** Opens what the run needs, migrates the database, and makes the topics. */
export async function openServers(config: Config, timeframes: readonly Timeframe[], say: (text: string) => void): Promise<Servers> {
  const postgres = await openPostgres(config, say);
  try {
    const applied = await migrate(postgres.connectionString, config.PG_SCHEMA, timeframes);
    if (applied.length > 0) say(`database: schema ${config.PG_SCHEMA} migrated (${applied.length} steps)`);
    const kafka = await openKafka(config, timeframes, say);
    return {
      postgres,
      kafka: kafka.server,
      kafkaLabel: kafka.label,
      async close() {
        await kafka.close();
        await postgres.stop();
      },
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

interface OpenedKafka {
  readonly server: KafkaServer | undefined;
  readonly label: string;
  close(): Promise<void>;
}

async function openKafka(config: Config, timeframes: readonly Timeframe[], say: (text: string) => void): Promise<OpenedKafka> {
  const off = (label: string): OpenedKafka => ({ server: undefined, label, close: async () => undefined });
  if (config.KAFKA === 'off') return off('off (KAFKA=off)');
  const { library, reason } = await loadRdkafka();
  if (!library) {
    say(`Kafka is off: ${reason}`);
    return off('off: the client could not be loaded');
  }
  const { input } = stageOf(config);
  const names = [...(input ? [input] : []), ...timeframes].map((timeframe) => timeframe.name);
  const plans = planTopics(config, names);
  if (config.KAFKA_BROKER !== '') {
    const access = kafkaAccess(config);
    await greetAccess(library, access);
    const ensured = await ensureTopics(library, access, plans);
    if (ensured.created.length > 0) say(`Kafka: created ${ensured.created.length} topics`);
    for (const { topic, partitions, planned } of ensured.differing) say(`Kafka: ${topic} has ${partitions} partitions, planned ${planned}`);
    const lane = await chooseProduceLane({ knob: config.KAFKA_LANE, ...access, isEmbedded: false });
    const server = { library, ...access, isEmbedded: false };
    const how = access.security ? ` (${securityText(access)})` : '';
    return {
      server: { ...server, produceLane: lane.name, fetchLane: await chooseFetchLane(config.KAFKA_LANE, server) },
      label: `${access.brokers}${how}, bars by ${laneText(lane)}`,
      close: async () => undefined,
    };
  }
  const lane = await chooseProduceLane({ knob: config.KAFKA_LANE, brokers: '', isEmbedded: true });
  const embedded = await startEmbeddedKafka(library);
  await touchTopics(library, embedded.brokers, plans);
  const server = { library, brokers: embedded.brokers, isEmbedded: true };
  return {
    server: { ...server, produceLane: lane.name, fetchLane: await chooseFetchLane(config.KAFKA_LANE, server) },
    label: `${embedded.brokers} (${embedded.label})`,
    close: () => embedded.close(),
  };
}

/** A lane and why it was chosen, for people. */
export function laneText({ name, why }: ChosenLane): string {
  return name === 'direct' ? `the direct lane (${why})` : `librdkafka (${why})`;
}
