/** The servers of a run, and what stands between them and the engines: started once, used by every round. */
import { join } from 'node:path';
import type { Engines } from './engines.ts';
import { createKafkaCluster } from './kafka-cluster.ts';
import { createKafka, type OwnKafka } from './kafka-server.ts';
import { createPostgres, type OwnPostgres } from './postgres-server.ts';
import { startProxy } from './proxy.ts';
import { createTopicReader } from './read-topics.ts';
import type { Stage } from './round.ts';

export interface StageOptions {
  readonly root: string;
  readonly folder: string;
  readonly isKept: boolean;
  /** One unless given. */
  readonly brokers?: number;
  say(text: string): void;
}

export interface OpenStage {
  readonly stage: Stage;
  close(): Promise<void>;
}

/** Starts a Kafka and a Postgres. Whatever ends the driver ends them too, and the engines of the round under way. */
export async function openStage({ root, folder, isKept, brokers = 1, say }: StageOptions): Promise<OpenStage> {
  let engines: Engines | undefined;
  let postgres: OwnPostgres | undefined;
  let kafka: OwnKafka | undefined;
  const killNow = (): void => {
    engines?.killNow();
    postgres?.killNow();
    kafka?.killNow();
  };
  process.on('exit', killNow);
  say(`starting a Kafka${brokers === 1 ? '' : ` of ${brokers} brokers`} and a Postgres of its own`);
  const kafkaFolder = join(folder, 'kafka');
  kafka = brokers === 1 ? await createKafka(kafkaFolder, say) : await createKafkaCluster(kafkaFolder, say, brokers);
  postgres = await createPostgres(join(folder, 'postgres'));
  const servers = { kafka, postgres };
  const proxy = await startProxy(postgres.port);
  const reader = await createTopicReader(kafka);
  say(`Kafka at ${kafka.brokers}, Postgres on port ${postgres.port} and by proxy on ${proxy.port}, files in ${folder}`);
  const onEngines = (started: Engines): void => {
    engines = started;
  };
  return {
    stage: { ...servers, proxy, reader, root, folder, isKept, onEngines },
    async close() {
      await reader.close();
      await proxy.close();
      await servers.kafka.stop();
      await servers.postgres.stop('fast');
      process.off('exit', killNow);
    },
  };
}
