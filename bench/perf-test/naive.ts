/**
 * The pipeline that one would write in an afternoon, to measure the engine against: one thread, JSON.parse, a Map of objects, an INSERT of many
 * rows, a message each. It closes a bucket when its partition's event time has passed it, keeps nothing across a restart, and loses what a crash takes.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  connectClient,
  disconnectConsumer,
  disconnectProducer,
  PRODUCER_TOPIC_SETTINGS,
  producerSettings,
} from '../../engine/sinks/kafka/client.ts';
import type { Consumer, Message, Producer, Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { type Connection, quoteIdentifier } from '../../engine/sinks/postgres/connection.ts';

export interface NaiveOptions {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly group: string;
  readonly ticksTopic: string;
  /** Name and seconds, the shortest first. */
  readonly timeframes: readonly { readonly name: string; readonly seconds: number; readonly topic: string }[];
  readonly client: Connection;
}

interface Tick {
  readonly symbol: string;
  readonly event_ts: number;
  readonly ltp: number;
  readonly vol: number;
}

interface Bar {
  readonly symbol: string;
  readonly ts: number;
  readonly partition: number;
  o: number;
  h: number;
  l: number;
  c: number;
  vol: number;
  n: number;
}

const BATCH = 1000;
const READ_WAIT_MS = 20;
const TIMEOUT_MS = 15_000;
const LINGER_MS = 5;
const FLUSH_MS = 100;
const COLUMNS = 8;
/** Postgres takes 65,535 parameters. */
const ROWS_MAX = 8000;

export interface Naive {
  run(): Promise<void>;
  stop(): void;
}

export async function startNaive(options: NaiveOptions): Promise<Naive> {
  const { library, brokers, timeframes } = options;
  const producer: Producer = new library.Producer(producerSettings(brokers, LINGER_MS), PRODUCER_TOPIC_SETTINGS);
  const consumer: Consumer = new library.KafkaConsumer(
    { 'metadata.broker.list': brokers, 'group.id': options.group, 'enable.auto.commit': true },
    { 'auto.offset.reset': 'earliest' },
  );
  await Promise.all([connectClient(producer, brokers, TIMEOUT_MS), connectClient(consumer, brokers, TIMEOUT_MS)]);
  consumer.setDefaultConsumeTimeout(READ_WAIT_MS);
  consumer.subscribe([options.ticksTopic]);
  const open = timeframes.map(() => new Map<string, Bar>());
  const latest = new Map<number, number>();
  let ticks = 0;
  let isStopping = false;

  const take = (message: Message): void => {
    const tick: Tick = JSON.parse(String(message.value));
    const second = Math.floor(tick.event_ts / 1e9);
    latest.set(message.partition, Math.max(latest.get(message.partition) ?? 0, second));
    for (const [index, { seconds }] of timeframes.entries()) {
      const ts = second - (second % seconds);
      const key = `${tick.symbol} ${ts}`;
      const bar = open[index]!.get(key);
      if (bar === undefined) {
        const { symbol, ltp, vol } = tick;
        open[index]!.set(key, { symbol, ts, partition: message.partition, o: ltp, h: ltp, l: ltp, c: ltp, vol, n: 1 });
        continue;
      }
      bar.h = Math.max(bar.h, tick.ltp);
      bar.l = Math.min(bar.l, tick.ltp);
      bar.c = tick.ltp;
      bar.vol += tick.vol;
      bar.n += 1;
    }
    ticks += 1;
  };

  const close = async (): Promise<void> => {
    for (const [index, { name, seconds, topic }] of timeframes.entries()) {
      const done: Bar[] = [];
      for (const [key, bar] of open[index]!) {
        if (bar.ts + seconds > (latest.get(bar.partition) ?? 0)) continue;
        done.push(bar);
        open[index]!.delete(key);
      }
      for (let at = 0; at < done.length; at += ROWS_MAX) await insert(options.client, `bars_${name}`, done.slice(at, at + ROWS_MAX));
      for (const { symbol, ts, o, h, l, c, vol, n } of done) {
        producer.produce(topic, null, Buffer.from(JSON.stringify({ symbol, ts, o, h, l, c, vol, n_trades: n })), symbol, null);
      }
    }
    producer.poll();
  };

  const read = (): Promise<readonly Message[]> =>
    new Promise((resolve, reject) => {
      consumer.consume(BATCH, (error, messages) => (error ? reject(error) : resolve(messages)));
    });
  const server = createServer((_request, response) => response.end(`bars_1s_ticks_total ${ticks}\n`));
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  // A cast: a TCP server's address is never a pipe name.
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`metrics http://127.0.0.1:${port}/metrics\n`);
  return {
    async run() {
      let closedMs = performance.now();
      while (!isStopping) {
        for (const message of await read()) take(message);
        if (performance.now() - closedMs < FLUSH_MS) continue;
        closedMs = performance.now();
        await close();
      }
      await close();
      await new Promise<void>((resolve) => {
        producer.flush(TIMEOUT_MS, () => resolve());
      });
      server.closeAllConnections();
      server.close();
      await disconnectConsumer(consumer);
      await disconnectProducer(producer, TIMEOUT_MS);
    },
    stop() {
      isStopping = true;
    },
  };
}

async function insert(client: Connection, table: string, bars: readonly Bar[]): Promise<void> {
  if (bars.length === 0) return;
  const rows = bars.map((_, row) => `(${Array.from({ length: COLUMNS }, (_unused, column) => placeholder(row, column)).join(', ')})`);
  const values = bars.flatMap(({ symbol, ts, o, h, l, c, vol, n }) => [symbol, ts, o, h, l, c, vol, n]);
  await client.query(`insert into ${quoteIdentifier(table)} (symbol, ts, o, h, l, c, vol, n_trades) values ${rows.join(', ')}`, values);
}

function placeholder(row: number, column: number): string {
  const place = `$${row * COLUMNS + column + 1}`;
  return column === 1 ? `to_timestamp(${place})` : place;
}
