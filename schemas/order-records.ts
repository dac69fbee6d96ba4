/** The records of the matcher, declared once: commands on the order ring, events out, and the state of a book region. */
import type { RecordType } from './record-type.ts';

/** What a command asks for. */
export const COMMAND_KIND = {
  /** An order comes in. */
  new: 1,
  /** An order goes. */
  cancel: 2,
  /** An order's leaves get less by quantityLots; it keeps its place. */
  reduce: 3,
  /** An order gets another price or other leaves; it keeps its place only at the same price with leaves that are not larger. */
  replace: 4,
  /** An order goes off the book and on again at another price with the same leaves; it always loses its place. */
  move: 5,
  /** All orders of an owner, a symbol, a side, or any mixture of them go: MASS_SCOPE. */
  massCancel: 6,
  /** The symbol's trading phase changes: PHASE in `quantityLots`. */
  phase: 7,
  /** The symbol's price band changes: `priceTicks` lower, `stopTicks` upper, both inclusive. */
  band: 8,
  /** Time passes and nothing else happens: what is due expires. */
  time: 9,
  /** An order is put where it was, with neither checks nor matching: recovery, in the order of a listing. */
  restore: 10,
} as const;

/** What came of a command. */
export const EVENT_KIND = {
  accepted: 1,
  rejected: 2,
  trade: 3,
  cancelled: 4,
  replaced: 5,
  expired: 6,
  triggered: 7,
  refreshed: 8,
  top: 9,
  phase: 10,
} as const;

export const ORDER_TYPE = { limit: 0, market: 1, marketToLimit: 2, stop: 3, stopLimit: 4, trailingStop: 5 } as const;
export const TIME_IN_FORCE = { gtc: 0, day: 1, gtd: 2, ioc: 3, fok: 4 } as const;
export const SELF_MATCH = { allow: 0, cancelNewest: 1, cancelOldest: 2, cancelBoth: 3 } as const;
export const PHASE = { closed: 0, call: 1, continuous: 2, halted: 3 } as const;

/** `attributes` of an order: where each part begins, and the two flags. Side: 0 buy, 1 sell. */
export const ORDER_BITS = {
  sideShift: 0,
  typeShift: 1,
  timeInForceShift: 4,
  selfMatchShift: 7,
  postOnly: 1 << 9,
  allOrNone: 1 << 10,
} as const;

/** `attributes` of a mass cancel: which of the command's fields narrow it. Bit 0 is the side. */
export const MASS_SCOPE = { bySide: 2, bySymbol: 4, byOwner: 8 } as const;

/** Why an order was refused, or left the book without a trade. Zero is never a reason. */
export const ORDER_REASON = {
  unknownSymbol: 1,
  duplicateId: 2,
  malformed: 3,
  unsupportedCombination: 4,
  sessionClosed: 5,
  halted: 6,
  notInCall: 7,
  quantityNotPositive: 8,
  quantityTooLarge: 9,
  quantityTooSmall: 10,
  offLot: 11,
  priceOutOfRange: 12,
  offTick: 13,
  outsideBand: 14,
  stopInvalid: 15,
  displayInvalid: 16,
  expiryPassed: 17,
  ownerUnknown: 18,
  ownerBlocked: 19,
  ownerOrderLimit: 20,
  ownerQuantityLimit: 21,
  ownerNotionalLimit: 22,
  orderPoolFull: 23,
  pricePoolFull: 24,
  wouldTake: 25,
  unknownOrder: 26,
  notOwner: 27,
  noLiquidity: 28,
  requested: 29,
  remainder: 30,
  unfilled: 31,
  selfMatch: 32,
  massCancelled: 33,
  sessionEnd: 34,
  timePassed: 35,
} as const;

/** Bounds that hold everywhere: prices are within plus and minus `priceMax`, quantities and leaves 1 to `quantityMax`, slices of all icebergs of a region together `slicesMax`. */
export const ORDER_LIMIT = { priceMax: 0x3fffffff, quantityMax: 0x40000000, priceNone: -0x80000000, slicesMax: 0x10000 } as const;

/** Bits of an owner's flags. */
export const OWNER_FLAG = { isBlocked: 1 } as const;

export const ORDER_RECORDS: readonly RecordType[] = [
  {
    name: 'orderCommand',
    sizeBytes: 64,
    doc: 'One slot of an order ring: one cache line. Prices in ticks and quantities in lots of the instrument.',
    fields: [
      { name: 'kind', type: 'i32', offset: 0, doc: 'COMMAND_KIND' },
      { name: 'symbolIndex', type: 'i32', offset: 4, doc: 'book within the region' },
      { name: 'orderId', type: 'u64', offset: 8, doc: 'unique among the live orders of the region' },
      { name: 'tsNs', type: 'i64', offset: 16, doc: 'time of the command; the region never goes back behind the latest seen' },
      { name: 'priceTicks', type: 'i32', offset: 24, doc: 'limit; band: lower' },
      { name: 'quantityLots', type: 'i32', offset: 28, doc: 'whole quantity; replace: the new leaves; reduce: by how much; phase: PHASE' },
      {
        name: 'stopTicks',
        type: 'i32',
        offset: 32,
        doc: 'trigger of stop and stopLimit; band: upper; restore of a trailing stop: where it stands',
      },
      { name: 'displayLots', type: 'i32', offset: 36, doc: 'shown slice of an iceberg; 0: all is shown' },
      { name: 'trailTicks', type: 'i32', offset: 40, doc: 'distance of a trailing stop' },
      { name: 'shownLots', type: 'i32', offset: 44, doc: 'restore of an iceberg: what is left of the slice in the book' },
      { name: 'expiryNs', type: 'i64', offset: 48, doc: 'GTD: gone from this time on' },
      { name: 'owner', type: 'u32', offset: 56, doc: '0: nobody in particular, never self-matched nor limited' },
      { name: 'attributes', type: 'i32', offset: 60, doc: 'ORDER_BITS; mass cancel: MASS_SCOPE and the side' },
    ],
  },
  {
    name: 'orderEvent',
    sizeBytes: 64,
    doc: 'What came of a command, in order. In a trade the order is the taker and the other the maker; in an auction the buyer and the seller.',
    fields: [
      { name: 'kind', type: 'i32', offset: 0, doc: 'EVENT_KIND | ORDER_REASON << 8' },
      { name: 'symbolIndex', type: 'i32', offset: 4, doc: 'book within the region' },
      { name: 'orderId', type: 'u64', offset: 8, doc: 'the order; top: lots at the best bid' },
      { name: 'otherId', type: 'u64', offset: 16, doc: 'trade: the maker; accepted: expiryNs; top: lots at the best ask' },
      { name: 'priceTicks', type: 'i32', offset: 24, doc: 'limit, or price of the trade; top: best bid or PRICE_NONE' },
      {
        name: 'quantityLots',
        type: 'i32',
        offset: 28,
        doc: 'traded; accepted: whole; cancelled, expired: what went; replaced: leaves before; refreshed: new slice; phase: PHASE',
      },
      { name: 'leavesLots', type: 'i32', offset: 32, doc: 'left of the order, hidden part included' },
      {
        name: 'otherLeavesLots',
        type: 'i32',
        offset: 36,
        doc: 'trade: left of the maker; top: best ask or PRICE_NONE; else the trigger, if the order has one',
      },
      { name: 'tsNs', type: 'i64', offset: 40, doc: 'time of the region at the command' },
      { name: 'owner', type: 'u32', offset: 48, doc: 'of the order' },
      {
        name: 'otherOwner',
        type: 'u32',
        offset: 52,
        doc: 'trade: of the maker; accepted: trailTicks; replaced: 1 if the place is lost; rejected: kind of the command',
      },
      { name: 'displayLots', type: 'i32', offset: 56, doc: 'of the order: shown slice, 0 for all' },
      { name: 'attributes', type: 'i32', offset: 60, doc: 'ORDER_BITS of the order; the type is the one it has by now' },
    ],
  },
  {
    name: 'bookInstrument',
    sizeBytes: 64,
    doc: 'What a symbol of a book region allows; the host writes it before the first command of the symbol.',
    fields: [
      { name: 'phase', type: 'i32', offset: 0, doc: 'PHASE it begins in' },
      { name: 'tickStep', type: 'i32', offset: 4, doc: 'prices are multiples of it, 1 and up' },
      { name: 'lotStep', type: 'i32', offset: 8, doc: 'quantities are multiples of it, 1 and up' },
      { name: 'minLots', type: 'i32', offset: 12, doc: 'least quantity of an order, 1 and up' },
      { name: 'maxLots', type: 'i32', offset: 16, doc: 'greatest quantity of an order, to quantityMax' },
      { name: 'lowerTicks', type: 'i32', offset: 20, doc: 'lowest price allowed' },
      { name: 'upperTicks', type: 'i32', offset: 24, doc: 'highest price allowed' },
      { name: 'lastTicks', type: 'i32', offset: 28, doc: 'last trade price, or priceNone: reference of stops and of the uncross' },
    ],
  },
  {
    name: 'bookOwner',
    sizeBytes: 32,
    doc: 'Pre-trade limits of an owner; 0 in a limit: none.',
    fields: [
      { name: 'flags', type: 'i32', offset: 0, doc: 'OWNER_FLAG' },
      { name: 'openOrders', type: 'i32', offset: 4, doc: 'orders of the owner that are live; kept by the matcher' },
      { name: 'maxOpenOrders', type: 'i32', offset: 8, doc: '' },
      { name: 'maxOrderLots', type: 'i32', offset: 12, doc: '' },
      { name: 'maxNotional', type: 'i64', offset: 16, doc: 'of one order, |price| in ticks x quantity in lots' },
    ],
  },
];
