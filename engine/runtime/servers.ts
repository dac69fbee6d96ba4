/** The servers of a run: Postgres always, Kafka where there is a client for it; embedded unless named. */
import { accessOf, type KafkaAccess, kafkaAccess, securityText } from '../../config/kafka-access.ts';
import type { Config } from '../../config/knobs.ts';
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { type ChosenLane, chooseLane } from '../kafka-direct/choose-lane.ts';
import { FETCH_APIS } from '../kafka-direct/fetcher.ts';
import { PRODUCE_APIS } from '../kafka-direct/produce-requests.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { greetAccess, loadRdkafka } from '../sinks/kafka/client.ts';
import { startEmbeddedKafka } from '../sinks/kafka/embedded.ts';
import { createHangingCheck, type HangingCheck } from '../sinks/kafka/hanging-check.ts';
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
  readonly fetchLane?: ChosenLane;
  /** Where brokers have transactions that hide something. */
  readonly hanging?: HangingCheck;
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
    const server = { library, ...access, isEmbedded: false };
    const { lane, lanes } = await chooseLanes(config, server);
    const how = access.security ? ` (${securityText(access)})` : '';
    const topics = plans.map(({ topic }) => topic);
    const hanging = createHangingCheck({ ...access, topics, clock: SYSTEM_CLOCK, say });
    return {
      server: { ...server, ...lanes, hanging },
      label: `${access.brokers}${how}, bars by ${laneText(lane)}`,
      close: () => hanging.close(),
    };
  }
  const { lanes } = await chooseLanes(config, { brokers: '', isEmbedded: true });
  const embedded = await startEmbeddedKafka(library);
  await touchTopics(library, embedded.brokers, plans);
  return {
    server: { library, brokers: embedded.brokers, isEmbedded: true, ...lanes },
    label: `${embedded.brokers} (${embedded.label})`,
    close: () => embedded.close(),
  };
}

/** The lanes on which bars leave and topics are read. */
async function chooseLanes({ KAFKA_LANE: knob }: Config, server: KafkaAccess & Pick<KafkaServer, 'isEmbedded'>) {
  const question = { knob, ...accessOf(server), isEmbedded: server.isEmbedded };
  const lane = await chooseLane({ ...question, apis: PRODUCE_APIS });
  const fetchLane = await chooseLane({ ...question, apis: FETCH_APIS });
  return { lane, lanes: { produceLane: lane.name, fetchLane } };
}

/** A lane and why it was chosen, for people. */
export function laneText({ name, why }: ChosenLane): string {
  return name === 'direct' ? `the direct lane (${why})` : `librdkafka (${why})`;
}
