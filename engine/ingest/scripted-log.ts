/**
 * For tests: a broker behind librdkafka's interface that keeps messages when it is told to, and a log over it. Messages of a producer are
 * acknowledged, refused or forgotten as a test says.
 */
import type { Consumer, DeliveryReport, Header, Metadata, Producer, Rdkafka, RdkafkaError } from '../sinks/kafka/rdkafka.ts';

export interface KeptMessage {
  readonly partition: number;
  readonly key: string;
  readonly value: Buffer;
  readonly isPacked: boolean;
}

export interface ScriptedLogBroker {
  readonly library: Rdkafka;
  /** What is in the topic, by partition. */
  readonly kept: readonly (readonly KeptMessage[])[];
  readonly producerCount: number;
  /** Handed over and not answered. */
  readonly underWay: number;
  /** Keeps and acknowledges the oldest `count` messages under way, all unless given. */
  acknowledge(count?: number): void;
  /** Ends the producer: keeps nothing of what is under way, and says so of each message. */
  fail(text: string): void;
  /** Says that no broker can be reached. */
  disconnect(): void;
  /** Whether producers can connect, and how many messages fit librdkafka's queue. */
  isReachable: boolean;
  queueMax: number;
}

interface UnderWay extends KeptMessage {
  readonly opaque: unknown;
}

function errorOf(text: string, code: number): RdkafkaError {
  return Object.assign(new Error(text), { code });
}

export function createScriptedLogBroker(partitions: number): ScriptedLogBroker {
  const kept: KeptMessage[][] = Array.from({ length: partitions }, () => []);
  let underWay: UnderWay[] = [];
  let producerCount = 0;
  let onReport: (error: RdkafkaError | null, report: DeliveryReport) => void = () => undefined;
  let onError: (error: RdkafkaError) => void = () => undefined;
  const absent = (): never => {
    throw new Error('a log only produces');
  };

  class ScriptedProducer implements Producer {
    isOpen = false;
    isLost = false;
    connect(_options: object, done: (error: RdkafkaError | null, metadata: Metadata) => void): void {
      this.isOpen = broker.isReachable;
      if (this.isOpen) producerCount += 1;
      setImmediate(() => done(this.isOpen ? null : errorOf('no broker', -195), { topics: [], brokers: [] }));
    }
    getMetadata({ topic }: { topic?: string }, done: (error: RdkafkaError | null, metadata: Metadata) => void): void {
      const entry = { name: topic ?? '', partitions: kept.map((_, id) => ({ id, leader: 1 })) };
      setImmediate(() => done(null, { topics: [entry], brokers: [] }));
    }
    produce(
      _topic: string,
      partition: number | null,
      value: Buffer,
      key: Buffer | string,
      _timestamp: number | null,
      opaque?: unknown,
      headers?: readonly Header[],
    ): void {
      if (underWay.length >= broker.queueMax) throw errorOf('queue full', -184);
      underWay.push({ partition: partition ?? -1, key: String(key), value: Buffer.from(value), isPacked: headers !== undefined, opaque });
    }
    on(event: string, listener: (...args: never[]) => void): void {
      // Casts: the listener is that of the event by name.
      if (event === 'delivery-report') onReport = listener as typeof onReport;
      if (event === 'event.error') onError = listener as typeof onError;
    }
    poll(): void {
      // Reports come when the test says so.
    }
    isConnected(): boolean {
      return this.isOpen;
    }
    disconnect(_timeoutMs: number, done: () => void): void {
      this.isOpen = false;
      setImmediate(done);
    }
    flush = absent;
    initTransactions = absent;
    beginTransaction = absent;
    sendOffsetsToTransaction = absent;
    commitTransaction = absent;
    abortTransaction = absent;
    queryWatermarkOffsets = absent;
  }

  class NoConsumer implements Consumer {
    connect = absent;
    subscribe = absent;
    unsubscribe = absent;
    assign = absent;
    unassign = absent;
    pause = absent;
    resume = absent;
    commit = absent;
    committed = absent;
    consume = absent;
    setDefaultConsumeTimeout = absent;
    disconnect = absent;
    getMetadata = absent;
    queryWatermarkOffsets = absent;
    isConnected = absent;
    on = absent;
  }

  const broker: ScriptedLogBroker = {
    library: {
      Producer: ScriptedProducer,
      KafkaConsumer: NoConsumer,
      AdminClient: { create: absent },
      librdkafkaVersion: 'scripted',
    },
    kept,
    isReachable: true,
    queueMax: Number.MAX_SAFE_INTEGER,
    get producerCount() {
      return producerCount;
    },
    get underWay() {
      return underWay.length;
    },
    acknowledge(count = underWay.length) {
      for (const { opaque, ...message } of underWay.splice(0, count)) {
        const list = kept[message.partition];
        if (!list) throw new Error(`partition ${message.partition} of ${partitions}`);
        list.push(message);
        onReport(null, { topic: '', partition: message.partition, offset: list.length - 1, opaque });
      }
    },
    fail(text) {
      const lost = underWay;
      underWay = [];
      onError(errorOf(`Fatal error: ${text}`, -150));
      for (const { partition, opaque } of lost) onReport(errorOf(text, -150), { topic: '', partition, offset: -1, opaque });
    },
    disconnect() {
      onError(errorOf('1/1 brokers are down: all broker connections are down', -1));
    },
  };
  return broker;
}
