/**
 * Publishes announced epochs in order, whole ones, as many to a transaction as its size allows. Runs on main. What an epoch holds is its
 * publisher's to know.
 */
import { messageOf } from '../../core/errors.ts';
import type { Outlet } from './outlet.ts';
import type { LinkHealth, Transactor } from './transactor.ts';

/** A transaction takes further epochs in until it has this many messages. */
const TRANSACTION_MESSAGES = 32_768;

export interface Epoch {
  readonly databaseEpoch: number;
}

export interface EpochQueueOptions<Announced extends Epoch> {
  readonly transactor: Transactor;
  /** Each lane's marker moves with the epochs. */
  readonly lanes: readonly number[];
  /** Messages of an epoch. */
  sizeOf(epoch: Announced): number;
  /** Puts all messages, in order. Called again from the beginning for each attempt. */
  send(outlet: Outlet, epochs: readonly Announced[]): Promise<void>;
  /** Told of epochs that are published, with their messages, and how many attempts it took; 0 when it took none. */
  onPublished(epochs: readonly Announced[], size: number, attempts: number): void;
}

export interface EpochQueue<Announced extends Epoch> {
  /** Says that an epoch is committed; in order. */
  announce(epoch: Announced): void;
  /** Starts what can be started. Never blocks. */
  poll(): void;
  /** Epochs announced and not published. */
  readonly length: number;
  /** Latest epoch that was announced; 0 before the first. */
  readonly announcedEpoch: number;
  /** Database epoch up to which everything is known to be published; 0 before the first. */
  readonly publishedEpoch: number;
  readonly isBusy: boolean;
  /** Of the link; down once nothing more is published. */
  readonly health: LinkHealth;
  /** FENCED, or what will not pass: nothing more is published. */
  failure(): Error | undefined;
}

export function createEpochQueue<Announced extends Epoch>(options: EpochQueueOptions<Announced>): EpochQueue<Announced> {
  const { transactor, lanes, sizeOf, send, onPublished } = options;
  /** Epochs not published yet, in order. */
  const waiting: Announced[] = [];
  let announcedEpoch = 0;
  let publishedEpoch = 0;
  let failure: Error | undefined;
  let isBusy = false;

  /** Publishes the oldest epochs, one at least. Those without messages need no transaction: the markers move with the next that have some. */
  const publishNext = async (): Promise<void> => {
    const epochs: Announced[] = [];
    let size = 0;
    for (const epoch of waiting) {
      if (epochs.length > 0 && size + sizeOf(epoch) > TRANSACTION_MESSAGES) break;
      epochs.push(epoch);
      size += sizeOf(epoch);
    }
    const last = epochs.at(-1);
    if (!last) return;
    const markers = new Map(lanes.map((lane) => [lane, last.databaseEpoch]));
    const attempts = size > 0 ? await transactor.publish({ markers, send: (outlet) => send(outlet, epochs) }) : 0;
    waiting.splice(0, epochs.length);
    publishedEpoch = last.databaseEpoch;
    onPublished(epochs, size, attempts);
  };

  const run = async (): Promise<void> => {
    isBusy = true;
    try {
      while (waiting.length > 0) await publishNext();
    } catch (error) {
      failure = error instanceof Error ? error : new Error(messageOf(error));
    } finally {
      isBusy = false;
    }
  };

  const poll = (): void => {
    transactor.poll();
    if (!isBusy && !failure && waiting.length > 0) void run();
  };

  return {
    announce(epoch) {
      waiting.push(epoch);
      announcedEpoch = epoch.databaseEpoch;
      poll();
    },
    poll,
    get length() {
      return waiting.length;
    },
    get announcedEpoch() {
      return announcedEpoch;
    },
    get publishedEpoch() {
      return publishedEpoch;
    },
    get isBusy() {
      return isBusy;
    },
    get health() {
      return failure ? { isUp: false, detail: failure.message, sinceMs: transactor.health.sinceMs } : transactor.health;
    },
    failure: () => failure,
  };
}
