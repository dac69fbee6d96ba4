/** The readable twin of kernels/dbn.ts: the same records to the same messages, one at a time. */
import { ORDER_LIMIT } from '../../../schemas/order-records.ts';
import { DBN_STOP } from '../../kernel/dbn.ts';
import type { DbnInstrument } from '../../kernel/dbn-instruments.ts';
import { BOOK_ACTION, BOOK_FLAG, BOOK_SIDE, type BookMessage, NO_PRICE } from '../../market/book-message.ts';
import { DBN_FLAG, DBN_MBO_BYTES, DBN_TYPE } from './dbn-layout.ts';

const ACTIONS: Readonly<Record<string, number>> = {
  A: BOOK_ACTION.add,
  C: BOOK_ACTION.cancel,
  M: BOOK_ACTION.modify,
  T: BOOK_ACTION.trade,
  F: BOOK_ACTION.fill,
  R: BOOK_ACTION.clear,
  N: 0,
};
const SIDES: Readonly<Record<string, number>> = { B: BOOK_SIDE.buy, A: BOOK_SIDE.sell, N: BOOK_SIDE.none };
const UNDEFINED_PRICE = 0x7fff_ffff_ffff_ffffn;
const HEADER_BYTES = 16;

/** Why a record gives no message: the index of its counter. */
const REFUSED = { offTick: 0, priceOutOfRange: 1, quantityOutOfRange: 2, malformed: 3, ignored: 4 } as const;

export interface DbnDecoded {
  readonly messages: BookMessage[];
  readonly counters: number[];
  readonly consumed: number;
  readonly stop: number;
}

/** What the kernel gives for `bytes`, `capacity` messages at most. */
export function decodeDbn(bytes: Uint8Array, instruments: readonly DbnInstrument[], capacity: number): DbnDecoded {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: BookMessage[] = [];
  const counters = [0, 0, 0, 0, 0];
  for (let at = 0; ; ) {
    const ended = (stop: number): DbnDecoded => ({ messages, counters, consumed: at, stop });
    if (bytes.length - at < HEADER_BYTES) return ended(DBN_STOP.drained);
    const length = view.getUint8(at) * 4;
    if (length < HEADER_BYTES) return ended(DBN_STOP.broken);
    if (length > bytes.length - at) return ended(DBN_STOP.drained);
    if (messages.length === capacity) return ended(DBN_STOP.full);
    if (view.getUint8(at + 1) === DBN_TYPE.mbo) {
      if (length < DBN_MBO_BYTES) return ended(DBN_STOP.broken);
      const id = view.getUint32(at + 4, true);
      const instrument = instruments.find((known) => known.id === id);
      if (!instrument) return ended(DBN_STOP.instrument);
      const decoded = decodeRecord(new DataView(bytes.buffer, bytes.byteOffset + at, length), instrument);
      if (typeof decoded === 'number') counters[decoded]! += 1;
      else messages.push(decoded);
    } else counters[REFUSED.ignored]! += 1;
    at += length;
  }
}

function decodeRecord(record: DataView, { symbolIndex, tickNanos }: DbnInstrument): BookMessage | number {
  const action = ACTIONS[String.fromCharCode(record.getUint8(38))];
  const bits = record.getUint8(36);
  if (action === undefined) return REFUSED.malformed;
  if (action === 0 || bits & (DBN_FLAG.topOfBook | DBN_FLAG.level)) return REFUSED.ignored;
  const side = SIDES[String.fromCharCode(record.getUint8(39))];
  const isResting = action === BOOK_ACTION.add || action === BOOK_ACTION.cancel || action === BOOK_ACTION.modify;
  if (side === undefined || (isResting && side === BOOK_SIDE.none)) return REFUSED.malformed;
  let flags = (bits & DBN_FLAG.last ? BOOK_FLAG.last : 0) | (bits & DBN_FLAG.snapshot ? BOOK_FLAG.snapshot : 0);
  const message = { tsNs: record.getBigInt64(8, true), action, symbolIndex, newOrderId: 0n };
  if (action === BOOK_ACTION.clear) return { ...message, side: BOOK_SIDE.none, orderId: 0n, priceTicks: NO_PRICE, quantityLots: 0, flags };
  const quantityLots = record.getUint32(32, true);
  if (quantityLots === 0 || quantityLots > ORDER_LIMIT.quantityMax) return REFUSED.quantityOutOfRange;
  const price = record.getBigInt64(24, true);
  let priceTicks: number = NO_PRICE;
  if (price !== UNDEFINED_PRICE) {
    const tick = BigInt(tickNanos);
    const rest = ((price % tick) + tick) % tick;
    priceTicks = Number((price - rest) / tick);
    if (Math.abs(priceTicks) > ORDER_LIMIT.priceMax) return REFUSED.priceOutOfRange;
    if (rest !== 0n && isResting) return REFUSED.offTick;
    if (rest !== 0n) flags |= BOOK_FLAG.betweenTicks;
  } else if (isResting) return REFUSED.priceOutOfRange;
  return { ...message, side, orderId: record.getBigUint64(16, true), priceTicks, quantityLots, flags };
}
