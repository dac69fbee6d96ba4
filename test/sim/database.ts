/** The store as a server: sessions and transactions with locks on lanes, and the requests that an engine makes of its lanes. */
import { EngineError } from '../../engine/core/errors.ts';
import type { OutboxRow } from '../../engine/sinks/messages.ts';
import type { BucketKey } from '../../engine/sinks/postgres/amend.ts';
import type { BarValues } from '../../engine/sinks/postgres/bar-record.ts';
import type { LaneStore } from '../../engine/sinks/postgres/lane-store.ts';
import type { LaneClaim } from '../../engine/sinks/postgres/lanes.ts';
import { isDead, type Owner, type Scheduler } from './scheduler.ts';
import { createServer, type Server, WAIT } from './server.ts';
import { type EpochChange, newLane, rowKey, SimFault, type Store } from './store.ts';

/** Of a transaction that is under way. */
export interface Transaction {
  readonly client: Owner;
  readonly lanes: readonly number[];
  /** False once it was committed, rolled back, or ended by the server. */
  isOpen: boolean;
}

export interface EpochRequest {
  readonly client: Owner;
  readonly lanes: readonly number[];
  readonly token: bigint;
  readonly databaseEpoch: number;
}

export interface Database {
  readonly server: Server;
  readonly store: Store;
  /** Something that must never be, once it was. */
  fault: SimFault | undefined;
  laneStore(client: Owner): LaneStore;
  assertOwner(client: Owner, lanes: readonly number[], token: bigint): Promise<void>;
  /** Begins a transaction with the lanes' epoch; undefined when it was committed before. */
  begin(request: EpochRequest): Promise<Transaction | undefined>;
  readRow(transaction: Transaction, key: BucketKey & { readonly symbol: string }): BarValues | undefined;
  commit(transaction: Transaction, change: EpochChange): Promise<void>;
  /** Forgets a transaction whose client has lost its connection. */
  abandon(transaction: Transaction): void;
  /** Ends every transaction, as a restart does. */
  endAll(): void;
}

export interface DatabaseBugs {
  readonly offsetsFirst: boolean;
}

const NOTICE_MS = 30;
const LIMBO_MS = 60;

function lineFailure(): EngineError {
  return new EngineError('POSTGRES_UNREACHABLE', 'simulated: the connection was lost', { retryable: true });
}

export function createDatabase(scheduler: Scheduler, store: Store, bugs: DatabaseBugs): Database {
  const server = createServer(scheduler, 'postgres');
  const { prng } = scheduler;
  let open: Transaction[] = [];

  /** A server notices by and by that a client is gone. */
  const holders = (lanes: readonly number[]): Transaction[] =>
    open.filter((transaction) => transaction.isOpen && transaction.lanes.some((lane) => lanes.includes(lane)));
  const end = (transaction: Transaction): void => {
    transaction.isOpen = false;
    open = open.filter((other) => other !== transaction);
  };
  const endLater = (transaction: Transaction): void => {
    scheduler.after(server.owner, prng.nextFloat() * NOTICE_MS, () => end(transaction));
  };
  /** Locks of clients that died are let go of. */
  const sweep = (): void => {
    for (const transaction of open) if (isDead(transaction.client)) endLater(transaction);
  };
  const isLocked = (lanes: readonly number[]): boolean => {
    sweep();
    return holders(lanes).length > 0;
  };
  const guard = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (error instanceof SimFault) database.fault ??= error;
      throw error;
    }
  };
  const ask = <T>(client: Owner, lanes: readonly number[], work: () => T): Promise<T> =>
    server.request({
      client,
      work: () => (isLocked(lanes) ? WAIT : guard(work)),
      failure: lineFailure,
      // As a claim does with transactions that keep it waiting.
      onPatience: () => holders(lanes).forEach(end),
    });
  const ownedBy = (lanes: readonly number[], token: bigint): boolean => lanes.every((lane) => store.lanes.get(lane)?.owner === token);
  const fenced = (token: bigint): EngineError => new EngineError('FENCED', `claim ${token} no longer owns its lanes`);

  const claim = (lanes: readonly number[], request: Parameters<LaneStore['claim']>[0]): LaneClaim => {
    const token = store.nextToken();
    const rows = lanes.map((lane) => {
      const row = store.lanes.get(lane) ?? newLane();
      store.lanes.set(lane, row);
      if (row.transactionalId !== undefined) row.unfenced = [...row.unfenced, row.transactionalId];
      row.owner = token;
      row.transactionalId = request.transactionalIdOf(token);
      return row;
    });
    const partitions = [...store.partitions].filter(([partition]) => lanes.includes(partition));
    return {
      token,
      baseEpoch: Math.max(...rows.map(({ epoch }) => epoch)),
      previousTransactionalIds: [...new Set(rows.flatMap(({ unfenced }) => unfenced))].toSorted(),
      state: {
        run: request.run,
        files: [],
        rebuild: new Map(),
        openState: [...store.open.values()].filter(({ state }) => lanes.includes(state.partition)).map(({ state }) => state),
        watermarks: partitions.flatMap(([partition, { watermarkNs }]) => (watermarkNs === undefined ? [] : [[partition, watermarkNs]])),
        offsets: partitions.flatMap(([partition, { nextOffset }]) => (nextOffset === undefined ? [] : [[partition, nextOffset]])),
      },
    };
  };

  const database: Database = {
    server,
    store,
    fault: undefined,
    laneStore: (client) => ({
      claim: (request) => ask(client, request.lanes, () => claim(request.lanes, request)),
      owned: ({ lanes, token }) => ask(client, [], () => lanes.filter((lane) => ownedBy([lane], token))),
      readOutbox: ({ lanes }) => ask(client, [], () => store.outbox.filter(({ lane }) => lanes.includes(lane)).toSorted(byPlace)),
      dropOutbox({ token, upTo }) {
        const lanes = [...upTo.keys()];
        return ask(client, lanes, () => {
          if (!ownedBy(lanes, token)) throw fenced(token);
          for (const lane of lanes) store.lanes.get(lane)!.unfenced = [];
          store.outbox = store.outbox.filter(({ lane, epoch }) => epoch > (upTo.get(lane) ?? -1));
        });
      },
      release({ token }) {
        const lanes = [...store.lanes.keys()];
        return ask(client, [], () => {
          for (const lane of lanes) {
            const row = store.lanes.get(lane)!;
            if (row.owner === token) row.owner = undefined;
          }
        });
      },
    }),
    assertOwner: (client, lanes, token) =>
      ask(client, [], () => {
        if (!ownedBy(lanes, token)) throw fenced(token);
      }),
    begin({ client, lanes, token, databaseEpoch }) {
      let transaction: Transaction | undefined;
      return server.request({
        client,
        work() {
          if (isLocked(lanes)) return WAIT;
          if (!store.takeEpoch(lanes, token, databaseEpoch)) return undefined;
          transaction = { client, lanes, isOpen: true };
          open.push(transaction);
          return transaction;
        },
        failure() {
          if (transaction) endLater(transaction);
          return lineFailure();
        },
        onPatience: () => holders(lanes).forEach(end),
      });
    },
    readRow(transaction, key) {
      if (!transaction.isOpen) throw lineFailure();
      return store.rows.get(rowKey(key))?.values;
    },
    commit(transaction, change) {
      const apply = (): void => {
        if (!transaction.isOpen) throw lineFailure();
        end(transaction);
        guard(() => store.apply(change));
      };
      if (bugs.offsetsFirst) store.applyOffsets(change);
      // The commit is on its way when the line breaks: the server carries it out some time later, or never hears of it.
      if (scheduler.isOneIn(server.faults.oneIn)) {
        scheduler.after(server.owner, prng.nextFloat() * LIMBO_MS, () => {
          if (transaction.isOpen && prng.nextBelow(2) === 0) apply();
          else end(transaction);
        });
        return Promise.reject(lineFailure());
      }
      return server.request({ client: transaction.client, work: apply, failure: lineFailure });
    },
    abandon(transaction) {
      if (transaction.isOpen) endLater(transaction);
    },
    endAll() {
      for (const transaction of [...open]) end(transaction);
    },
  };
  return database;
}

function byPlace(left: OutboxRow, right: OutboxRow): number {
  return left.lane - right.lane || left.epoch - right.epoch || left.kind.localeCompare(right.kind) || left.part - right.part;
}
