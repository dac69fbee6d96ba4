/**
 * The second look at a feed: each drawn order is sent as an order of ours at the moment its original came, into a world in which the original
 * is not there, and cancelled when the original was. What then happens to it is compared with what really happened.
 */
import { BOOK_ACTION, BOOK_FLAG, type BookBatch } from '../../market/book-message.ts';
import type { DepthKind } from '../../market/depth-message.ts';
import {
  createDepthExchange,
  createOrderExchange,
  type PaperExchange,
  type PaperExchangeOptions,
  type PaperSymbol,
} from '../paper/exchange.ts';
import { isDone, type PaperOrder } from '../paper/paper-order.ts';
import type { PaperSettings } from '../paper/settings.ts';
import { type Candidate, isAddOf } from './candidates.ts';
import { createReducer } from './reduce.ts';

export interface Twin {
  readonly candidate: Candidate;
  /** Undefined when its original's add did not come again. */
  order: PaperOrder | undefined;
}

/** What the run sees of the feed: all of it, or what a feed would tell that shows less, sizes every so often. */
export interface TwinView {
  readonly shows: 'orders' | DepthKind;
  readonly everyNs: bigint;
}

export const WHOLE_VIEW: TwinView = { shows: 'orders', everyNs: 0n };

export interface TwinRun {
  readonly settings: PaperSettings;
  readonly view: TwinView;
  readonly twins: readonly Twin[];
  apply(batch: BookBatch): void;
}

export interface TwinRunOptions {
  readonly settings: PaperSettings;
  readonly candidates: readonly Candidate[];
  readonly view: TwinView;
  symbolOf(index: number): PaperSymbol;
}

/** An exchange that is played a feed, whatever it sees of it. */
interface Played {
  readonly exchange: PaperExchange;
  /**
   * Ends what happened at the venue before an order of ours comes in; undefined where that is told with the sizes only, so that an order comes in
   * when the event that its original is of is over.
   */
  readonly endMoment: ((symbolIndex: number) => void) | undefined;
  /** What the feed tells before the event of message `index`. */
  before(batch: BookBatch, index: number): void;
  apply(batch: BookBatch, index: number): void;
}

/**
 * One run of every twin under one choice of models; runs on the same batches do not disturb each other.
 * @throws EngineError PAPER_MODEL when the model needs more than the view shows
 */
export function createTwinRun({ settings, candidates, view, symbolOf }: TwinRunOptions): TwinRun {
  const options = { settings, symbolOf, onReport: () => undefined };
  const played = view.shows === 'orders' ? playOrders(options) : playReduced(view.shows, view.everyNs, candidates, options);
  const twins: Twin[] = candidates.map((candidate) => ({ candidate, order: undefined }));
  /** Ids may come again in a feed, so one id may have several twins. */
  const byId = new Map<bigint, Twin[]>();
  for (const twin of twins) byId.set(twin.candidate.id, [...(byId.get(twin.candidate.id) ?? []), twin]);
  const late: Twin[] = [];
  const come = (batch: BookBatch, index: number): void => {
    const twin = byId.get(batch.orderId[index]!)?.find((each) => each.order === undefined && isAddOf(each.candidate, batch, index));
    if (twin === undefined) return;
    if (played.endMoment === undefined) {
      late.push(twin);
      return;
    }
    played.endMoment(twin.candidate.symbolIndex);
    enter(played.exchange, twin);
  };
  return {
    settings,
    view,
    twins,
    apply(batch) {
      for (let index = 0; index < batch.count; index += 1) {
        played.before(batch, index);
        const action = batch.action[index]!;
        if (action === BOOK_ACTION.add) come(batch, index);
        else if (action === BOOK_ACTION.cancel) leave(played.exchange, byId.get(batch.orderId[index]!), batch, index);
        played.apply(batch, index);
        if ((batch.flags[index]! & BOOK_FLAG.last) === 0) continue;
        for (const twin of late) enter(played.exchange, twin);
        late.length = 0;
      }
    },
  };
}

function playOrders(options: PaperExchangeOptions): Played {
  const exchange = createOrderExchange(options);
  return { exchange, endMoment: (symbolIndex) => exchange.market(symbolIndex).settle(), before: () => undefined, apply: exchange.apply };
}

/** The sizes that a twin sees are without its original, as its own lots would not be among them. */
function playReduced(shows: DepthKind, everyNs: bigint, candidates: readonly Candidate[], options: PaperExchangeOptions): Played {
  const reducer = createReducer({ shows, everyNs, watched: new Set(candidates.map(({ id }) => id)) });
  const exchange = createDepthExchange(shows, {
    ...options,
    hiddenLots(symbolIndex, { hiddenId = 0n }, side, priceTicks) {
      const told = reducer.told(hiddenId);
      return told?.symbolIndex === symbolIndex && told.side === side && told.priceTicks === priceTicks ? told.lots : 0;
    },
  });
  return {
    exchange,
    endMoment: undefined,
    before(batch, index) {
      for (const message of reducer.due(batch, index)) exchange.apply(message);
    },
    apply(batch, index) {
      for (const message of reducer.apply(batch, index)) exchange.apply(message);
    },
  };
}

function enter(exchange: PaperExchange, twin: Twin): void {
  const { id, symbolIndex, side, priceTicks, lots, addNs } = twin.candidate;
  twin.order = exchange.submit(
    exchange.openAccount(id),
    { symbolIndex, side, type: 'limit', priceTicks, quantityLots: lots, timeInForce: 'gtc', isPostOnly: false },
    addNs,
  );
  exchange.advance(addNs);
}

/**
 * The twin goes when its original goes. When that is in the very moment of a trade, the venue took the order away while it matched (both were of
 * one owner), so the trade is not settled first.
 */
function leave(exchange: PaperExchange, twins: readonly Twin[] | undefined, batch: BookBatch, index: number): void {
  for (const { candidate, order } of twins ?? []) {
    if (order === undefined || isDone(order) || candidate.fate !== 'cancelled' || candidate.endNs !== batch.tsNs[index]) continue;
    exchange.cancel(order, candidate.endNs);
    exchange.advance(candidate.endNs);
  }
}
