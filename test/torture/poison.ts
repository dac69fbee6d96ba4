/** Messages that a well-behaved producer would not send, each with the reason for which it must be refused. */
import type { Prng } from '../../engine/core/prng.ts';
import { encodePacked, PACKED_RECORD_BYTES } from '../../engine/ingest/packed.ts';
import type { FeedMessage, FeedSymbol } from './feed.ts';

interface PoisonKind {
  readonly name: string;
  readonly reason: string;
  /** Index of the refused record within the message; -1: the whole message. */
  readonly recordIndex: number;
  readonly isPacked?: boolean;
  make(symbol: string, time: bigint): Uint8Array | null;
}

/** As large as a message of this size limit may be, with room for its headers. */
const HUGE_BYTES = 1_000_000 - 1024;
const FAR_FUTURE_NS = BigInt(Date.UTC(2150, 0)) * 1_000_000n;
const BEYOND_NS = BigInt(Date.UTC(2250, 0)) * 1_000_000n;

const encoder = new TextEncoder();

function text(name: string, reason: string, make: (symbol: string, time: bigint) => string): PoisonKind {
  return { name, reason, recordIndex: -1, make: (symbol, time) => encoder.encode(make(symbol, time)) };
}

interface PackedValues {
  readonly price?: number;
  readonly lots?: bigint;
  readonly time?: bigint;
}

/** Three records of a symbol, the second with other values. */
function packed(symbol: string, time: bigint, odd: PackedValues): Uint8Array {
  const good = { symbolRef: 0, tsEventNs: time, price: 100, quantityLots: 1n, ask: 0 };
  const bad = { ...good, price: odd.price ?? 100, quantityLots: odd.lots ?? 1n, tsEventNs: odd.time ?? time };
  return encodePacked([{ symbol, kind: 'trade', priceDecimals: 2, lotDecimals: 0 }], [good, bad, good]);
}

function record(name: string, reason: string, odd: PackedValues): PoisonKind {
  return { name, reason, recordIndex: 1, isPacked: true, make: (symbol, time) => packed(symbol, time, odd) };
}

export const POISON_KINDS: readonly PoisonKind[] = [
  text('cut short', 'malformed', (symbol) => `{"symbol":"${symbol}","event_ts":`),
  text('not JSON', 'malformed', () => 'not json'),
  text('time as text', 'malformed', (symbol) => `{"symbol":"${symbol}","event_ts":"soon","ltp":1,"vol":1}`),
  text('price as text', 'malformed', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":"1","vol":1}`),
  text('symbol as number', 'malformed', (_, time) => `{"symbol":7,"event_ts":${time},"ltp":1,"vol":1}`),
  text('no quantity', 'malformed', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":1}`),
  text('no symbol', 'malformed', (_, time) => `{"event_ts":${time},"ltp":1,"vol":1}`),
  text('symbol twice', 'malformed', (symbol, time) => `{"symbol":"${symbol}","symbol":"X","event_ts":${time},"ltp":1,"vol":1}`),
  text('name too long', 'malformed', (_, time) => `{"symbol":"${'L'.repeat(41)}","event_ts":${time},"ltp":1,"vol":1}`),
  text('NaN', 'malformed', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":NaN,"vol":1}`),
  text('null price', 'malformed', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":null,"vol":1}`),
  text('list', 'malformed', () => '[1,2,3]'),
  text('price too large', 'priceNotFinite', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":1e300,"vol":1}`),
  text('negative price', 'priceNotPositive', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":-5,"vol":1}`),
  text('price zero', 'priceNotPositive', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":0,"vol":1}`),
  text('negative quantity', 'quantityNegative', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":1,"vol":-1}`),
  text('part of a lot', 'quantityOffLot', (symbol, time) => `{"symbol":"${symbol}","event_ts":${time},"ltp":1,"vol":1.5}`),
  text('time zero', 'eventTimeInvalid', (symbol) => `{"symbol":"${symbol}","event_ts":0,"ltp":1,"vol":1}`),
  text('time below zero', 'eventTimeInvalid', (symbol) => `{"symbol":"${symbol}","event_ts":-5,"ltp":1,"vol":1}`),
  text('time of 2250', 'eventTimeInvalid', (symbol) => `{"symbol":"${symbol}","event_ts":${BEYOND_NS},"ltp":1,"vol":1}`),
  text('time of 2150', 'eventTimeInFuture', (symbol) => `{"symbol":"${symbol}","event_ts":${FAR_FUTURE_NS},"ltp":1,"vol":1}`),
  text('time too large', 'eventTimeInvalid', (symbol) => `{"symbol":"${symbol}","event_ts":99999999999999999999,"ltp":1,"vol":1}`),
  text('empty', 'malformed', () => ''),
  { name: 'tombstone', reason: 'malformed', recordIndex: -1, make: () => null },
  { name: 'not UTF-8', reason: 'malformed', recordIndex: -1, make: () => new Uint8Array([0x7b, 0xff, 0xfe, 0x00, 0x7d]) },
  { name: '1 MB', reason: 'malformed', recordIndex: -1, make: () => new Uint8Array(HUGE_BYTES).fill(0x78) },
  {
    name: 'packed, cut short',
    reason: 'malformed',
    recordIndex: -1,
    isPacked: true,
    make: (symbol, time) => packed(symbol, time, {}).subarray(0, -5),
  },
  { name: 'packed, other bytes', reason: 'malformed', recordIndex: -1, isPacked: true, make: () => encoder.encode('{"symbol":"X"}') },
  {
    name: 'packed, symbol beyond the table',
    reason: 'malformed',
    recordIndex: 1,
    isPacked: true,
    make(symbol, time) {
      const value = packed(symbol, time, {});
      new DataView(value.buffer).setUint32(value.length - 2 * PACKED_RECORD_BYTES, 9, true);
      return value;
    },
  },
  record('packed NaN', 'priceNotFinite', { price: Number.NaN }),
  record('packed infinity', 'priceNotFinite', { price: Number.POSITIVE_INFINITY }),
  record('packed negative price', 'priceNotPositive', { price: -1 }),
  record('packed negative quantity', 'quantityNegative', { lots: -7n }),
  record('packed time of 2250', 'eventTimeInvalid', { time: BEYOND_NS }),
];

/** One message of a kind drawn from `prng`, about `symbol` and sent to its partition; its whole records have the event time `time`. */
export function makePoison(prng: Prng, { name, partition }: FeedSymbol, time: bigint): FeedMessage {
  // The largest is rare: it costs the most.
  let kind = POISON_KINDS[prng.nextBelow(POISON_KINDS.length)]!;
  if (kind.name === '1 MB' && prng.nextBelow(3) !== 0) kind = POISON_KINDS[0]!;
  return { partition, value: kind.make(name, time), isPacked: kind.isPacked ?? false, poison: kind.name };
}
