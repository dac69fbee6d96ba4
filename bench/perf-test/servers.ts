/** The servers of a run: a Kafka and a Postgres of its own, real ones, started once and ended with it; or those that the environment names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../engine/core/errors.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import type { Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { freePort } from '../../engine/sinks/postgres/embedded-process.ts';
import { fetchMonitor } from '../../infra/kafka/broker.ts';
import { createKafka, libsFolder } from '../../test/torture/kafka-server.ts';
import { createPostgres } from '../../test/torture/postgres-server.ts';
import type { BrokerMonitor } from './broker-figures.ts';
import type { WatchedProcess } from './processes.ts';

export interface PerfServers {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly connectionString: string;
  /** Theirs, where they are of this run: servers that were there before are not looked into. */
  readonly processes: readonly WatchedProcess[];
  readonly brokerMonitor: BrokerMonitor;
  /** Versions and addresses without credentials, for the report. */
  readonly described: Readonly<Record<string, string>>;
  close(): Promise<void>;
  /** At once, when the harness itself ends. */
  killNow(): void;
}

export interface ServerOptions {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  say(text: string): void;
}

/** @throws EngineError KAFKA_UNREACHABLE and others of starting the servers */
export async function openPerfServers({ folder, environment, say }: ServerOptions): Promise<PerfServers> {
  const library = await requireRdkafka();
  const closers: (() => Promise<void>)[] = [];
  const killers: (() => void)[] = [];
  const processes: WatchedProcess[] = [];
  const described: Record<string, string> = { librdkafka: library.librdkafkaVersion };

  let brokerMonitor: BrokerMonitor = { notSeen: 'its broker is named by KAFKA_BROKER' };
  let brokers = environment['KAFKA_BROKER'] ?? '';
  if (brokers === '') {
    say('starting a Kafka of its own');
    const { monitor, port } = await openMonitor(say);
    brokerMonitor = monitor;
    const kafka = await createKafka(join(folder, 'kafka'), say, port);
    brokers = kafka.brokers;
    killers.push(() => kafka.killNow());
    closers.push(() => kafka.stop());
    const pid = kafka.pid();
    if (pid !== undefined) processes.push({ name: 'kafka', pid, hasThreads: true });
    described['kafka'] = 'of this run, one broker';
  } else described['kafka'] = 'named by KAFKA_BROKER; its processor time and its own figures are not seen';

  let connectionString = environment['POSTGRES_URL'] ?? '';
  if (connectionString === '') {
    say('starting a Postgres of its own');
    const postgres = await createPostgres(join(folder, 'postgres'));
    connectionString = postgres.connectionString;
    killers.push(() => postgres.killNow());
    closers.push(() => postgres.stop('fast'));
    const pid = Number(readFileSync(join(folder, 'postgres/data/postmaster.pid'), 'utf8').split('\n')[0]);
    processes.push({ name: 'postgres', pid, hasChildren: true, hasThreads: false });
  }
  described['postgres'] = await withConnection(connectionString, undefined, async (client) => {
    const { rows } = await client.query<{ version: string }>('select version()');
    return rows[0]?.version ?? 'unknown';
  });
  return {
    library,
    brokers,
    connectionString,
    processes,
    brokerMonitor,
    described,
    async close() {
      for (const closer of closers.toReversed()) await closer();
    },
    killNow() {
      for (const killer of killers) killer();
    },
  };
}

// Below the ports that systems give to outgoing connections, and beside those of the servers.
const FIRST_MONITOR_PORT = 20_400;

/** A broker without its exporter is measured all the same, and the report says what was not seen. */
async function openMonitor(say: (text: string) => void): Promise<{ readonly monitor: BrokerMonitor; readonly port?: number }> {
  try {
    await fetchMonitor({ port: 0, folder: '', libs: libsFolder(), say });
    const port = await freePort(FIRST_MONITOR_PORT + (process.pid % 400));
    return { monitor: { url: `http://127.0.0.1:${port}` }, port };
  } catch (error) {
    const notSeen = messageOf(error);
    say(`Kafka's own figures will not be seen: ${notSeen}`);
    return { monitor: { notSeen } };
  }
}
