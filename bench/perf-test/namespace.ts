/** Where a cell works: topics and a schema of its own, made before it and removed after it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../config/load.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { parseTimeframes, type Timeframe } from '../../engine/market/timeframes.ts';
import { ensureTopics, planTopics, type TopicPlan } from '../../engine/sinks/kafka/topics.ts';
import { quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import type { PerfServers } from './servers.ts';

export interface Namespace {
  readonly prefix: string;
  readonly schema: string;
  readonly group: string;
  readonly ticksTopic: string;
  readonly partitions: number;
  readonly timeframes: readonly Timeframe[];
  /** What every process of the cell is told. */
  readonly environment: Readonly<Record<string, string>>;
  /** The tables as the contract has them, for pipelines that do not make their own; those of all timeframes, or of the ones named. */
  createTables(only?: readonly string[]): Promise<void>;
  remove(): Promise<void>;
}

const PARTITIONS = { P_TICKS: '6', P_BARS: '6' };
const DELETE_TIMEOUT_MS = 30_000;
const DROP_TRIES = 20;
const DROP_REST_MS = 250;

/** @param run name of the run, of letters, digits and underscores */
export async function openNamespace(servers: PerfServers, run: string, cell: string): Promise<Namespace> {
  const name = `perf_${run}_${cell}`;
  const environment = {
    ...PARTITIONS,
    KAFKA_BROKER: servers.brokers,
    POSTGRES_URL: servers.connectionString,
    TOPIC_PREFIX: `${name}.`,
    PG_SCHEMA: name,
    KAFKA_GROUP: name,
  };
  const { config } = loadConfig({ environment });
  const timeframes = parseTimeframes(config.TIMEFRAMES);
  const plans = planTopics(
    config,
    timeframes.map((timeframe) => timeframe.name),
  );
  await ensureTopics(servers.library, servers.brokers, plans);
  return {
    prefix: config.TOPIC_PREFIX,
    schema: name,
    group: name,
    ticksTopic: `${config.TOPIC_PREFIX}${config.TICKS_TOPIC}`,
    partitions: config.P_TICKS,
    timeframes,
    environment,
    createTables(only) {
      const wanted = timeframes.filter((timeframe) => only === undefined || only.includes(timeframe.name));
      return createContractTables(servers.connectionString, name, wanted);
    },
    async remove() {
      await deleteTopics(servers, plans);
      await dropSchema(servers.connectionString, name);
    },
  };
}

async function createContractTables(connectionString: string, schema: string, timeframes: readonly Timeframe[]): Promise<void> {
  await withConnection(connectionString, undefined, async (client) => {
    await client.query(`create schema ${quoteIdentifier(schema)}`);
    for (const { name } of timeframes) {
      await client.query(
        `create table ${quoteIdentifier(schema)}.${quoteIdentifier(`bars_${name}`)} (symbol text not null, ts timestamptz not null,
         o double precision not null, h double precision not null, l double precision not null, c double precision not null,
         vol bigint not null, n_trades integer not null, primary key (symbol, ts))`,
      );
    }
  });
}

async function deleteTopics({ library, brokers }: PerfServers, plans: readonly TopicPlan[]): Promise<void> {
  const admin = library.AdminClient.create({ 'metadata.broker.list': brokers, 'client.id': 'tickwright-perf-test' });
  try {
    await Promise.all(
      plans.map(
        ({ topic }) =>
          new Promise<void>((resolve, reject) => {
            admin.deleteTopic(topic, DELETE_TIMEOUT_MS, (error) => (error ? reject(error) : resolve()));
          }),
      ),
    );
  } finally {
    admin.disconnect();
  }
}

/** A server process of an engine that was killed may hold a lock for a moment. */
async function dropSchema(connectionString: string, schema: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await withConnection(connectionString, undefined, async (client) => {
        await client.query(`set lock_timeout = '5s'`);
        await client.query(`drop schema if exists ${quoteIdentifier(schema)} cascade`);
      });
      return;
    } catch (error) {
      if (tries >= DROP_TRIES) {
        throw new EngineError('PERF_CLEANUP', `schema ${schema}: not dropped after ${tries} tries: ${messageOf(error)}`, { cause: error });
      }
      await sleep(DROP_REST_MS);
    }
  }
}
