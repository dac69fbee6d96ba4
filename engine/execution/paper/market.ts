/** What an order of ours can see of a market, whatever the feed: the ledger of lots and who asks for them. */

/** 0 buy, 1 sell: of orders that rest. */
export type Side = 0 | 1;
export const opposite = (side: Side): Side => (side === 0 ? 1 : 0);

/** True when `price` is better than `than` for who looks for `side` orders to trade with: higher bids, lower asks. */
export function isBetter(side: Side, price: number, than: number): boolean {
  return side === 0 ? price > than : price < than;
}

/** A world of its own: one account's orders, and what only they must not see or take again. */
export interface World {
  readonly account: number;
  /** A real order that is not there in this world: the one a twin stands for. */
  readonly hiddenId?: bigint;
}

/** Lots found while taking, best price first. */
export type Taken = (priceTicks: number, lots: number) => void;

/** One symbol's market as an order of ours meets it. It is only read: what we take is kept beside it, by world. */
export interface MarketView {
  /** Time of the latest message, ns. */
  readonly lastNs: bigint;
  /** True when a price that shows no lots has none; false when the feed shows only some levels. */
  isComplete(side: Side, priceTicks: number): boolean;
  bestTicks(side: Side): number | undefined;
  /** Best price of a side with lots that are there for this world: not the hidden order, not taken before. */
  bestFor(world: World, side: Side): number | undefined;
  /** Lots shown at a price, less a hidden order's. */
  lotsAt(world: World, side: Side, priceTicks: number): number;
  /** The place at the end of every queue now: what comes later has a larger one. */
  takeRank(): number;
  /** Lots of `side` at `limitTicks` or better, up to `lots`, that this world has not taken before; counts only. */
  available(world: World, side: Side, limitTicks: number, lots: number): number;
  /** Takes them: they are gone for this world until the market shows new ones. */
  take(world: World, side: Side, limitTicks: number, lots: number, taken: Taken): number;
}

/** Lots that left the book, and of whom. The market owns the object and uses it again. */
export interface BookChange {
  readonly side: Side;
  readonly priceTicks: number;
  readonly lots: number;
  /** Place of the order that had them: -1 before all that is known, Infinity when no shown order had them. */
  readonly rank: number;
  /** 0 when not known. */
  readonly orderId: bigint;
}

/** What a market tells about each thing that happens, in order. */
export interface MarketListener {
  traded(change: BookChange): void;
  /** They left untraded. */
  withdrawn(change: BookChange): void;
  /** An order turns out to have lost its place: it stands at `rank` now, at the same price with the same lots. */
  sentBack(change: BookChange, rank: number): void;
  /** A level's size is another. */
  changed(side: Side, priceTicks: number): void;
  /** All that belongs to one moment has been told. */
  settled(tsNs: bigint): void;
}
