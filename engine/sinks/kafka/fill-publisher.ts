/**
 * Publishes the fills of committed epochs to the topic fills. Runs on main.
 *
 *   announced epochs ─▶ one transaction: lines of whole epochs, the marker of lane 0
 *
 * What is not published when the process dies stands in the outbox, and is published by who claims the lane next.
 */
import { createEpochQueue, type Epoch } from './epoch-queue.ts';
import type { TransactionOptions } from './marker.ts';
import { putAll } from './outlet.ts';
import { fillsTopic } from './topics.ts';
import { createTransactor, type LinkHealth, type TransactorOptions } from './transactor.ts';

export interface FillPublisherOptions extends TransactorOptions {
  readonly prefix: string;
  readonly transactions: TransactionOptions;
}

/** A message with its key: fills of a symbol go to one partition. */
export interface FillMessage {
  readonly symbol: string;
  readonly line: string;
}

export interface FillPublisher {
  /** @throws EngineError KAFKA_UNREACHABLE (retryable), FENCED */
  connect(): Promise<void>;
  /** Says that an epoch is committed; in order. */
  epochCommitted(databaseEpoch: number, messages: readonly FillMessage[]): void;
  /** Starts what can be started. Never blocks. */
  poll(): void;
  /** Messages announced and not published. */
  readonly outstanding: number;
  readonly published: number;
  /** Database epoch up to which everything is known to be published; 0 before the first. */
  readonly publishedEpoch: number;
  readonly health: LinkHealth;
  /** FENCED, or what will not pass: nothing more is published. */
  failure(): Error | undefined;
  close(): Promise<void>;
}

interface Announced extends Epoch {
  readonly messages: readonly FillMessage[];
}

export function createFillPublisher(options: FillPublisherOptions): FillPublisher {
  const transactor = createTransactor(options);
  const topic = fillsTopic(options.prefix);
  let outstanding = 0;
  let published = 0;
  const queue = createEpochQueue<Announced>({
    transactor,
    lanes: options.transactions.lanes,
    sizeOf: ({ messages }) => messages.length,
    send(outlet, epochs) {
      const all = epochs.flatMap(({ messages }) => messages);
      return putAll(outlet, all, ({ symbol, line }) => ({ topic, key: symbol, payload: Buffer.from(line) }));
    },
    onPublished(_epochs, size) {
      outstanding -= size;
      published += size;
    },
  });

  return {
    connect: () => transactor.open(),
    epochCommitted(databaseEpoch, messages) {
      outstanding += messages.length;
      queue.announce({ databaseEpoch, messages });
    },
    poll: queue.poll,
    get outstanding() {
      return outstanding;
    },
    get published() {
      return published;
    },
    get publishedEpoch() {
      return queue.publishedEpoch;
    },
    get health() {
      return queue.health;
    },
    failure: queue.failure,
    close: () => transactor.close(),
  };
}
