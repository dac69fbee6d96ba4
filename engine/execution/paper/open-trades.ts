/** Reported trades of the moment whose makers are not all told yet. */
import { BOOK_SIDE } from '../../market/book-message.ts';
import { opposite, type Side } from './market.ts';

interface OpenTrade {
  /** Of the orders that rested. */
  side: Side | undefined;
  readonly priceTicks: number;
  leftLots: number;
  /** None of its makers has been named. */
  isAnonymous: boolean;
}

export interface OpenTrades {
  readonly count: number;
  /** @param takerSide BOOK_SIDE of who took */
  report(takerSide: number, priceTicks: number, lots: number): void;
  /** A named maker accounts for lots. */
  claim(side: Side | undefined, priceTicks: number, lots: number): void;
  /** Lots of an order that leaves at a price where a trade has named nobody: how many of `lots` are that trade's. */
  claimUnnamed(side: Side, priceTicks: number, lots: number): number;
  /** Visits what nobody accounted for, and forgets all. */
  close(visit: (side: Side | undefined, priceTicks: number, lots: number) => void): void;
}

export function createOpenTrades(): OpenTrades {
  const trades: OpenTrade[] = [];
  return {
    get count() {
      return trades.length;
    },
    report(takerSide, priceTicks, lots) {
      const side = takerSide === BOOK_SIDE.none ? undefined : opposite(takerSide === BOOK_SIDE.buy ? 0 : 1);
      trades.push({ side, priceTicks, leftLots: lots, isAnonymous: true });
    },
    claim(side, priceTicks, lots) {
      const open = trades.find((each) => isAt(each, side, priceTicks));
      if (open === undefined) return;
      open.side = side;
      open.isAnonymous = false;
      open.leftLots = Math.max(0, open.leftLots - lots);
    },
    claimUnnamed(side, priceTicks, lots) {
      if (trades.length === 0) return 0;
      const open = trades.find((each) => each.isAnonymous && isAt(each, side, priceTicks));
      if (open === undefined) return 0;
      const part = Math.min(lots, open.leftLots);
      open.side = side;
      open.leftLots -= part;
      return part;
    },
    close(visit) {
      for (const { side, priceTicks, leftLots } of trades) if (leftLots > 0) visit(side, priceTicks, leftLots);
      trades.length = 0;
    },
  };
}

/** True when the rest of a reported trade can be of an order at this price. */
function isAt(open: OpenTrade, side: Side | undefined, priceTicks: number): boolean {
  return open.leftLots > 0 && open.priceTicks === priceTicks && (open.side === undefined || open.side === side);
}
