/**
 * A process that is a member of a group: `node kafka-member.js BROKERS TOPIC GROUP SESSION_MS [opening]`. SIGTERM ends it, as a drained engine ends.
 * With `opening` it never comes to read, as an engine whose sessions fail while they open, and prints what it has been given whenever that changes.
 */
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { createKafkaReader } from '../../engine/ingest/kafka-reader.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';

const [brokers = '', topic = '', group = '', sessionMs = '', mode = ''] = process.argv.slice(2);
const READ_MS = 20;

const library = await requireRdkafka();
const reader = createKafkaReader({ library, brokers, topic, group, engineId: '', sessionMs: Number(sessionMs), clock: SYSTEM_CLOCK });
await reader.join();
const assigned = await reader.assignment();
let last = '';
const step = (): void => {
  if (mode !== 'opening') {
    reader.pump();
    return;
  }
  reader.end();
  const text = `has ${reader.assigned?.join() ?? 'nothing'}`;
  if (text !== last) console.log(text);
  last = text;
};
if (mode !== 'opening') await reader.begin(new Map(assigned.map((partition) => [partition, 0n])));
const reading = setInterval(step, READ_MS);
process.once('SIGTERM', async () => {
  clearInterval(reading);
  reader.commit(new Map(reader.partitions.map((partition) => [partition, 0n])));
  reader.end();
  await reader.close();
  process.exit();
});
if (mode !== 'opening') console.log('reading');
