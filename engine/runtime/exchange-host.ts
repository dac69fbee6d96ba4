/** The exchange for the life of the process: its door, its journal, its TCP server, and one session after the other. */
import { join, resolve } from 'node:path';
import type { Config } from '../../config/knobs.ts';
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { loadCatalogue } from '../execution/exchange/catalogue.ts';
import { createDoor } from '../execution/exchange/door.ts';
import type { StoredExchange } from '../execution/exchange/epoch.ts';
import { openFileJournal } from '../execution/exchange/file-journal.ts';
import type { OrderJournal } from '../execution/exchange/journal.ts';
import { openKafkaJournal } from '../execution/exchange/kafka-journal.ts';
import { DOOR_REASON, Refusal } from '../execution/exchange/refusal.ts';
import { refusalReply } from '../execution/exchange/reply.ts';
import type { HealthPart } from '../gateway/http.ts';
import { type OrderServer, startOrderServer } from '../gateway/order-server.ts';
import { loadInstruments } from '../market/instrument-book.ts';
import { ordersTopic } from '../sinks/kafka/topics.ts';
import { isRetryable } from '../sinks/postgres/connection.ts';
import type { Database } from '../sinks/postgres/runs.ts';
import { type ExchangeSession, openExchangeSession } from './exchange-session.ts';
import type { KafkaServer } from './servers.ts';
import { formatCount } from './text.ts';
import type { StartWorker } from './workers.ts';

export interface ExchangeHostParts {
  readonly config: Config;
  readonly database: Database;
  readonly kafka: KafkaServer | undefined;
  readonly run: number;
  readonly clock: Clock;
  readonly pause: Pause;
  readonly log: Logger;
  readonly start?: StartWorker;
  say(text: string): void;
}

/** Since the start. */
export interface ExchangeHostCounts {
  /** Requests let into the journal, refused at the door, and matched or refused behind it. */
  readonly accepted: number;
  readonly refusedAtDoor: number;
  readonly requests: number;
  readonly refused: number;
  readonly trades: number;
  readonly epochs: number;
  readonly sessions: number;
  /** Now. */
  readonly resting: number;
  readonly waiting: number;
  readonly connections: number;
  readonly fillsUnpublished: number;
}

export interface ExchangeHost {
  readonly port: number;
  /** For people: what is open. */
  readonly title: string;
  health(): readonly HealthPart[];
  counts(): ExchangeHostCounts;
  /** Nothing more is let in. Returns at once. */
  requestStop(): void;
  /** Ends in order: what was let in is matched, stored, published and answered, unless the time is over. Then what it leaves is matched by the next start. */
  close(): Promise<void>;
  /** What the summary should say. */
  notes(): readonly string[];
}

const LINE_BYTES = 65_536;
const FAILURES_MAX = 5;
const BACK_OFF_MS = 200;
const BACK_OFF_MAX_MS = 5000;
const REST_MS = 20;
const REPLY_GRACE_MS = 500;

/**
 * Opens the exchange: returns once its first session runs and the port is open.
 * @throws EngineError BOOKS_INVALID, SOURCE_TAKEN, JOURNAL_*, PORT_IN_USE, and what reading the books finds
 */
export async function openExchangeHost(parts: ExchangeHostParts): Promise<ExchangeHost> {
  const { config, database, clock, pause, log } = parts;
  const instruments = loadInstruments(resolve(PROJECT_ROOT, config.INSTRUMENTS_FILE));
  const catalogue = loadCatalogue(resolve(PROJECT_ROOT, config.BOOKS_FILE), (symbol) => instruments.find(symbol)?.session);
  const door = createDoor({ catalogue, clock });
  const folder = join(resolve(PROJECT_ROOT, config.STATE_DIR), 'orders', database.schema);
  let journal: OrderJournal | undefined;
  let session: ExchangeSession | undefined;
  let failure: { readonly error: unknown; readonly sinceMs: number } | undefined;
  let isStopping = false;
  let isCut = false;
  let sessions = 0;
  /** Of the sessions that are over. */
  const past = { requests: 0, refused: 0, trades: 0, epochs: 0 };

  /**
   * The one of the session before, if it works: requests come into it between sessions too, and what was taken and not committed is given again.
   */
  const openJournal = async (stored: StoredExchange): Promise<OrderJournal> => {
    const from = stored.position?.nextOffset ?? 0n;
    if (journal !== undefined && journal.failure() === undefined) {
      journal.rewind(from);
      return journal;
    }
    door.shut();
    await journal?.close().catch((error: unknown) => log.warn({ err: error }, 'closing an order journal that failed'));
    journal = undefined;
    journal = await openNamedJournal(parts, folder, stored);
    return journal;
  };

  const openSession = async (): Promise<ExchangeSession> => {
    const opened = await openExchangeSession({ ...parts, catalogue, door, openJournal });
    sessions += 1;
    failure = undefined;
    const { restored, recovered } = opened;
    log.info({ session: sessions, restored, recovered, waiting: opened.journal.waiting }, 'exchange session');
    return opened;
  };

  const runSession = async (opened: ExchangeSession): Promise<void> => {
    session = opened;
    try {
      await opened.run(() => isStopping);
    } finally {
      for (const name of ['requests', 'refused', 'trades', 'epochs'] as const) past[name] += opened.exchange.counts[name];
      session = undefined;
      await opened.close();
    }
  };

  /** Sessions one after the other, until a stop is asked for. Rejects when no further one would help. */
  const runSessions = async (first: ExchangeSession): Promise<void> => {
    let next: ExchangeSession | undefined = first;
    let failuresInRow = 0;
    let waitMs = BACK_OFF_MS;
    for (;;) {
      const epochsBefore = past.epochs;
      try {
        const opened = next ?? (await openSession());
        next = undefined;
        await runSession(opened);
        return;
      } catch (error) {
        failure = { error, sinceMs: clock.wallMs() };
        log.error({ err: error }, 'the exchange session failed');
        if (past.epochs > epochsBefore) {
          failuresInRow = 0;
          waitMs = BACK_OFF_MS;
        }
        if (!isRetryable(error)) failuresInRow += 1;
        if (isCut || failuresInRow > FAILURES_MAX) throw error;
        parts.say(`exchange: ${messageOf(error)}; going on from the last checkpoint`);
      }
      const untilMs = clock.wallMs() + waitMs;
      waitMs = Math.min(waitMs * 2, BACK_OFF_MAX_MS);
      while (clock.wallMs() < untilMs && !isCut) await pause(REST_MS);
    }
  };

  const server: { current: OrderServer | undefined } = { current: undefined };
  const first = await openSession();
  try {
    server.current = await startOrderServer({
      host: config.MATCHER_HOST,
      port: config.MATCHER_PORT,
      lineBytes: LINE_BYTES,
      take: door.take,
      tooLong: () => refusalReply(new Refusal(DOOR_REASON.lineTooLong, `a line is at most ${LINE_BYTES} bytes`)),
    });
  } catch (error) {
    await first.close();
    await journal?.close();
    throw error;
  }
  const { warning } = server.current;
  if (warning !== '') {
    log.warn({ host: config.MATCHER_HOST, port: server.current.port }, warning);
    parts.say(`WARNING: ${warning}`);
  }
  let isOver = false;
  const running = runSessions(first).then(
    () => {
      isOver = true;
    },
    (error: unknown) => {
      isOver = true;
      failure = { error, sinceMs: clock.wallMs() };
      door.stop();
      door.giveUp();
      parts.say(`exchange FAILED: ${messageOf(error)}; orders are refused`);
    },
  );

  const health = (): readonly HealthPart[] => {
    const sinceMs = failure?.sinceMs ?? 0;
    if (failure !== undefined) return [{ name: 'exchange', isUp: false, detail: messageOf(failure.error), sinceMs }];
    const store = session?.store.health;
    if (store !== undefined && !store.isUp) return [{ name: 'exchange', ...store }];
    const trouble = journal?.trouble() ?? '';
    if (trouble !== '') return [{ name: 'exchange', isUp: false, detail: `order journal: ${trouble}`, sinceMs }];
    const kafka = session?.publisher?.health;
    if (kafka !== undefined && !kafka.isUp) return [{ name: 'exchange', ...kafka, detail: `fills: ${kafka.detail}` }];
    const detail = isOver ? 'stopped' : `${session?.exchange.ledger.live.size ?? 0} orders rest${warning === '' ? '' : `; ${warning}`}`;
    return [{ name: 'exchange', isUp: true, detail, sinceMs }];
  };

  const counts = (): ExchangeHostCounts => {
    const now = session?.exchange.counts;
    return {
      accepted: door.counts.accepted,
      refusedAtDoor: door.counts.refused,
      requests: past.requests + (now?.requests ?? 0),
      refused: past.refused + (now?.refused ?? 0),
      trades: past.trades + (now?.trades ?? 0),
      epochs: past.epochs + (now?.epochs ?? 0),
      sessions,
      resting: session?.exchange.ledger.live.size ?? 0,
      waiting: journal === undefined ? 0 : journal.waiting + journal.unsynced,
      connections: server.current?.connections ?? 0,
      fillsUnpublished: session?.publisher?.outstanding ?? 0,
    };
  };

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    isStopping = true;
    door.stop();
    const deadline = clock.wallMs() + config.STOP_MS;
    while (!isOver && clock.wallMs() < deadline) await pause(REST_MS);
    if (!isOver) {
      isCut = true;
      log.warn({ waiting: journal?.waiting ?? 0 }, 'the exchange is stopped before its journal is matched; the next start goes on there');
      session?.store.abandon();
      await session?.close();
    }
    await running;
    door.giveUp();
    await server.current?.close(REPLY_GRACE_MS);
    await journal?.close();
  };

  return {
    port: server.current.port,
    title:
      `${catalogue.books.length} books, orders on ${config.MATCHER_HOST}:${server.current.port}` +
      (first.restored > 0 ? `, ${first.restored} orders put back` : '') +
      (first.journal.waiting > 0 ? `, ${first.journal.waiting} requests of the journal to be matched` : ''),
    health,
    requestStop() {
      isStopping = true;
      door.stop();
    },
    close() {
      closing ??= close();
      return closing;
    },
    counts,
    notes() {
      const { requests, trades, epochs } = counts();
      return [
        `exchange: ${formatCount(requests)} requests, ${formatCount(trades)} trades, ${formatCount(epochs)} epochs, ${formatCount(sessions)} sessions`,
      ];
    },
  };
}

/** The journal that ORDER_JOURNAL names. */
async function openNamedJournal(parts: ExchangeHostParts, folder: string, { position }: StoredExchange): Promise<OrderJournal> {
  const { config, kafka, clock, pause, log } = parts;
  const start = { from: position?.nextOffset ?? 0n, identity: position?.journal };
  if (config.ORDER_JOURNAL === 'file') {
    const onCut = (file: string, bytes: number): void => log.warn({ file, bytes }, 'order journal: cut off what was not whole');
    return await openFileJournal({ ...start, folder, onCut });
  }
  if (kafka === undefined || kafka.isEmbedded) {
    const what = kafka ? 'the embedded Kafka, which forgets' : 'no Kafka';
    throw new EngineError('KAFKA_UNAVAILABLE', `ORDER_JOURNAL kafka: there is ${what}; set KAFKA_BROKER, or ORDER_JOURNAL=file`);
  }
  const topic = ordersTopic(config.TOPIC_PREFIX);
  return await openKafkaJournal({ ...start, ...kafka, topic, clock, pause, lingerMs: config.KAFKA_LINGER_MS });
}

/** The exchange, where MATCHER is on. */
export async function openExchangeIfOn(parts: ExchangeHostParts): Promise<ExchangeHost | undefined> {
  if (parts.config.MATCHER === 'off') return undefined;
  try {
    return await openExchangeHost(parts);
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError('EXCHANGE_FAILED', `the exchange cannot be opened: ${messageOf(error)}`, { cause: error });
  }
}
