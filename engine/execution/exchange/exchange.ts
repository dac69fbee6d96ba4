/**
 * The exchange's turns. Each takes what is durable in the journal through the matcher and makes what came of it durable, in one transaction;
 * only then does anybody hear of it.
 *
 *   journal.take ─▶ names taken? ─▶ commands ─▶ matcher ─▶ ledger ─▶ books touched ─▶ commit ─▶ replies, fills
 */
import { COMMAND_KIND, TIME_IN_FORCE } from '../../../schemas/order-records.ts';
import type { Clock } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import { newCommand, type OrderCommand, timeInForceOf } from '../../market/order-command.ts';
import { createBell } from './bell.ts';
import type { Catalogue } from './catalogue.ts';
import { readEntry, type StampedRequest, writeEntry } from './entry.ts';
import type { BookListing, ExchangeEpoch, StoredExchange, TakenName } from './epoch.ts';
import type { JournalEntry, OrderJournal } from './journal.ts';
import { clientOrderIdOf, createLedger, type Ledger } from './ledger.ts';
import type { MatcherLink } from './matcher-link.ts';
import { isRefusal, type Refusal } from './refusal.ts';
import { fillMessage, outcomeReply, type Reply, refusalReply, takenReply } from './reply.ts';
import type { OrderRequest } from './request.ts';
import { type OrderHandle, resolveRequest } from './resolve.ts';

/** Entries taken in one turn, so that an epoch stays a transaction of some tens of ms. */
const ENTRIES_PER_TURN = 4096;
const CHARACTERS_PER_TURN = 4_194_304;
const NS_PER_MS = 1_000_000n;
/** How often it is looked for orders that are due to expire, in ms, while nothing else happens. */
const EXPIRY_CHECK_MS = 1000;
const TIME_FIELDS = { op: 'time' } as const;

/** The database as the exchange sees it. Both calls wait for a server that is away. */
export interface ExchangeStore {
  takenNames(names: readonly string[]): Promise<readonly TakenName[]>;
  /** Resolves once the epoch is durable. @throws EngineError FENCED, what will not pass */
  commit(epoch: ExchangeEpoch): Promise<void>;
}

export interface ExchangeParts {
  readonly catalogue: Catalogue;
  readonly journal: OrderJournal;
  readonly link: MatcherLink;
  readonly store: ExchangeStore;
  readonly clock: Clock;
  readonly stored: StoredExchange;
  /** The lane's epochs count from here. */
  readonly baseEpoch: number;
  /** True when fills are to be published. */
  readonly isPublishing: boolean;
  /** Database epoch up to which fills are published; 0: none known. */
  publishedEpoch(): number;
  /** Answers the request that was stamped so. */
  onReply(stamp: string, reply: Reply): void;
  /** An epoch is durable. */
  onCommitted(epoch: ExchangeEpoch): void;
}

export interface ExchangeCounts {
  requests: number;
  refused: number;
  trades: number;
  epochs: number;
}

export interface Exchange {
  /** Does what there is to do; returns how many entries that were. One at a time. */
  turn(): Promise<number>;
  readonly ledger: Ledger;
  readonly counts: Readonly<ExchangeCounts>;
}

interface StampedEntry {
  readonly orderId: bigint;
  readonly stamped: StampedRequest | Refusal;
}

/** An entry on its way: with a command, or with the reason why it has none. */
interface Planned {
  /** Changes of phase that the calendar has before it. */
  readonly changes: readonly OrderCommand[];
  readonly stamped: StampedRequest | undefined;
  readonly command: OrderCommand | undefined;
  readonly reply: Reply | undefined;
}

export function createExchange(parts: ExchangeParts): Exchange {
  const { catalogue, journal, link, store, clock, stored } = parts;
  const ledger = createLedger(catalogue, stored);
  for (const { symbol, phase, lowerTicks, upperTicks, calendarNs } of stored.books) {
    const spec = catalogue.find(symbol);
    if (spec !== undefined) Object.assign(ledger.settings[spec.symbolIndex]!, { phase, lowerTicks, upperTicks, calendarNs });
  }
  const bell = createBell(catalogue, (symbolIndex) => ledger.settings[symbolIndex]!.calendarNs);
  /** When orders expire that are good till a date; those that are gone are taken out when they are looked at. */
  const expiries = new Map<bigint, bigint>();
  for (const { orders } of stored.books) for (const order of orders) noteExpiry(expiries, order);
  const counts: ExchangeCounts = { requests: 0, refused: 0, trades: 0, epochs: 0 };
  let nextOffset = stored.position?.nextOffset ?? 0n;
  let lastTsNs = stored.position?.tsNs ?? 0n;
  let lastExpiryCheckMs = clock.wallMs();
  /** Time of the last entry by which time was to pass. */
  let askedNs = -1n;

  /** Time has come to that of an entry: what the calendar has until then goes before it. */
  const advanceTo = (tsNs: bigint): OrderCommand[] => {
    const changes = bell.ring(tsNs > lastTsNs ? tsNs : lastTsNs).map(({ symbolIndex, phase, tsNs: changeNs }) => {
      if (changeNs > lastTsNs) lastTsNs = changeNs;
      ledger.settings[symbolIndex]!.calendarNs = changeNs;
      return newCommand({ kind: COMMAND_KIND.phase, symbolIndex, tsNs: lastTsNs, quantityLots: phase });
    });
    if (tsNs > lastTsNs) lastTsNs = tsNs;
    return changes;
  };

  /**
   * The next entries as commands, in order: up to one that needs to know what became of those before it. Names that one of them takes are taken
   * for those behind it.
   */
  const plan = (entries: readonly StampedEntry[], taken: ReadonlyMap<string, TakenName>): Planned[] => {
    const coming = new Map<string, OrderHandle>();
    const comingById = new Map<bigint, OrderHandle>();
    const findOrder = (id: bigint, name: string): OrderHandle | undefined =>
      ledger.findOrder(id, name) ?? (id === 0n ? coming.get(name) : comingById.get(id));
    /** Orders that stand at another price, or with another trigger, by then than is known now. */
    const repriced = new Set<bigint>();
    const retriggered = new Set<bigint>();
    const mustWait = ({ price, stopPrice }: OrderRequest, orderId: bigint): boolean =>
      (price === undefined && repriced.has(orderId)) || (stopPrice === undefined && retriggered.has(orderId));
    const planned: Planned[] = [];
    for (const { orderId, stamped } of entries) {
      if (isRefusal(stamped)) {
        planned.push({ changes: [], stamped: undefined, command: undefined, reply: refusalReply(stamped) });
        continue;
      }
      const { request, tsNs } = stamped;
      if (request.op === 'replace' && mustWait(request, findOrder(request.orderId, request.clientOrderId)?.orderId ?? 0n)) break;
      const changes = advanceTo(tsNs);
      const isNew = request.op === 'new' || request.op === 'exec';
      const clientOrderId = clientOrderIdOf(request, orderId);
      const known = isNew
        ? (taken.get(clientOrderId) ?? nameOf(coming.get(clientOrderId) ?? ledger.named(clientOrderId), clientOrderId))
        : undefined;
      if (known !== undefined) {
        planned.push({ changes, stamped, command: undefined, reply: takenReply(known) });
        continue;
      }
      const command = resolveRequest(request, {
        catalogue,
        orderId,
        tsNs: lastTsNs,
        findOrder,
      });
      if (isRefusal(command)) {
        planned.push({ changes, stamped, command: undefined, reply: refusalReply(command) });
        continue;
      }
      if (isNew) {
        coming.set(clientOrderId, command);
        comingById.set(orderId, command);
      }
      if (isNew || request.op === 'replace' || request.op === 'move') repriced.add(command.orderId);
      if (command.stopTicks !== 0) retriggered.add(command.orderId);
      planned.push({ changes, stamped, command, reply: undefined });
    }
    return planned;
  };

  /** True when an order is due that no earlier entry has made expire. */
  const isExpiryDue = (nowMs: number, nowNs: bigint): boolean => {
    if (nowMs - lastExpiryCheckMs < EXPIRY_CHECK_MS) return false;
    lastExpiryCheckMs = nowMs;
    let isDue = false;
    for (const [orderId, expiryNs] of expiries) {
      if (!ledger.live.has(orderId)) expiries.delete(orderId);
      else if (expiryNs <= nowNs && expiryNs > askedNs) isDue = true;
    }
    return isDue;
  };

  /**
   * Lets time pass where a change of phase or an expiry is due that no request has brought about: by an entry of the journal, so that it happens at
   * one place among the orders, and at the same one when they are read again.
   */
  const letTimePass = (): void => {
    const nowMs = clock.wallMs();
    const nowNs = BigInt(Math.floor(nowMs)) * NS_PER_MS;
    const isChangeDue = bell.nextNs !== undefined && bell.nextNs <= nowNs && bell.nextNs > askedNs;
    if ((!isChangeDue && !isExpiryDue(nowMs, nowNs)) || journal.isFull) return;
    askedNs = nowNs;
    journal.append(writeEntry(TIME_FIELDS, nowNs, ''), '');
  };

  const listTouched = async (): Promise<BookListing[]> => {
    const books = await link.list([...ledger.changes().symbols].toSorted((left, right) => left - right));
    return books.map(({ symbolIndex, lastTicks, orders }) => {
      const settings = ledger.settings[symbolIndex];
      const spec = catalogue.books[symbolIndex];
      assert(settings !== undefined && spec !== undefined, `symbol index ${symbolIndex} has a book`);
      return { ...settings, symbol: spec.symbol, lastTicks, orders };
    });
  };

  /** Makes durable what the ledger has, together with the offset. */
  const commit = async (): Promise<void> => {
    const changes = ledger.changes();
    const listings = await listTouched();
    const epoch: ExchangeEpoch = {
      databaseEpoch: parts.baseEpoch + counts.epochs + 1,
      changes,
      listings,
      position: { journal: journal.identity, nextOffset, tsNs: lastTsNs },
      messages: parts.isPublishing ? changes.fills.map((fill) => fillMessage(fill, catalogue.books[fill.order.symbolIndex]!)) : [],
      published: parts.publishedEpoch(),
    };
    await store.commit(epoch);
    counts.epochs += 1;
    counts.trades += changes.fills.length / 2;
    ledger.settle();
    parts.onCommitted(epoch);
  };

  /** Takes planned entries through the matcher and the ledger; returns the reply to each. */
  const match = async (planned: readonly Planned[]): Promise<Reply[]> => {
    const answers = await link.run(planned.flatMap(({ changes, command }) => (command === undefined ? changes : [...changes, command])));
    let answer = 0;
    return planned.map(({ changes, stamped, command, reply }) => {
      for (const change of changes) {
        ledger.applyChange(change, answers[answer] ?? []);
        answer += 1;
      }
      if (stamped?.request.op !== TIME_FIELDS.op) counts.requests += 1;
      if (command === undefined || stamped === undefined) {
        counts.refused += 1;
        return reply ?? {};
      }
      const outcome = ledger.apply(command, stamped.request, answers[answer] ?? []);
      answer += 1;
      noteExpiry(expiries, command);
      if (outcome.isRefused) counts.refused += 1;
      return outcomeReply(outcome, catalogue.books[command.symbolIndex]);
    });
  };

  const takeIn = async (taken: readonly JournalEntry[]): Promise<void> => {
    const entries = taken.map((entry): StampedEntry => ({ orderId: entry.offset + 1n, stamped: readEntry(entry) }));
    const names = entries.flatMap(({ stamped }) => (isRefusal(stamped) ? [] : namesOf(stamped)));
    const known = names.length === 0 ? [] : await store.takenNames(names);
    const takenNames = new Map(known.map((name) => [name.clientOrderId, name]));
    const replies: Reply[] = [];
    while (replies.length < entries.length) replies.push(...(await match(plan(entries.slice(replies.length), takenNames))));
    nextOffset = (taken.at(-1)?.offset ?? nextOffset - 1n) + 1n;
    await commit();
    await journal.release(nextOffset);
    for (const [index, { stamped }] of entries.entries()) if (!isRefusal(stamped)) parts.onReply(stamped.stamp, replies[index]!);
  };

  return {
    async turn() {
      const entries = journal.take(ENTRIES_PER_TURN, CHARACTERS_PER_TURN);
      if (entries.length > 0) await takeIn(entries);
      letTimePass();
      return entries.length;
    },
    ledger,
    counts,
  };
}

/** Keeps in mind when an order expires, if it does. */
function noteExpiry(expiries: Map<bigint, bigint>, { kind, orderId, expiryNs, attributes }: OrderCommand): void {
  const isOrder = kind === COMMAND_KIND.new || kind === COMMAND_KIND.restore;
  if (isOrder && timeInForceOf(attributes) === TIME_IN_FORCE.gtd) expiries.set(orderId, expiryNs);
}

/** The name that a new order brings. */
function namesOf({ request }: StampedRequest): string[] {
  const isNew = request.op === 'new' || request.op === 'exec';
  return isNew && request.clientOrderId !== '' ? [request.clientOrderId] : [];
}

function nameOf(coming: OrderHandle | undefined, clientOrderId: string): TakenName | undefined {
  return coming && { clientOrderId, orderId: coming.orderId, status: 'NEW' };
}
