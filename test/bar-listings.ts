/** What a store makes of the listings before barriers: the open bars of each symbol, replaced or dropped symbol by symbol. */
import assert from 'node:assert/strict';
import type { BarRecord } from '../engine/market/ring-record.ts';
import * as L from '../schemas/layout.gen.ts';

/** Open bars by engine-wide symbol index; a symbol without any has no entry. */
export type OpenState = ReadonlyMap<number, readonly BarRecord[]>;

export interface ListedState {
  /** Takes the next record of a shard's out ring; true for a barrier whose listing has now been applied. */
  push(record: BarRecord): boolean;
  readonly open: OpenState;
  /** All open bars, in no order of symbols. */
  bars(): BarRecord[];
}

/** Starts with nothing open. A listing that names a symbol twice, or lists before something else than its barrier, is an error. */
export function createListedState(): ListedState {
  const open = new Map<number, BarRecord[]>();
  const listing = new Map<number, BarRecord[]>();
  let last: number | undefined;
  return {
    open,
    push(record) {
      const { kind, symbolIndex } = record;
      if (kind === L.OUT_KIND_BAR_OPEN || kind === L.OUT_KIND_SYMBOL_CLEAR) {
        const known = listing.get(symbolIndex);
        assert(known === undefined || (kind === L.OUT_KIND_BAR_OPEN && last === symbolIndex), `symbol ${symbolIndex} listed twice`);
        listing.set(symbolIndex, kind === L.OUT_KIND_BAR_OPEN ? [...(known ?? []), record] : []);
        last = kind === L.OUT_KIND_BAR_OPEN ? symbolIndex : undefined;
        return false;
      }
      const isListed = kind === L.OUT_KIND_BARRIER && (record.flags & L.BARRIER_FLAG_WITH_OPEN_STATE) !== 0;
      assert(isListed || listing.size === 0, `a record of kind ${kind} in a listing of ${listing.size} symbols`);
      for (const [symbol, bars] of listing) {
        if (bars.length > 0) open.set(symbol, bars);
        else open.delete(symbol);
      }
      listing.clear();
      last = undefined;
      return isListed;
    },
    bars: () => [...open.values()].flat(),
  };
}

/** Groups open bars as a store has them. */
export function openStateOf(bars: readonly BarRecord[]): OpenState {
  const open = new Map<number, BarRecord[]>();
  for (const bar of bars) {
    const known = open.get(bar.symbolIndex);
    if (known) known.push(bar);
    else open.set(bar.symbolIndex, [bar]);
  }
  return open;
}
