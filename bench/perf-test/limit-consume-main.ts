/** A bare limit: reads the ticks topic as the client library hands messages over, and does nothing with them but count their ticks. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loadProcessConfig } from '../../config/load.ts';
import { PACKED_MAGIC } from '../../engine/ingest/packed.ts';
import { connectClient, disconnectConsumer, requireRdkafka } from '../../engine/sinks/kafka/client.ts';

const TIMEOUT_MS = 15_000;
const READ_WAIT_MS = 20;
const BATCH = 1024;
/** Byte at which a packed message has the number of its records. */
const PACKED_COUNT_AT = 8;

const { config } = loadProcessConfig();
const library = await requireRdkafka();
const consumer = new library.KafkaConsumer(
  { 'metadata.broker.list': config.KAFKA_BROKER, 'group.id': config.KAFKA_GROUP, 'enable.auto.commit': false },
  { 'auto.offset.reset': 'earliest' },
);
await connectClient(consumer, config.KAFKA_BROKER, TIMEOUT_MS);
consumer.setDefaultConsumeTimeout(READ_WAIT_MS);
consumer.subscribe([`${config.TOPIC_PREFIX}${config.TICKS_TOPIC}`]);
let ticks = 0;
let isStopping = false;
process.on('SIGTERM', () => {
  isStopping = true;
});
const server = createServer((_request, response) => response.end(`bars_1s_ticks_total ${ticks}\n`));
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve());
});
// A cast: a TCP server's address is never a pipe name.
process.stdout.write(`metrics http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics\n`);
while (!isStopping) {
  ticks += await new Promise<number>((resolve, reject) => {
    consumer.consume(BATCH, (error, messages) =>
      error ? reject(error) : resolve(messages.reduce((sum, { value }) => sum + ticksIn(value), 0)),
    );
  });
}
server.closeAllConnections();
server.close();
await disconnectConsumer(consumer);

/** Of a packed message as many as its header says (schemas/packed.md). */
function ticksIn(value: Buffer | null): number {
  return value !== null && value.length > PACKED_COUNT_AT + 2 && value.readUInt32LE(0) === PACKED_MAGIC
    ? value.readUInt16LE(PACKED_COUNT_AT)
    : 1;
}
