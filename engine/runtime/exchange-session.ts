/**
 * One session of the exchange: its lane is claimed, what an earlier owner left unpublished is published, its books are read, the matcher's thread
 * is set up with them, and turns follow each other until it is to end or something fails.
 *
 *   journal ─▶ exchange ─▶ [order ring] ─▶ matcher thread ─▶ [event ring] ─▶ exchange ─▶ Postgres ─▶ replies, fills
 */
import type { Config } from '../../config/knobs.ts';
import { ORDER_LIMIT } from '../../schemas/order-records.ts';
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Catalogue } from '../execution/exchange/catalogue.ts';
import type { Door } from '../execution/exchange/door.ts';
import type { StoredExchange } from '../execution/exchange/epoch.ts';
import { createExchange, type Exchange } from '../execution/exchange/exchange.ts';
import type { OrderJournal } from '../execution/exchange/journal.ts';
import { createMatcherLink, type MatcherLink } from '../execution/exchange/matcher-link.ts';
import type { MatcherStart } from '../kernel/matcher-core.ts';
import { ORDER_SLOT_BYTES, openSlotRing } from '../market/order-ring.ts';
import { allocateRing } from '../memory/ring.ts';
import { createFillPublisher, type FillPublisher } from '../sinks/kafka/fill-publisher.ts';
import { markerGroupOf, type TransactionOptions, transactionalIdOf } from '../sinks/kafka/marker.ts';
import { recoverPublication } from '../sinks/kafka/recover.ts';
import { createLaneStore, type LaneStore } from '../sinks/postgres/lane-store.ts';
import type { LaneClaim } from '../sinks/postgres/lanes.ts';
import { createOrderStore, type OrderStore } from '../sinks/postgres/order-store.ts';
import type { Database } from '../sinks/postgres/runs.ts';
import type { KafkaServer } from './servers.ts';
import { createWatchdog, untilReady } from './watchdog.ts';
import { type StartWorker, startWorker } from './workers.ts';

/** What the exchange is called where sources are named. */
export const ORDER_SOURCE = 'orders';
const LANES = [0];
/** Fills that may wait for Kafka; with more, requests stay in the journal. */
const UNPUBLISHED_MAX = 65_536;
const IDLE_REST_MS = 1;

export interface ExchangeSessionParts {
  readonly config: Config;
  readonly catalogue: Catalogue;
  readonly database: Database;
  readonly kafka: KafkaServer | undefined;
  readonly run: number;
  readonly clock: Clock;
  readonly pause: Pause;
  readonly log: Logger;
  readonly door: Door;
  readonly start?: StartWorker;
  /** The journal, standing at what the database has. */
  openJournal(stored: StoredExchange): Promise<OrderJournal>;
}

export interface ExchangeSession {
  readonly exchange: Exchange;
  readonly journal: OrderJournal;
  readonly store: OrderStore;
  readonly publisher: FillPublisher | undefined;
  /** Orders that were put back into the books, and messages published for an earlier owner. */
  readonly restored: number;
  readonly recovered: number;
  /** Runs until `isStopping` says so and all that is in the journal is matched and published. Rejects with what ends it out of order. */
  run(isStopping: () => boolean): Promise<void>;
  close(): Promise<void>;
}

interface Claimed {
  readonly claim: LaneClaim;
  readonly transactions: TransactionOptions | undefined;
  readonly recovered: number;
}

export async function openExchangeSession(parts: ExchangeSessionParts): Promise<ExchangeSession> {
  const { config, catalogue, database, kafka, clock, pause, door } = parts;
  const lanes = createLaneStore(database);
  const store = createOrderStore({
    ...database,
    source: ORDER_SOURCE,
    lanes: LANES,
    catalogue,
    isPublishing: kafka !== undefined,
    clock,
    pause,
  });
  let publisher: FillPublisher | undefined;
  let matcher: RunningMatcher | undefined;
  const close = async (): Promise<void> => {
    await matcher?.terminate();
    await publisher?.close();
    await store.close();
  };
  try {
    // The lock before the claim: an engine that is at work is not to be fenced by one that was started by mistake.
    await store.open();
    const { claim, transactions, recovered } = await claimLane(parts, lanes);
    store.own(claim.token);
    const stored = await store.read();
    const journal = await parts.openJournal(stored);
    if (kafka && transactions) {
      publisher = createFillPublisher({ ...kafka, prefix: config.TOPIC_PREFIX, clock, pause, lingerMs: 0, transactions });
      await publisher.connect();
    }
    const running = await startMatcher(parts, stored);
    matcher = running;
    const exchange = createExchange({
      catalogue,
      journal,
      link: running.link,
      store,
      clock,
      stored,
      baseEpoch: claim.baseEpoch,
      isPublishing: publisher !== undefined,
      publishedEpoch: () => publisher?.publishedEpoch ?? 0,
      onReply: (stamp, reply) => door.reply(stamp, reply),
      onCommitted: ({ databaseEpoch, messages }) => publisher?.epochCommitted(databaseEpoch, messages),
    });
    door.open(journal, { offset: stored.position?.nextOffset ?? 0n, tsNs: stored.position?.tsNs ?? 0n });
    const session: ExchangeSession = {
      exchange,
      journal,
      store,
      publisher,
      restored: stored.live.length,
      recovered,
      async run(isStopping) {
        await runTurns(session, { pause, isStopping, failure: running.failure });
        const upTo = new Map(LANES.map((lane) => [lane, publisher?.publishedEpoch ?? 0]));
        if (publisher) await lanes.dropOutbox({ source: ORDER_SOURCE, token: claim.token, upTo });
        await lanes.release({ source: ORDER_SOURCE, token: claim.token });
      },
      close,
    };
    return session;
  } catch (error) {
    await close();
    throw error;
  }
}

/** Takes the lane, and publishes what its outbox holds above the marker. */
async function claimLane({ config, database, kafka, run, clock, pause, log }: ExchangeSessionParts, store: LaneStore): Promise<Claimed> {
  const identity = { prefix: config.TOPIC_PREFIX, schema: database.schema, source: ORDER_SOURCE };
  const claim = await store.claim({
    source: ORDER_SOURCE,
    run,
    lanes: LANES,
    isLaned: false,
    timeframes: [],
    transactionalIdOf: (token) => (kafka ? transactionalIdOf(identity, token) : undefined),
  });
  if (!kafka) return { claim, transactions: undefined, recovered: 0 };
  const transactions: TransactionOptions = {
    transactionalId: transactionalIdOf(identity, claim.token),
    markerGroup: markerGroupOf(identity),
    markerTopic: `${config.TOPIC_PREFIX}${config.TICKS_TOPIC}`,
    lanes: LANES,
    isOwner: async () => (await store.owned({ source: ORDER_SOURCE, token: claim.token, lanes: LANES })).length === LANES.length,
  };
  const { published } = await recoverPublication({
    ...kafka,
    prefix: config.TOPIC_PREFIX,
    clock,
    pause,
    transactions,
    previousTransactionalIds: claim.previousTransactionalIds,
    outbox: await store.readOutbox({ source: ORDER_SOURCE, lanes: LANES }),
  });
  if (published > 0) log.info({ published }, 'published fills that an earlier owner had committed only');
  await store.dropOutbox({ source: ORDER_SOURCE, token: claim.token, upTo: new Map(LANES.map((lane) => [lane, claim.baseEpoch])) });
  return { claim, transactions, recovered: published };
}

interface TurnOptions {
  readonly pause: Pause;
  isStopping(): boolean;
  failure(): Error | undefined;
}

async function runTurns({ exchange, journal, publisher }: ExchangeSession, { pause, isStopping, failure }: TurnOptions): Promise<void> {
  for (;;) {
    publisher?.poll();
    const failed = failure() ?? journal.failure() ?? publisher?.failure();
    if (failed !== undefined) throw failed;
    const isCrowded = (publisher?.outstanding ?? 0) > UNPUBLISHED_MAX;
    const work = isCrowded ? 0 : await exchange.turn();
    if (work > 0) continue;
    if (isStopping() && journal.waiting + journal.unsynced === 0 && (publisher?.outstanding ?? 0) === 0) return;
    await pause(IDLE_REST_MS);
  }
}

interface RunningMatcher {
  readonly link: MatcherLink;
  failure(): Error | undefined;
  terminate(): Promise<void>;
}

/** Starts the matcher's thread with what is stored in its books. */
async function startMatcher(
  { config, catalogue, clock, pause, start = startWorker }: ExchangeSessionParts,
  stored: StoredExchange,
): Promise<RunningMatcher> {
  const orderRing = allocateRing(config.ORDER_QUEUE, ORDER_SLOT_BYTES);
  const eventRing = allocateRing(config.ORDER_QUEUE, ORDER_SLOT_BYTES);
  const heartbeat = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  let failure: Error | undefined;
  let announce: (error?: Error) => void = () => undefined;
  const ready = new Promise<void>((resolve, reject) => {
    announce = (error) => (error ? reject(error) : resolve());
  });
  const worker = start<{ readonly type: string }, never>({
    name: 'matcher',
    file: 'matcher',
    data: matcherStart({ config, catalogue, stored, rings: { orderRing, eventRing, heartbeat } }),
    onMessage: ({ type }) => {
      if (type === 'ready') announce();
    },
    onFailure(error) {
      failure ??= error;
      announce(error);
    },
  });
  const beats = new Int32Array(heartbeat);
  const wedged = createWatchdog([{ name: worker.name, read: () => beats[0]!, isStopped: () => worker.isStopped }], clock);
  try {
    await untilReady(ready, wedged, pause);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
  const whatFailed = (): Error | undefined => {
    failure ??= wedged();
    return failure;
  };
  const link = createMatcherLink({ orderRing: openSlotRing(orderRing), eventRing: openSlotRing(eventRing), pause, failure: whatFailed });
  return {
    link,
    failure: whatFailed,
    async terminate() {
      // Whoever waits for an answer hears that there will be none.
      failure ??= new EngineError('EXCHANGE_ABANDONED', 'the matcher is closed');
      await worker.terminate();
    },
  };
}

interface StartParts extends Pick<ExchangeSessionParts, 'config' | 'catalogue'> {
  readonly stored: StoredExchange;
  readonly rings: Pick<MatcherStart, 'orderRing' | 'eventRing' | 'heartbeat'>;
}

function matcherStart({ config, catalogue, stored, rings }: StartParts): MatcherStart {
  const { books, owners } = catalogue;
  if (books.length === 0) throw new EngineError('BOOKS_INVALID', `BOOKS_FILE '${config.BOOKS_FILE}': names no book`);
  const storedBook = new Map(stored.books.map((book) => [book.symbol, book]));
  return {
    ...rings,
    looksBeforePark: config.MATCHER_LOOKS,
    pools: {
      symbols: books.length,
      orders: config.ORDERS_MAX,
      pages: config.PRICE_PAGES_MAX,
      owners: Math.max(0, ...owners.map(({ owner }) => owner)) + 1,
    },
    instruments: books.map((book) => {
      const found = storedBook.get(book.symbol);
      const { phase, lowerTicks, upperTicks } = found ?? book;
      const lastTicks = found?.lastTicks ?? ORDER_LIMIT.priceNone;
      const { tickStep, lotStep, minLots, maxLots } = book;
      return { tickStep, lotStep, minLots, maxLots, phase, lowerTicks, upperTicks, lastTicks };
    }),
    owners: owners.map(({ owner, ...limits }) => [owner, limits] as const),
    restores: stored.books.flatMap(({ orders }) => orders),
  };
}
