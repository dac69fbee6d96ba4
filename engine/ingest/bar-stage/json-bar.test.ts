import { describe, expect, it } from 'vitest';
import { REFUSAL } from '../../../schemas/records.ts';
import { vwapOf } from '../../market/bar-values.ts';
import { decodeJsonBar, type InputKind, limitsOf } from './json-bar.ts';
import { notionalOf } from './notional.ts';

const KIND: InputKind = { seconds: 60, timeframe: '1m', ...limitsOf(15) };
const CONTRACT = { symbol: 'A', tf: '1m', ts: 1_700_000_040, o: 10.5, h: 11, l: 10, c: 10.25, vol: 30, n_trades: 4 };
const OURS = { ...CONTRACT, rev: 2, late: 1, vwap: 10.4, first_ns: '1700000040000000001', last_ns: '1700000099999999999' };

function decode(fields: object): ReturnType<typeof decodeJsonBar> {
  return decodeJsonBar(Buffer.from(JSON.stringify(fields)), KIND);
}

describe('decodeJsonBar', () => {
  it('takes a bar of the contract, and one with our fields', () => {
    expect(decode(CONTRACT).bar).toEqual({
      ...{ symbol: 'A', tsSec: 1_700_000_040, open: 10.5, high: 11, low: 10, close: 10.25, volumeLots: 30, tradeCount: 4 },
      ...{ revision: 0, lateCount: 0, vwap: undefined, firstOffsetNs: 0, lastOffsetNs: 0 },
    });
    const { bar } = decode(OURS);
    expect(bar).toMatchObject({ revision: 2, lateCount: 1, vwap: 10.4, firstOffsetNs: 1, lastOffsetNs: 59_999_999_999 });
  });

  it('does without tf, and refuses one that is not the topic’s', () => {
    const { tf, ...without } = CONTRACT;
    expect(decode(without).refusal).toBe(0);
    expect(decode({ ...CONTRACT, tf: `${tf}x` }).refusal).toBe(REFUSAL.malformed);
  });

  it('refuses what is no bar, by reason', () => {
    for (const name of ['symbol', 'ts', 'o', 'h', 'l', 'c', 'vol', 'n_trades']) {
      expect(decode({ ...CONTRACT, [name]: undefined }).refusal, name).toBe(REFUSAL.malformed);
      expect(decode({ ...CONTRACT, [name]: null }).refusal, name).toBe(REFUSAL.malformed);
    }
    const cases: [object, number][] = [
      [{ o: -1, l: -2 }, REFUSAL.priceNotPositive],
      [{ o: 12 }, REFUSAL.barInconsistent],
      [{ l: 10.3 }, REFUSAL.barInconsistent],
      [{ ts: 1_700_000_041 }, REFUSAL.barInconsistent],
      [{ ts: -60 }, REFUSAL.eventTimeInvalid],
      [{ vol: -1 }, REFUSAL.quantityNegative],
      [{ vol: 1.5 }, REFUSAL.quantityOffLot],
      [{ vol: 2 ** 60 }, REFUSAL.quantityOffLot],
      [{ n_trades: 2 ** 31 }, REFUSAL.barInconsistent],
      [{ rev: -1 }, REFUSAL.malformed],
      [{ first_ns: '1700000040000000001' }, REFUSAL.malformed],
      [{ first_ns: '1', last_ns: '2' }, REFUSAL.barInconsistent],
    ];
    for (const [change, refusal] of cases) expect(decode({ ...CONTRACT, ...change }).refusal, JSON.stringify(change)).toBe(refusal);
    for (const text of ['', '[]', 'null', '{"symbol":', '{"symbol":"A","event_ts":1,"ltp":1,"vol":1}', '"\ud800"']) {
      expect(decodeJsonBar(Buffer.from(text), KIND).refusal, text).toBe(REFUSAL.malformed);
    }
    expect(decodeJsonBar(Uint8Array.of(0xff, 0xfe), KIND).refusal).toBe(REFUSAL.malformed);
    expect(decodeJsonBar(Buffer.from(JSON.stringify(CONTRACT).replace('10.5', '1e400')), KIND).refusal).toBe(REFUSAL.priceNotFinite);
  });
});

describe('notionalOf', () => {
  it('finds the notional that a VWAP was made of', () => {
    for (const [notional, volume] of [
      [313n, 31n],
      [99_999_999_999_999n, 7n],
      [1n, 3n],
      [2n ** 50n - 1n, 1_000_003n],
    ] as const) {
      expect(notionalOf(vwapOf(notional, volume, 100), Number(volume), 100)).toBe(Number(notional));
    }
  });

  it('is unknown where the VWAP is not told, was rounded, or is too large to tell neighbours apart', () => {
    expect(notionalOf(undefined, 5, 100)).toBeNaN();
    expect(notionalOf(null, 5, 100)).toBeNaN();
    expect(notionalOf(10.333, 3_000_001, 100)).toBeNaN();
    expect(notionalOf(vwapOf(2n ** 51n, 3n, 100), 3, 100)).toBeNaN();
    expect(notionalOf(null, 0, 100)).toBe(0);
  });
});
