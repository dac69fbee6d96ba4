/** A reader of the 1 s bars as a user's program has one: read committed, stamping what it sees with its own clock. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../engine/core/clock.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { createHistogram, type Histogram } from '../../engine/core/latency.ts';
import { connectClient, disconnectConsumerWithin } from '../../engine/sinks/kafka/client.ts';
import type { Consumer, Message, Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';

export interface BarConsumer {
  /** Bar end to seen, us, of first revisions of bars that began in the time asked for. */
  readonly latency: Histogram;
  readonly seen: number;
  /** May be called again. @throws EngineError KAFKA_UNREACHABLE when reading had failed for long */
  close(): Promise<void>;
}

export interface BarConsumerOptions {
  readonly library: Rdkafka;
  readonly brokers: string;
  readonly topic: string;
  readonly partitions: number;
  /** Bars that begin from here on, and before that; ms since the epoch. */
  readonly fromMs: number;
  readonly toMs: number;
}

const TIMEOUT_MS = 15_000;
const READ_WAIT_MS = 20;
const BATCH = 1000;
/** A broker that has just started refuses reads for a while: nobody leads the partition yet. */
const FAILING_MS = 30_000;
/** The two numbers that are wanted, in the order of the contract. */
const FIELDS = /"ts":(\d+).*?"rev":(\d+)/s;

export async function startBarConsumer(options: BarConsumerOptions): Promise<BarConsumer> {
  const { library, brokers, topic, partitions, fromMs, toMs } = options;
  const consumer: Consumer = new library.KafkaConsumer(
    {
      'metadata.broker.list': brokers,
      'group.id': `perf-test-${process.pid}`,
      'enable.auto.commit': false,
      'enable.auto.offset.store': false,
      'isolation.level': 'read_committed',
      'fetch.wait.max.ms': 5,
    },
    { 'auto.offset.reset': 'earliest' },
  );
  consumer.on('event.error', () => undefined);
  await connectClient(consumer, brokers, TIMEOUT_MS);
  consumer.setDefaultConsumeTimeout(READ_WAIT_MS);
  consumer.assign(Array.from({ length: partitions }, (_, partition) => ({ topic, partition, offset: 0 })));
  const latency = createHistogram();
  let seen = 0;
  let isClosing = false;

  const take = ({ value }: Message, nowMs: number): void => {
    seen += 1;
    const text = value?.toString() ?? '';
    const fields = FIELDS.exec(text);
    // Others' messages have no revision: the first one of a bar is all there is.
    const second = Number(fields?.[1] ?? /"ts":(\d+)/.exec(text)?.[1]);
    const startMs = second * 1000;
    if (Number(fields?.[2] ?? 0) !== 0 || !(startMs >= fromMs && startMs < toMs)) return;
    latency.recordValue(Math.max(0, Math.round((nowMs - startMs - 1000) * 1000)));
  };
  const read = (): Promise<readonly Message[]> =>
    new Promise((resolve, reject) => {
      consumer.consume(BATCH, (error, messages) => (error ? reject(error) : resolve(messages)));
    });
  const readOn = async (): Promise<readonly Message[]> => {
    const began = performance.now();
    for (;;) {
      try {
        return await read();
      } catch (error) {
        const text = `topic ${topic}: unreadable for ${FAILING_MS} ms: ${messageOf(error)}`;
        if (performance.now() - began > FAILING_MS) throw new EngineError('KAFKA_UNREACHABLE', text, { cause: error });
        if (isClosing) return [];
        await sleep(READ_WAIT_MS);
      }
    }
  };
  const loop = async (): Promise<void> => {
    while (!isClosing) {
      const messages = await readOn();
      const nowMs = SYSTEM_CLOCK.wallMs();
      for (const message of messages) take(message, nowMs);
    }
  };
  const done = loop();
  // `close` tells it.
  done.catch(() => undefined);
  const finish = async (): Promise<void> => {
    isClosing = true;
    try {
      await done;
    } finally {
      await disconnectConsumerWithin(consumer, TIMEOUT_MS, SYSTEM_PAUSE);
    }
  };
  let closing: Promise<void> | undefined;
  return {
    latency,
    get seen() {
      return seen;
    },
    close() {
      closing ??= finish();
      return closing;
    },
  };
}
