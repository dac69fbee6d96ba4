/** What the plain book shows: levels and the top of the displayed book. */
import * as L from '../../schemas/order-layout.gen.ts';
import { bestPrice } from './book-oracle-checks.ts';
import { type BookRegion, type BookSymbol, emit, ordersOf, type Side } from './book-oracle-region.ts';
import { type BookLevel, BUY, SELL } from './order-command.ts';

/** The best price of each side and what is shown there. */
interface Top {
  readonly bidTicks: number;
  readonly bidLots: bigint;
  readonly askTicks: number;
  readonly askLots: bigint;
}

/** The displayed book of a side, best price first. */
export function levelsOf(symbol: BookSymbol, side: Side): BookLevel[] {
  const levels: { priceTicks: number; quantityLots: bigint; orders: number }[] = [];
  for (const order of ordersOf(symbol, 'displayed', side)) {
    let level = levels.at(-1);
    if (level?.priceTicks !== order.priceTicks) {
      level = { priceTicks: order.priceTicks, quantityLots: 0n, orders: 0 };
      levels.push(level);
    }
    level.quantityLots += BigInt(order.shownLots);
    level.orders += 1;
  }
  return levels;
}

export function topOf(symbol: BookSymbol): Top {
  const shownAtBest = (side: Side): bigint => {
    const best = bestPrice(symbol, side);
    const orders = ordersOf(symbol, 'displayed', side);
    const end = orders.findIndex((order) => order.priceTicks !== best);
    return orders.slice(0, end < 0 ? orders.length : end).reduce((sum, order) => sum + BigInt(order.shownLots), 0n);
  };
  return {
    bidTicks: bestPrice(symbol, BUY) ?? L.ORDER_LIMIT_PRICE_NONE,
    bidLots: shownAtBest(BUY),
    askTicks: bestPrice(symbol, SELL) ?? L.ORDER_LIMIT_PRICE_NONE,
    askLots: shownAtBest(SELL),
  };
}

/** Step 4: one event when the top is not what it was. */
export function emitTop(region: BookRegion, symbol: BookSymbol, before: Top | undefined): void {
  const top = topOf(symbol);
  const isSame =
    top.bidTicks === before?.bidTicks &&
    top.bidLots === before.bidLots &&
    top.askTicks === before.askTicks &&
    top.askLots === before.askLots;
  if (isSame) return;
  emit(region, L.EVENT_KIND_TOP, symbol.symbolIndex, {
    orderId: top.bidLots,
    otherId: top.askLots,
    priceTicks: top.bidTicks,
    otherLeavesLots: top.askTicks,
  });
}
