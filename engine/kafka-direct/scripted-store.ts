/**
 * For tests: what a cluster stores of a producer, by Kafka's rules of epochs, sequences and transactions. Nothing here is on a wire.
 */
import { KAFKA_CODE } from './broker-errors.ts';

/** Batches of a producer that a partition recognises when they come again. */
const KNOWN_BATCHES = 5;

export interface StoredRecord {
  readonly key: string;
  readonly value: string;
}

export interface ProducerKey {
  readonly transactionalId: string;
  readonly producerId: bigint;
  readonly epoch: number;
}

export interface StoredBatch {
  readonly topic: string;
  readonly partition: number;
  readonly producerId: bigint;
  readonly epoch: number;
  readonly sequence: number;
  readonly records: readonly StoredRecord[];
}

export interface ScriptedStore {
  /** Ends what is open under the id, and gives it the next epoch. */
  init(transactionalId: string): { readonly producerId: bigint; readonly epoch: number };
  addPartition(key: ProducerKey, topic: string, partition: number): number;
  addGroup(key: ProducerKey): number;
  commitOffset(key: ProducerKey, partition: number, offset: number): number;
  produce(transactionalId: string, batch: StoredBatch): number;
  end(key: ProducerKey, isCommitted: boolean): number;
  /** Committed offsets; undefined while a transaction is moving some. */
  offsets(): ReadonlyMap<number, number> | undefined;
  /** What is committed of a topic, by partition. */
  committed(topic: string, partitions: number): StoredRecord[][];
}

interface Transaction {
  readonly producerId: bigint;
  epoch: number;
  partitions: Set<string>;
  batches: StoredBatch[];
  offsets: Map<number, number>;
  hasGroup: boolean;
}

interface Line {
  readonly log: StoredBatch[];
  epoch: number;
  known: { readonly sequence: number; readonly epoch: number }[];
  next: number;
}

export function createScriptedStore(): ScriptedStore {
  const transactions = new Map<string, Transaction>();
  const lines = new Map<string, Line>();
  const committed = new Set<StoredBatch>();
  const offsets = new Map<number, number>();

  const lineOf = (topic: string, partition: number): Line => {
    const key = `${partition} ${topic}`;
    const line = lines.get(key) ?? { log: [], epoch: -1, known: [], next: 0 };
    lines.set(key, line);
    return line;
  };
  /** The transaction of the id, or the code that refuses who asks. */
  const open = ({ transactionalId, producerId, epoch }: ProducerKey): Transaction | number => {
    const transaction = transactions.get(transactionalId);
    if (!transaction || transaction.producerId !== producerId) return KAFKA_CODE.invalidTxnState;
    return transaction.epoch === epoch ? transaction : KAFKA_CODE.producerFenced;
  };
  const close = (transaction: Transaction, isCommitted: boolean): void => {
    if (isCommitted) {
      for (const batch of transaction.batches) committed.add(batch);
      for (const [partition, offset] of transaction.offsets) offsets.set(partition, offset);
    }
    transaction.partitions = new Set();
    transaction.batches = [];
    transaction.offsets = new Map();
    transaction.hasGroup = false;
  };

  return {
    init(transactionalId) {
      const producerId = BigInt(1000 + transactions.size);
      const fresh: Transaction = { producerId, epoch: -1, partitions: new Set(), batches: [], offsets: new Map(), hasGroup: false };
      const transaction = transactions.get(transactionalId) ?? fresh;
      transactions.set(transactionalId, transaction);
      close(transaction, false);
      transaction.epoch += 1;
      return { producerId: transaction.producerId, epoch: transaction.epoch };
    },
    addPartition(key, topic, partition) {
      const transaction = open(key);
      if (typeof transaction === 'number') return transaction;
      transaction.partitions.add(`${partition} ${topic}`);
      return KAFKA_CODE.none;
    },
    addGroup(key) {
      const transaction = open(key);
      if (typeof transaction === 'number') return transaction;
      transaction.hasGroup = true;
      return KAFKA_CODE.none;
    },
    commitOffset(key, partition, offset) {
      const transaction = open(key);
      if (typeof transaction === 'number') return transaction;
      if (!transaction.hasGroup) return KAFKA_CODE.invalidTxnState;
      transaction.offsets.set(partition, offset);
      return KAFKA_CODE.none;
    },
    produce(transactionalId, batch) {
      const transaction = transactions.get(transactionalId);
      const line = lineOf(batch.topic, batch.partition);
      if (batch.epoch < line.epoch || transaction?.epoch !== batch.epoch) return KAFKA_CODE.invalidProducerEpoch;
      if (!transaction.partitions.has(`${batch.partition} ${batch.topic}`)) return KAFKA_CODE.invalidTxnState;
      if (batch.epoch > line.epoch) {
        line.epoch = batch.epoch;
        line.next = 0;
        line.known = [];
      }
      if (line.known.some(({ sequence, epoch }) => sequence === batch.sequence && epoch === batch.epoch)) return KAFKA_CODE.none;
      if (batch.sequence !== line.next) return KAFKA_CODE.outOfOrderSequence;
      line.log.push(batch);
      transaction.batches.push(batch);
      line.next += batch.records.length;
      line.known = [...line.known, { sequence: batch.sequence, epoch: batch.epoch }].slice(-KNOWN_BATCHES);
      return KAFKA_CODE.none;
    },
    end(key, isCommitted) {
      const transaction = open(key);
      if (typeof transaction === 'number') return transaction;
      if (transaction.partitions.size === 0 && !transaction.hasGroup) return KAFKA_CODE.invalidTxnState;
      close(transaction, isCommitted);
      return KAFKA_CODE.none;
    },
    offsets: () => ([...transactions.values()].some((transaction) => transaction.offsets.size > 0) ? undefined : offsets),
    committed: (topic, partitions) =>
      Array.from({ length: partitions }, (_, partition) =>
        lineOf(topic, partition)
          .log.filter((batch) => committed.has(batch))
          .flatMap(({ records }) => records),
      ),
  };
}
