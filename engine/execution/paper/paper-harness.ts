/** A paper exchange and a feed written by hand, for tests. */
import { appendMessage, BOOK_ACTION, BOOK_FLAG, BOOK_SIDE, type BookMessage, createBookBatch } from '../../market/book-message.ts';
import { createOrderExchange, type OrderPaperExchange, type PaperReport } from './exchange.ts';
import { opposite, type Side, type World } from './market.ts';
import type { PaperOrder, PaperRequest } from './paper-order.ts';
import { parsePaperSettings } from './settings.ts';

export interface Script {
  readonly exchange: OrderPaperExchange;
  readonly reports: PaperReport[];
  readonly world: World;
  /** Venue time of the next message, ns; each message that ends a moment moves it on by 1000. */
  now(): bigint;
  wait(ns: number): void;
  /** Applies one message; `isLast: false` keeps the moment open. */
  say(message: Partial<BookMessage> & Pick<BookMessage, 'action'>, isLast?: boolean): void;
  add(orderId: number, side: Side, priceTicks: number, lots: number): void;
  cancel(orderId: number, lots: number): void;
  execute(orderId: number, lots: number): void;
  /** A trade that names its makers, then the echo of each in the book. */
  tradeWith(side: Side, priceTicks: number, makers: readonly (readonly [orderId: number, lots: number])[]): void;
  /** Sends an order now; without latency it has arrived when this returns. */
  send(request: Partial<PaperRequest>, world?: World): PaperOrder;
}

export const TICK_NANOS = 10_000_000;
export const LOT_NANOS = 1_000_000_000;

export function createScript(settings: object = {}): Script {
  const reports: PaperReport[] = [];
  const exchange = createOrderExchange({
    settings: parsePaperSettings(settings),
    symbolOf: () => ({ tickNanos: TICK_NANOS, lotNanos: LOT_NANOS }),
    onReport: (report) => reports.push(report),
  });
  const world = exchange.openAccount();
  const batch = createBookBatch(1);
  const known = new Map<number, { side: Side; priceTicks: number }>();
  let nowNs = 1_000_000n;

  const say: Script['say'] = (message, isLast = true) => {
    batch.count = 0;
    appendMessage(batch, { tsNs: nowNs, flags: isLast ? BOOK_FLAG.last : 0, ...message });
    exchange.apply(batch, 0);
    if (isLast) nowNs += 1000n;
  };
  const about = (orderId: number) => ({ orderId: BigInt(orderId), side: BOOK_SIDE.none, ...known.get(orderId) });

  return {
    exchange,
    reports,
    world,
    now: () => nowNs,
    wait(ns) {
      nowNs += BigInt(ns);
    },
    say,
    add(orderId, side, priceTicks, lots) {
      known.set(orderId, { side, priceTicks });
      say({ action: BOOK_ACTION.add, ...about(orderId), quantityLots: lots });
    },
    cancel: (orderId, lots) => say({ action: BOOK_ACTION.cancel, ...about(orderId), quantityLots: lots }),
    execute: (orderId, lots) => say({ action: BOOK_ACTION.execute, ...about(orderId), quantityLots: lots }),
    tradeWith(side, priceTicks, makers) {
      const quantityLots = makers.reduce((sum, [, lots]) => sum + lots, 0);
      say({ action: BOOK_ACTION.trade, side: opposite(side), priceTicks, quantityLots }, false);
      for (const [orderId, lots] of makers) say({ action: BOOK_ACTION.fill, ...about(orderId), quantityLots: lots }, false);
      for (const [place, [orderId, lots]] of makers.entries()) {
        say({ action: BOOK_ACTION.cancel, ...about(orderId), quantityLots: lots }, place === makers.length - 1);
      }
    },
    send(request, from = world) {
      const order = exchange.submit(
        from,
        { symbolIndex: 0, side: 0, type: 'limit', priceTicks: 100, quantityLots: 1, timeInForce: 'gtc', isPostOnly: false, ...request },
        nowNs,
      );
      exchange.advance(nowNs);
      return order;
    },
  };
}

/** Lots an order has got. */
export function filledLots(order: PaperOrder): number {
  return order.fills.reduce((sum, fill) => sum + fill.quantityLots, 0);
}
