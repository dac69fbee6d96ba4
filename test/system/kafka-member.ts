/** A process that is a member of a group: `node kafka-member.js BROKERS TOPIC GROUP SESSION_MS`. SIGTERM ends it, as a drained engine ends. */
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { createKafkaReader } from '../../engine/ingest/kafka-reader.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';

const [brokers = '', topic = '', group = '', sessionMs = ''] = process.argv.slice(2);
const READ_MS = 20;

const library = await requireRdkafka();
const reader = createKafkaReader({ library, brokers, topic, group, engineId: '', sessionMs: Number(sessionMs), clock: SYSTEM_CLOCK });
await reader.join();
await reader.begin(new Map((await reader.assignment()).map((partition) => [partition, 0n])));
const reading = setInterval(() => reader.pump(), READ_MS);
process.once('SIGTERM', async () => {
  clearInterval(reading);
  reader.commit(new Map(reader.partitions.map((partition) => [partition, 0n])));
  reader.end();
  await reader.close();
  process.exit();
});
console.log('reading');
