/**
 * The second look at a feed: each drawn order is sent as an order of ours at the moment its original came, into a world in which the original
 * is not there, and cancelled when the original was. What then happens to it is compared with what really happened.
 */
import { BOOK_ACTION, type BookBatch } from '../../market/book-message.ts';
import { createOrderExchange, type OrderPaperExchange, type PaperSymbol } from '../paper/exchange.ts';
import { isDone, type PaperOrder } from '../paper/paper-order.ts';
import type { PaperSettings } from '../paper/settings.ts';
import { type Candidate, isAddOf } from './candidates.ts';

export interface Twin {
  readonly candidate: Candidate;
  /** Undefined when its original's add did not come again. */
  order: PaperOrder | undefined;
}

export interface TwinRun {
  readonly settings: PaperSettings;
  readonly twins: readonly Twin[];
  apply(batch: BookBatch): void;
}

/** One run of every twin under one choice of models; runs on the same batches do not disturb each other. */
export function createTwinRun(
  settings: PaperSettings,
  candidates: readonly Candidate[],
  symbolOf: (index: number) => PaperSymbol,
): TwinRun {
  const exchange = createOrderExchange({ settings, symbolOf, onReport: () => undefined });
  const twins: Twin[] = candidates.map((candidate) => ({ candidate, order: undefined }));
  /** Ids may come again in a feed, so one id may have several twins. */
  const byId = new Map<bigint, Twin[]>();
  for (const twin of twins) byId.set(twin.candidate.id, [...(byId.get(twin.candidate.id) ?? []), twin]);
  return {
    settings,
    twins,
    apply(batch) {
      for (let index = 0; index < batch.count; index += 1) {
        const action = batch.action[index]!;
        if (action === BOOK_ACTION.add) enter(exchange, byId.get(batch.orderId[index]!), batch, index);
        else if (action === BOOK_ACTION.cancel) leave(exchange, byId.get(batch.orderId[index]!), batch, index);
        exchange.apply(batch, index);
      }
    },
  };
}

function enter(exchange: OrderPaperExchange, twins: readonly Twin[] | undefined, batch: BookBatch, index: number): void {
  const twin = twins?.find((each) => each.order === undefined && isAddOf(each.candidate, batch, index));
  if (twin === undefined) return;
  const { id, symbolIndex, side, priceTicks, lots, addNs } = twin.candidate;
  exchange.market(symbolIndex).settle();
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
function leave(exchange: OrderPaperExchange, twins: readonly Twin[] | undefined, batch: BookBatch, index: number): void {
  for (const { candidate, order } of twins ?? []) {
    if (order === undefined || isDone(order) || candidate.fate !== 'cancelled' || candidate.endNs !== batch.tsNs[index]) continue;
    exchange.cancel(order, candidate.endNs);
    exchange.advance(candidate.endNs);
  }
}
