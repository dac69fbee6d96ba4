/**
 * Publishes the fills of committed epochs to the topic fills. Runs on main.
 *
 *   announced epochs ─▶ one transaction: lines of whole epochs, the marker of lane 0
 *
 * What is not published when the process dies stands in the outbox, and is published by who claims the lane next.
 */
import { messageOf } from '../../core/errors.ts';
import type { TransactionOptions } from './marker.ts';
import { type Outlet, putAll } from './outlet.ts';
import { fillsTopic } from './topics.ts';
import { createTransactor, type LinkHealth, type TransactorOptions } from './transactor.ts';

/** A transaction takes further epochs in until it has this many messages. */
const TRANSACTION_MESSAGES = 32_768;

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

interface Announced {
  readonly databaseEpoch: number;
  readonly messages: readonly FillMessage[];
}

export function createFillPublisher(options: FillPublisherOptions): FillPublisher {
  const { transactions } = options;
  const transactor = createTransactor(options);
  const topic = fillsTopic(options.prefix);
  const announced: Announced[] = [];
  let outstanding = 0;
  let published = 0;
  let publishedEpoch = 0;
  let failure: Error | undefined;
  let isBusy = false;

  const takeCount = (): number => {
    let messages = 0;
    let taken = 0;
    for (const epoch of announced) {
      messages += epoch.messages.length;
      if (taken > 0 && messages > TRANSACTION_MESSAGES) break;
      taken += 1;
    }
    return taken;
  };

  const send = (outlet: Outlet, messages: readonly FillMessage[]): Promise<void> =>
    putAll(outlet, messages, ({ symbol, line }) => ({ topic, key: symbol, payload: Buffer.from(line) }));

  /** Publishes the oldest announced epochs. Those without fills need no transaction: the marker moves with the next that have some. */
  const publishNext = async (): Promise<void> => {
    const epochs = announced.slice(0, takeCount());
    const last = epochs.at(-1);
    if (!last) return;
    const messages = epochs.flatMap((epoch) => epoch.messages);
    if (messages.length > 0) {
      const markers = new Map(transactions.lanes.map((lane) => [lane, last.databaseEpoch]));
      await transactor.publish({ markers, send: (outlet) => send(outlet, messages) });
    }
    announced.splice(0, epochs.length);
    outstanding -= messages.length;
    published += messages.length;
    publishedEpoch = last.databaseEpoch;
  };

  const run = async (): Promise<void> => {
    isBusy = true;
    try {
      while (announced.length > 0) await publishNext();
    } catch (error) {
      failure = error instanceof Error ? error : new Error(messageOf(error));
    } finally {
      isBusy = false;
    }
  };

  const poll = (): void => {
    transactor.poll();
    if (!isBusy && !failure && announced.length > 0) void run();
  };

  return {
    connect: () => transactor.open(),
    epochCommitted(databaseEpoch, messages) {
      announced.push({ databaseEpoch, messages });
      outstanding += messages.length;
      poll();
    },
    poll,
    get outstanding() {
      return outstanding;
    },
    get published() {
      return published;
    },
    get publishedEpoch() {
      return publishedEpoch;
    },
    get health() {
      return failure ? { isUp: false, detail: failure.message, sinceMs: transactor.health.sinceMs } : transactor.health;
    },
    failure: () => failure,
    close: () => transactor.close(),
  };
}
