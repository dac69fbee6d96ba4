/** The first look at a feed: real orders that were filled whole or cancelled whole, never changed, and a fair draw of them. */
import { createPrng, type Prng } from '../../core/prng.ts';
import { BOOK_FLAG, type BookBatch } from '../../market/book-message.ts';
import { isBetter, type MarketListener, opposite, type Side } from '../paper/market.ts';
import type { BookOrder } from '../paper/order-ladders.ts';
import { createOrderMarket, type OrderMarket, type OrderWatcher } from '../paper/order-market.ts';

/** A real order and its fate. */
export interface Candidate {
  readonly id: bigint;
  readonly symbolIndex: number;
  readonly side: Side;
  readonly priceTicks: number;
  readonly lots: number;
  readonly addNs: bigint;
  readonly fate: 'filled' | 'cancelled';
  /** When its last lot traded, or when it was cancelled. */
  readonly endNs: bigint;
}

export interface Survey {
  /** Drawn, in order of their adds. */
  readonly candidates: readonly Candidate[];
  /** Orders of each fate that the feed has. */
  readonly filledCount: number;
  readonly cancelledCount: number;
  readonly messageCount: number;
  /** Messages about orders that the feed never added. */
  readonly unknownCount: number;
}

export interface Surveyor {
  apply(batch: BookBatch): void;
  finish(): Survey;
}

interface Track {
  readonly addNs: bigint;
  readonly lots: number;
  tradedLots: number;
}

/** A draw of `capacity` of all that are offered, each equally likely, whatever their number. */
interface Reservoir {
  readonly kept: Candidate[];
  offered: number;
  offer(candidate: Candidate): void;
}

const SILENT: MarketListener = {
  traded: () => undefined,
  withdrawn: () => undefined,
  sentBack: () => undefined,
  changed: () => undefined,
  settled: () => undefined,
};

/** Draws up to half of `orders` from the filled and half from the cancelled orders; the same seed draws the same from the same feed. */
export function createSurveyor(orders: number, seed: number): Surveyor {
  const prng = createPrng(seed);
  const filled = createReservoir(Math.ceil(orders / 2), prng);
  const cancelled = createReservoir(Math.floor(orders / 2), prng);
  const markets = new Map<number, OrderMarket>();
  let messageCount = 0;

  const marketOf = (symbolIndex: number): OrderMarket => {
    const known = markets.get(symbolIndex);
    if (known !== undefined) return known;
    const market: OrderMarket = createOrderMarket(
      SILENT,
      createWatcher(symbolIndex, filled, cancelled, () => market),
    );
    markets.set(symbolIndex, market);
    return market;
  };

  return {
    apply(batch) {
      for (let index = 0; index < batch.count; index += 1) marketOf(batch.symbolIndex[index]!).apply(batch, index);
      messageCount += batch.count;
    },
    finish() {
      const candidates = [...filled.kept, ...cancelled.kept].sort((one, other) => Number(one.addNs - other.addNs));
      let unknownCount = 0;
      for (const market of markets.values()) unknownCount += market.unknownCount;
      return { candidates, filledCount: filled.offered, cancelledCount: cancelled.offered, messageCount, unknownCount };
    },
  };
}

function createReservoir(capacity: number, prng: Prng): Reservoir {
  const reservoir: Reservoir = {
    kept: [],
    offered: 0,
    offer(candidate) {
      reservoir.offered += 1;
      if (reservoir.kept.length < capacity) reservoir.kept.push(candidate);
      else {
        const place = prng.nextBelow(reservoir.offered);
        if (place < capacity) reservoir.kept[place] = candidate;
      }
    },
  };
  return reservoir;
}

/** Follows single orders from their add to their end. */
function createWatcher(symbolIndex: number, filled: Reservoir, cancelled: Reservoir, marketOf: () => OrderMarket): OrderWatcher {
  const tracks = new Map<BookOrder, Track>();
  const end = (order: BookOrder, track: Track, fate: Candidate['fate'], endNs: bigint): void => {
    tracks.delete(order);
    const { id, side, priceTicks } = order;
    (fate === 'filled' ? filled : cancelled).offer({
      id,
      symbolIndex,
      side,
      priceTicks,
      lots: track.lots,
      addNs: track.addNs,
      fate,
      endNs,
    });
  };
  return {
    added(order, addNs, isSnapshot) {
      const facing = marketOf().bestTicks(opposite(order.side));
      // At a price that reaches the other side an order rests only in an auction.
      const isCrossed = facing !== undefined && !isBetter(order.side, facing, order.priceTicks);
      if (!isSnapshot && !isCrossed) tracks.set(order, { addNs, lots: order.leavesLots, tradedLots: 0 });
    },
    traded(order, lots, tsNs) {
      const track = tracks.get(order);
      if (track === undefined) return;
      track.tradedLots += lots;
      if (order.leavesLots > 0) return;
      if (track.tradedLots === track.lots) end(order, track, 'filled', tsNs);
      else tracks.delete(order);
    },
    withdrawn(order, _lots, tsNs) {
      const track = tracks.get(order);
      if (track === undefined) return;
      if (order.leavesLots === 0 && track.tradedLots === 0) end(order, track, 'cancelled', tsNs);
      else tracks.delete(order);
    },
    replaced(order) {
      tracks.delete(order);
    },
  };
}

/** True for the message with which a candidate came into the feed. */
export function isAddOf(candidate: Candidate, batch: BookBatch, index: number): boolean {
  return (
    batch.symbolIndex[index] === candidate.symbolIndex &&
    batch.tsNs[index] === candidate.addNs &&
    (batch.flags[index]! & BOOK_FLAG.snapshot) === 0
  );
}
