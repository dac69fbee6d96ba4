/** The exchange's connection to the database: commits an epoch, again and again until it is durable, and says how the database is. */
import type { Clock, Pause } from '../../core/clock.ts';
import { assert, EngineError, messageOf } from '../../core/errors.ts';
import type { Catalogue } from '../../execution/exchange/catalogue.ts';
import type { ExchangeEpoch, StoredExchange, TakenName } from '../../execution/exchange/epoch.ts';
import type { ExchangeStore } from '../../execution/exchange/exchange.ts';
import { type Connection, close, connect, isRetryable } from './connection.ts';
import { assertOwner, type LaneOwner } from './lane-fence.ts';
import { readExchange, readTakenNames } from './order-state.ts';
import { commitOrders } from './order-transaction.ts';
import type { Database } from './runs.ts';
import { lockSource } from './source-lock.ts';

export interface OrderStoreOptions extends Database {
  readonly source: string;
  readonly lanes: readonly number[];
  readonly catalogue: Catalogue;
  readonly isPublishing: boolean;
  readonly clock: Clock;
  readonly pause: Pause;
}

export interface OrderStore extends ExchangeStore {
  /** Connects, and makes sure that no other engine that is alive writes the source. @throws EngineError SOURCE_TAKEN */
  open(): Promise<void>;
  /** From now on epochs are those of this claim. */
  own(token: bigint): void;
  read(): Promise<StoredExchange>;
  readonly health: { readonly isUp: boolean; readonly detail: string; readonly sinceMs: number };
  /** What is waiting for the server gives up. */
  abandon(): void;
  close(): Promise<void>;
}

const BACK_OFF_MS = 50;
const BACK_OFF_MAX_MS = 2000;

export function createOrderStore(options: OrderStoreOptions): OrderStore {
  const { catalogue, isPublishing, source, lanes, clock, pause, schema } = options;
  let client: Connection | undefined;
  let owner: LaneOwner | undefined;
  let isAbandoned = false;
  let health = { isUp: false, detail: 'not connected yet', sinceMs: clock.wallMs() };

  const report = (isUp: boolean, detail: string): void => {
    if (isUp === health.isUp && detail === health.detail) return;
    health = { isUp, detail, sinceMs: isUp === health.isUp ? health.sinceMs : clock.wallMs() };
  };

  const drop = async (): Promise<void> => {
    const lost = client;
    client = undefined;
    if (lost !== undefined) await close(lost);
  };

  const connected = async (): Promise<Connection> => {
    if (client !== undefined) return client;
    const fresh = await connect(options.connectionString, schema);
    try {
      // Who has lost the lanes does not wait for the lock: whoever claimed them may hold it for days.
      if (owner !== undefined) await assertOwner(fresh, owner);
      await lockSource(fresh, { schema, source, isRetryable: true });
      if (owner !== undefined) await assertOwner(fresh, owner);
    } catch (thrown) {
      await close(fresh);
      throw thrown;
    }
    client = fresh;
    return fresh;
  };

  /** Repeats `attempt` while its failure may pass by itself. */
  const insist = async <T>(what: string, attempt: (connection: Connection) => Promise<T>): Promise<T> => {
    let waitMs = BACK_OFF_MS;
    for (;;) {
      try {
        const result = await attempt(await connected());
        report(true, 'connected');
        return result;
      } catch (thrown) {
        await drop();
        report(false, `${what}: ${messageOf(thrown)}`);
        if (!isRetryable(thrown)) throw thrown;
        if (isAbandoned) throw new EngineError('EXCHANGE_ABANDONED', `${what}: given up: ${messageOf(thrown)}`, { cause: thrown });
        await pause(waitMs);
        waitMs = Math.min(waitMs * 2, BACK_OFF_MAX_MS);
      }
    }
  };

  return {
    open: () => insist('connecting', async () => undefined),
    own(token) {
      owner = { source, lanes, token, schema };
    },
    read: () => insist('reading the books', (connection) => readExchange(connection, source, catalogue)),
    takenNames: (names): Promise<readonly TakenName[]> => insist('names', (connection) => readTakenNames(connection, names)),
    async commit(epoch: ExchangeEpoch) {
      assert(owner !== undefined, 'epochs are committed after the claim');
      const context = { ...owner, catalogue, isPublishing };
      await insist(`epoch ${epoch.databaseEpoch}`, (connection) => commitOrders(connection, context, epoch));
    },
    get health() {
      return health;
    },
    abandon() {
      isAbandoned = true;
    },
    close: drop,
  };
}
