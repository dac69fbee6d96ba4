/** `npm run kafka:up` and `npm run kafka:down`: a real Kafka broker without containers, with the topics of the contract. */
import { join } from 'node:path';
import { loadProcessConfig } from '../../config/load.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { loadRdkafka } from '../../engine/sinks/kafka/client.ts';
import { ensureTopics, planTopics } from '../../engine/sinks/kafka/topics.ts';
import { addressOf, type LocalBroker, logPath, runningPid, startBroker, stopBroker } from './broker.ts';

const PORT_DEFAULT = 39092;

function localBroker(): LocalBroker {
  const text = process.env['KAFKA_LOCAL_PORT'] ?? String(PORT_DEFAULT);
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1024 || port > 65534) {
    throw new EngineError('KNOBS_INVALID', `KAFKA_LOCAL_PORT ${text}: expected a whole number, 1024 to 65534`);
  }
  return { port, folder: join(PROJECT_ROOT, '.data/kafka'), say: (line) => console.log(line) };
}

async function up(broker: LocalBroker): Promise<void> {
  const { config } = loadProcessConfig({});
  const isNew = await startBroker(broker);
  const address = addressOf(broker);
  console.log(`Kafka ${isNew ? 'is up' : 'was up already'} at ${address} (pid ${runningPid(broker)}, log ${logPath(broker)})`);
  const { library, reason } = await loadRdkafka();
  if (library) {
    const names = parseTimeframes(config.TIMEFRAMES).map((timeframe) => timeframe.name);
    const { created, existing, differing } = await ensureTopics(library, address, planTopics(config, names));
    console.log(`topics: ${created.length} created, ${existing.length} there before`);
    for (const { topic, partitions, planned } of differing) console.log(`topic ${topic} has ${partitions} partitions, planned ${planned}`);
  } else {
    console.log(`topics were not created: ${reason}`);
  }
  console.log(`use it:  KAFKA_BROKER=${address} npm start`);
  console.log('stop it: npm run kafka:down');
}

async function down(broker: LocalBroker): Promise<void> {
  console.log((await stopBroker(broker)) ? 'Kafka is down' : 'Kafka was not running');
}

const COMMANDS: Readonly<Record<string, (broker: LocalBroker) => Promise<void>>> = { up, down };
const command = COMMANDS[process.argv[2] ?? ''];
try {
  if (!command) throw new EngineError('USAGE', `local Kafka: '${process.argv[2] ?? ''}': expected up or down`);
  await command(localBroker());
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
