/**
 * Another program's 1 s builder, as a process of its own: one thread, a Map of objects, the contract's fields and no others. It publishes what it
 * has at least once, as the old ones do: every third bar twice. Reads from the beginning, ends at a signal.
 *
 *   node naive-bars1s.js BROKERS PREFIX
 */
import { connectClient, disconnectConsumer, requireRdkafka, topicMetadata } from '../../engine/sinks/kafka/client.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { openLineWriter } from './stage-ticks.ts';

interface NaiveBar {
  readonly symbol: string;
  readonly ts: number;
  readonly o: number;
  h: number;
  l: number;
  c: number;
  vol: number;
  n_trades: number;
}

/** A second is over when its partition has gone so far past it. */
const GRACE_SEC = 1;
const TIMEOUT_MS = 60_000;
const REPEAT_ONE_IN = 3;

const [brokers = '', prefix = ''] = process.argv.slice(2);
const library = await requireRdkafka();
const consumer = new library.KafkaConsumer(
  { 'metadata.broker.list': brokers, 'group.id': `${prefix}naive`, 'enable.auto.commit': false, 'fetch.wait.max.ms': 50 },
  { 'auto.offset.reset': 'earliest' },
);
await connectClient(consumer, brokers, TIMEOUT_MS);
const topic = `${prefix}ticks`;
const partitions = (await topicMetadata(consumer, topic, TIMEOUT_MS))?.partitions.map(({ id }) => id) ?? [];
const barPartitions = (await topicMetadata(consumer, `${prefix}bars.1s`, TIMEOUT_MS))?.partitions.length ?? 0;
consumer.assign(partitions.map((partition) => ({ topic, partition, offset: 0 })));
consumer.setDefaultConsumeTimeout(50);
const writer = await openLineWriter({ library, brokers }, `${prefix}bars.1s`, barPartitions);

/** By partition: open bars by symbol and second. */
const open = new Map<number, Map<string, NaiveBar>>(partitions.map((partition) => [partition, new Map()]));
const latestSec = new Map<number, number>();
let published = 0;
let isStopped = false;

function take({ partition, value }: Message): void {
  const text = String(value);
  const { symbol, ltp, vol } = JSON.parse(text);
  // Nanoseconds exceed 2^53: the digits before the last nine are the seconds.
  const ts = Number(/"event_ts":(\d+)\d{9}/.exec(text)?.[1]);
  latestSec.set(partition, Math.max(latestSec.get(partition) ?? 0, ts));
  const key = `${symbol} ${ts}`;
  const bar = open.get(partition)?.get(key);
  if (bar === undefined) {
    open.get(partition)?.set(key, { symbol, ts, o: ltp, h: ltp, l: ltp, c: ltp, vol, n_trades: 1 });
    return;
  }
  bar.h = Math.max(bar.h, ltp);
  bar.l = Math.min(bar.l, ltp);
  bar.c = ltp;
  bar.vol += vol;
  bar.n_trades += 1;
}

function publishClosed(): void {
  for (const [partition, bars] of open) {
    const overSec = (latestSec.get(partition) ?? 0) - GRACE_SEC;
    const closed = [...bars].filter(([, bar]) => bar.ts < overSec).sort(([, left], [, right]) => left.ts - right.ts);
    for (const [key, bar] of closed) {
      const line = { symbol: bar.symbol, text: JSON.stringify({ ...bar, tf: '1s' }) };
      published += 1;
      writer.write(published % REPEAT_ONE_IN === 0 ? [line, line] : [line]);
      bars.delete(key);
    }
  }
}

process.on('SIGTERM', () => {
  isStopped = true;
});
console.log('naive 1 s builder runs');
while (!isStopped) {
  const batch = await new Promise<readonly Message[]>((resolve, reject) => {
    consumer.consume(500, (error, messages) => (error ? reject(error) : resolve(messages)));
  });
  for (const message of batch) take(message);
  publishClosed();
}
await writer.settle();
await writer.close();
await disconnectConsumer(consumer);
console.log(`naive 1 s builder published ${published} bars`);
process.exit(0);
