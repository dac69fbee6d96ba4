/**
 * The price-time book of `bench/cpp/matcher.cpp` in JavaScript: typed arrays of levels and orders, doubly linked FIFO levels, an open hash
 * table of ids, three levels of bits for the next best price. One symbol, prices 0 to 65535, four operations, no checks.
 */

/** A command of the flow: `COMMAND_FIELDS` words. */
export const COMMAND_FIELDS = 8;
export const OP = { limit: 0, immediate: 1, cancel: 2, move: 3 } as const;

const PRICES = 65536;
const ORDER_CAPACITY = 1 << 20;
const ID_MASK = (1 << 20) - 1;
const TOP_WORD = 2048 + 64;
const SIDE_WORDS = TOP_WORD + 2;

export interface TypedBook {
  /** Works on commands `from` to `to` of a flow: op, id, side, price, lots. */
  run(commands: Int32Array, from: number, to: number): void;
  readonly trades: number;
  readonly lots: number;
  /** For each trade `hash = (hash x 31 + maker id x 7 + lots x 13 + price)` in 32 bits. */
  readonly hash: number;
  readonly resting: number;
  /** -1 when there is no bid, 65536 when there is no ask. */
  best(side: number): number;
  /** 0 when there is no such order. */
  lotsOf(id: number): number;
  sideOf(id: number): number;
  /** 0 when there is no such order. */
  priceOf(id: number): number;
  /** Takes all orders out and counts from 0 again. */
  clear(): void;
}

export function createTypedBook(): TypedBook {
  const [heads, tails, levelLots] = [new Int32Array(PRICES), new Int32Array(PRICES), new Int32Array(PRICES)];
  const column = (): Int32Array => new Int32Array(ORDER_CAPACITY);
  const [ids, prices, lots, nexts, previous, sides] = [column(), column(), column(), column(), column(), column()];
  const slots = new Int32Array(ID_MASK + 1);
  /** A side's bits: 2048 words of prices, 64 of words, 2 of those. */
  const bits = new Int32Array(2 * SIDE_WORDS);
  const best = [-1, PRICES];
  let [freeOrder, nextOrder, trades, traded, hash, live] = [0, 1, 0, 0, 0, 0];

  const homeOf = (id: number): number => Math.imul(id, 0x9e3779b1) >>> 12;
  const slotOf = (id: number): number => {
    for (let slot = homeOf(id); ; slot = (slot + 1) & ID_MASK) {
      const order = slots[slot]!;
      if (order === 0) return -1;
      if (ids[order] === id) return slot;
    }
  };
  const addId = (order: number): void => {
    let slot = homeOf(ids[order]!);
    while (slots[slot] !== 0) slot = (slot + 1) & ID_MASK;
    slots[slot] = order;
  };
  const removeSlot = (from: number): void => {
    let hole = from;
    for (let slot = (hole + 1) & ID_MASK; slots[slot] !== 0; slot = (slot + 1) & ID_MASK) {
      const home = homeOf(ids[slots[slot]!]!);
      if (((slot - home) & ID_MASK) < ((slot - hole) & ID_MASK)) continue;
      slots[hole] = slots[slot]!;
      hole = slot;
    }
    slots[hole] = 0;
  };
  const setBit = (side: number, price: number): void => {
    const base = side * SIDE_WORDS;
    bits[base + (price >> 5)] = bits[base + (price >> 5)]! | (1 << (price & 31));
    bits[base + 2048 + (price >> 10)] = bits[base + 2048 + (price >> 10)]! | (1 << ((price >> 5) & 31));
    bits[base + TOP_WORD + (price >> 15)] = bits[base + TOP_WORD + (price >> 15)]! | (1 << ((price >> 10) & 31));
  };
  const clearBit = (side: number, price: number): void => {
    const base = side * SIDE_WORDS;
    const word = bits[base + (price >> 5)]! & ~(1 << (price & 31));
    bits[base + (price >> 5)] = word;
    if (word !== 0) return;
    const above = bits[base + 2048 + (price >> 10)]! & ~(1 << ((price >> 5) & 31));
    bits[base + 2048 + (price >> 10)] = above;
    if (above === 0) bits[base + TOP_WORD + (price >> 15)] = bits[base + TOP_WORD + (price >> 15)]! & ~(1 << ((price >> 10) & 31));
  };
  const lowBit = (word: number): number => 31 - Math.clz32(word & -word);
  const highBit = (word: number): number => 31 - Math.clz32(word);
  const findBest = (side: number): number => {
    const base = side * SIDE_WORDS;
    const pick = side === 0 ? highBit : lowBit;
    const [first, second] = side === 0 ? [1, 0] : [0, 1];
    const top = bits[base + TOP_WORD + first] !== 0 ? first : second;
    if (bits[base + TOP_WORD + top] === 0) return side === 0 ? -1 : PRICES;
    const group = (top << 5) | pick(bits[base + TOP_WORD + top]!);
    const word = (group << 5) | pick(bits[base + 2048 + group]!);
    return (word << 5) | pick(bits[base + word]!);
  };
  const rest = (id: number, side: number, price: number, quantity: number): void => {
    const order = freeOrder !== 0 ? freeOrder : nextOrder++;
    if (freeOrder !== 0) freeOrder = nexts[order]!;
    const tail = tails[price]!;
    ids[order] = id;
    prices[order] = price;
    lots[order] = quantity;
    nexts[order] = 0;
    previous[order] = tail;
    sides[order] = side;
    if (tail !== 0) nexts[tail] = order;
    else {
      heads[price] = order;
      setBit(side, price);
      best[side] = side === 0 ? Math.max(best[0]!, price) : Math.min(best[1]!, price);
    }
    tails[price] = order;
    levelLots[price] = levelLots[price]! + quantity;
    addId(order);
    live += 1;
  };
  const remove = (order: number): void => {
    const [price, side, next, before] = [prices[order]!, sides[order]!, nexts[order]!, previous[order]!];
    if (next !== 0) previous[next] = before;
    else tails[price] = before;
    if (before !== 0) nexts[before] = next;
    else heads[price] = next;
    levelLots[price] = levelLots[price]! - lots[order]!;
    if (heads[price] === 0) {
      clearBit(side, price);
      if (best[side] === price) best[side] = findBest(side);
    }
    nexts[order] = freeOrder;
    freeOrder = order;
    live -= 1;
  };
  const take = (side: number, limit: number, quantity: number): number => {
    let left = quantity;
    while (left > 0) {
      const price = best[side ^ 1]!;
      if (side === 0 ? price > limit || price === PRICES : price < limit || price < 0) break;
      for (let order = heads[price]!; order !== 0 && left > 0; ) {
        const fill = Math.min(lots[order]!, left);
        trades += 1;
        traded += fill;
        hash = (Math.imul(hash, 31) + ids[order]! * 7 + fill * 13 + price) | 0;
        left -= fill;
        if (fill === lots[order]) {
          const next = nexts[order]!;
          removeSlot(slotOf(ids[order]!));
          remove(order);
          order = next;
        } else {
          lots[order] = lots[order]! - fill;
          levelLots[price] = levelLots[price]! - fill;
        }
      }
    }
    return left;
  };
  const add = (id: number, side: number, price: number, quantity: number): void => {
    const isCrossing = side === 0 ? price >= best[1]! : price <= best[0]!;
    const left = isCrossing ? take(side, price, quantity) : quantity;
    if (left > 0) rest(id, side, price, left);
  };
  const change = (op: number, id: number, price: number): void => {
    const slot = slotOf(id);
    if (slot < 0) return;
    const order = slots[slot]!;
    const [side, quantity] = [sides[order]!, lots[order]!];
    removeSlot(slot);
    remove(order);
    if (op === OP.move) add(id, side, price, quantity);
  };
  return {
    run(commands, from, to) {
      for (let index = from; index < to; index += 1) {
        const at = index * COMMAND_FIELDS;
        const [op, id, side, price, quantity] = [commands[at]!, commands[at + 1]!, commands[at + 2]!, commands[at + 3]!, commands[at + 4]!];
        if (op === OP.limit) add(id, side, price, quantity);
        else if (op === OP.immediate) take(side, price, quantity);
        else change(op, id, price);
      }
    },
    get trades() {
      return trades;
    },
    get lots() {
      return traded;
    },
    get hash() {
      return hash;
    },
    get resting() {
      return live;
    },
    clear() {
      for (let price = 0; price < PRICES; price += 1) {
        for (let order = heads[price]!; order !== 0; order = heads[price]!) {
          removeSlot(slotOf(ids[order]!));
          remove(order);
        }
      }
      [trades, traded, hash] = [0, 0, 0];
    },
    best: (side) => best[side]!,
    lotsOf: (id) => (slotOf(id) < 0 ? 0 : lots[slots[slotOf(id)]!]!),
    sideOf: (id) => (slotOf(id) < 0 ? 0 : sides[slots[slotOf(id)]!]!),
    priceOf: (id) => (slotOf(id) < 0 ? 0 : prices[slots[slotOf(id)]!]!),
  };
}
