/**
 * For tests: a transactional broker behind librdkafka's interface that does with each call what a script says. What is committed goes into
 * the log, with the markers, at once or not at all.
 */
import { murmur2Part } from '../../market/murmur2.ts';
import type { Consumer, Done, Metadata, Producer, Rdkafka, RdkafkaError, TopicPartition } from './rdkafka.ts';

/**
 * What a call meets. `again`: answered as retriable. `abort`: the transaction is lost. `fatal`: the producer is lost, and with it the
 * transaction. `fenced`: as fatal, by somebody else. `lost`: of a commit that came through, but whose answer is an error that ends the producer.
 * `belied`: of one that came through, but whose answer says that the transaction is lost.
 * `silent`: of a call that is neither carried out nor answered; its producer cannot be disconnected any more.
 */
export type Fate = 'done' | 'full' | 'again' | 'abort' | 'fatal' | 'fenced' | 'lost' | 'belied' | 'silent';

export const SCRIPTED_PARTITIONS = 3;

export interface StoredMessage {
  readonly topic: string;
  readonly key: string;
  readonly value: string;
}

export interface ScriptedBroker {
  readonly library: Rdkafka;
  /** What is committed, by partition of the key. */
  readonly log: readonly (readonly StoredMessage[])[];
  readonly markers: ReadonlyMap<number, number>;
  /** Producers that ever connected. */
  producerCount(): number;
  /** Of them, those that nobody asked to disconnect. */
  openProducerCount(): number;
  /** Clients of the marker group that are there now are told nothing from here on, not even that they are disconnected. */
  loseMarkerClients(): void;
}

const CODES: Readonly<Record<Fate, number>> = {
  done: 0,
  silent: 0,
  full: -184,
  again: -185,
  abort: 47,
  fatal: -150,
  fenced: -144,
  lost: -150,
  belied: 47,
};

function errorOf(fate: Fate): RdkafkaError {
  const isFatal = fate === 'fatal' || fate === 'fenced' || fate === 'lost';
  return Object.assign(new Error(`scripted: ${fate}`), {
    code: CODES[fate],
    isFatal,
    isRetriable: fate === 'again',
    isTxnRequiresAbort: fate === 'abort' || fate === 'belied',
  });
}

/** @param script fates in turn; after four rounds everything is done, or a run would not end */
export function createScriptedBroker(script: readonly Fate[]): ScriptedBroker {
  const log: StoredMessage[][] = Array.from({ length: SCRIPTED_PARTITIONS }, () => []);
  const markers = new Map<number, number>();
  let turn = 0;
  let producers = 0;
  let openProducers = 0;
  let markerClients = 0;
  let lostClients = 0;
  const nextFate = (): Fate => {
    const fate = turn < 4 * script.length ? (script[turn % script.length] ?? 'done') : 'done';
    turn += 1;
    return fate;
  };

  class ScriptedProducer implements Producer {
    isOpen = false;
    isLost = false;
    isSilent = false;
    isOpenTransaction = false;
    messages: StoredMessage[] = [];
    offsets: readonly TopicPartition[] = [];

    connect(_options: object, done: (error: RdkafkaError | null, metadata: Metadata) => void): void {
      producers += 1;
      openProducers += 1;
      this.isOpen = true;
      setImmediate(() => done(null, { topics: [], brokers: [] }));
    }

    /** Meets the next fate; `whenDone` happens when that is done, whatever is answered. */
    meet(done: Done, whenDone: () => void): void {
      const fate = this.isLost ? 'fatal' : nextFate();
      if (fate === 'done' || fate === 'full' || fate === 'lost' || fate === 'belied') whenDone();
      if (fate === 'fatal' || fate === 'fenced' || fate === 'lost') this.isLost = true;
      if (fate === 'silent') {
        this.isSilent = true;
        return;
      }
      setImmediate(() => done(fate === 'done' || fate === 'full' ? null : errorOf(fate)));
    }

    initTransactions(_timeoutMs: number, done: Done): void {
      this.meet(done, () => undefined);
    }

    beginTransaction(done: Done): void {
      this.meet(done, () => {
        if (this.isOpenTransaction) throw new Error('begin within a transaction');
        this.isOpenTransaction = true;
        this.messages = [];
        this.offsets = [];
      });
    }

    sendOffsetsToTransaction(offsets: readonly TopicPartition[], _consumer: Consumer, _timeoutMs: number, done: Done): void {
      this.meet(done, () => {
        this.offsets = offsets;
      });
    }

    commitTransaction(_timeoutMs: number, done: Done): void {
      this.meet(done, () => {
        if (!this.isOpenTransaction) throw new Error('commit without a transaction');
        for (const message of this.messages) log[murmur2Part(Buffer.from(message.key), SCRIPTED_PARTITIONS)]!.push(message);
        for (const { partition, offset = -1 } of this.offsets) markers.set(partition, offset);
        this.isOpenTransaction = false;
      });
    }

    abortTransaction(_timeoutMs: number, done: Done): void {
      this.meet(done, () => {
        this.isOpenTransaction = false;
      });
    }

    produce(topic: string, _partition: number | null, value: Buffer, key: Buffer | string): void {
      const fate = this.isLost ? 'fatal' : nextFate();
      if (fate === 'full' || fate === 'abort' || fate === 'fatal') throw errorOf(fate);
      this.messages.push({ topic, key: String(key), value: String(value) });
    }

    poll(): void {
      // Without delivery reports there is nothing to tell.
    }

    on(): void {
      // No events are sent.
    }

    disconnect(_timeoutMs: number, done: () => void): void {
      this.isOpen = false;
      openProducers -= 1;
      if (!this.isSilent) setImmediate(done);
    }

    flush(_timeoutMs: number, done: Done): void {
      setImmediate(() => done(null));
    }

    isConnected(): boolean {
      return this.isOpen;
    }

    getMetadata(): void {
      throw new Error('the publisher asks for no metadata');
    }

    queryWatermarkOffsets(): void {
      throw new Error('the publisher asks for no offsets');
    }
  }

  const absent = (): never => {
    throw new Error('a marker client only connects and reads markers');
  };
  class ScriptedConsumer implements Consumer {
    isOpen = false;
    readonly number = ++markerClients;
    connect(_options: object, done: (error: RdkafkaError | null, metadata: Metadata) => void): void {
      this.isOpen = true;
      setImmediate(() => done(null, { topics: [], brokers: [] }));
    }
    committed(
      partitions: readonly TopicPartition[],
      _timeoutMs: number,
      done: (error: RdkafkaError | null, offsets: readonly TopicPartition[]) => void,
    ): void {
      const offsets = partitions.map(({ topic, partition }) => {
        const offset = markers.get(partition);
        return offset === undefined ? { topic, partition } : { topic, partition, offset };
      });
      setImmediate(() => (this.number <= lostClients ? done(errorOf('again'), []) : done(null, offsets)));
    }
    disconnect(done: () => void): void {
      this.isOpen = false;
      if (this.number > lostClients) setImmediate(done);
    }
    isConnected(): boolean {
      return this.isOpen;
    }
    on(): void {
      // No events are sent.
    }
    subscribe = absent;
    unsubscribe = absent;
    assign = absent;
    unassign = absent;
    pause = absent;
    resume = absent;
    commit = absent;
    consume = absent;
    setDefaultConsumeTimeout = absent;
    getMetadata = absent;
    queryWatermarkOffsets = absent;
  }

  const library: Rdkafka = {
    Producer: ScriptedProducer,
    KafkaConsumer: ScriptedConsumer,
    AdminClient: { create: absent },
    librdkafkaVersion: 'scripted',
  };
  return {
    ...{ library, log, markers },
    producerCount: () => producers,
    openProducerCount: () => openProducers,
    loseMarkerClients() {
      lostClients = markerClients;
    },
  };
}
