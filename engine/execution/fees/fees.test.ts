import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { runs } from '../../../test/bar-arbitraries.ts';
import { type FeeSettings, parsePaperSettings } from '../paper/settings.ts';
import { createFees, type FeeFill, type FeeLine, notionalAttoOf } from './fees.ts';

const PAISE_NANOS = 10_000_000;
const UNIT_NANOS = 1_000_000_000;
/** 2026-03-02, 15:00 UTC: a Monday in New York's morning. */
const MONDAY_NS = 1_772_463_600_000_000_000n;
const HOUR_NS = 3_600_000_000_000n;

/** A fill of so many shares at a price in paise or cents. */
function fillOf(side: 0 | 1, shares: number, priceMinor: number, rest: Partial<FeeFill> = {}): FeeFill {
  return {
    orderId: 1n,
    side,
    isMaker: false,
    notionalAtto: notionalAttoOf({ priceTicks: priceMinor, quantityLots: shares, tickNanos: PAISE_NANOS, lotNanos: UNIT_NANOS }),
    quantityNanos: BigInt(shares) * BigInt(UNIT_NANOS),
    tsNs: MONDAY_NS,
    ...rest,
  };
}

const byName = (lines: readonly FeeLine[]): Record<string, number> =>
  Object.fromEntries(lines.map(({ name, minor }) => [name, Number(minor)]));
const feesOf = (fees: object) => createFees(parsePaperSettings({ fees }).fees satisfies FeeSettings);

describe('Indian equity charges, in paise', () => {
  it('intraday, 100 at 1,000 rupees: brokerage at its ceiling, stamp duty on the purchase, STT on the sale', () => {
    const fees = feesOf({ kind: 'indiaEquity', product: 'intraday' });
    // Turnover 100,000: 0.03 % is 30, the ceiling 20; 0.00307 % is 3.07; Rs 10 a crore is 0.10; GST 18 % of 23.17 is 4.1706.
    expect(byName(fees.charge(fillOf(0, 100, 100_000)))).toEqual({ brokerage: 2000, exchange: 307, sebi: 10, stamp: 300, gst: 417 });
    expect(byName(fees.charge(fillOf(1, 100, 100_000, { orderId: 2n })))).toEqual({
      brokerage: 2000,
      exchange: 307,
      sebi: 10,
      stt: 2500,
      gst: 417,
    });
  });

  it('delivery, 100 at 1,000 rupees: no brokerage, STT on both sides', () => {
    const fees = feesOf({ kind: 'indiaEquity', product: 'delivery' });
    // GST 18 % of 3.17 is 0.5706.
    expect(byName(fees.charge(fillOf(0, 100, 100_000)))).toEqual({ exchange: 307, sebi: 10, stt: 10_000, stamp: 1500, gst: 57 });
    expect(byName(fees.charge(fillOf(1, 100, 100_000, { orderId: 2n })))).toEqual({ exchange: 307, sebi: 10, stt: 10_000, gst: 57 });
  });

  it('small orders: each charge is rounded to the paisa by itself', () => {
    const fees = feesOf({ kind: 'indiaEquity', product: 'intraday' });
    // 7 at 123.45 is 864.15: brokerage 0.259, exchange 0.0265, SEBI 0.0009, stamp 0.0259; GST 18 % of 0.26 + 0.03 is 0.0522.
    expect(byName(fees.charge(fillOf(0, 7, 12_345)))).toEqual({ brokerage: 26, exchange: 3, stamp: 3, gst: 5 });
    // 20 at 103.55 is 2,071: STT 0.51775.
    expect(byName(fees.charge(fillOf(1, 20, 10_355, { orderId: 2n })))['stt']).toBe(52);
  });

  it('STT in whole rupees, as contract notes have it', () => {
    const fees = feesOf({ kind: 'indiaEquity', product: 'intraday', isSttInRupees: true });
    // 100 at 101 is 10,100: STT 2.525, so 3 rupees.
    expect(byName(fees.charge(fillOf(1, 100, 10_100)))['stt']).toBe(300);
  });

  it('rates of one day are settings', () => {
    const fees = feesOf({ kind: 'indiaEquity', product: 'intraday', exchangeRate: 29_700, brokerageRate: 0, gstRate: 0 });
    expect(byName(fees.charge(fillOf(0, 100, 100_000)))).toEqual({ exchange: 297, sebi: 10, stamp: 300 });
  });

  it('the fills of an order pay what the whole order would', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 500_000 }),
        (parts, price) => {
          const settings = { kind: 'indiaEquity', product: 'intraday' };
          const inParts = feesOf(settings);
          const total = new Map<string, bigint>();
          for (const shares of parts) {
            for (const { name, minor } of inParts.charge(fillOf(1, shares, price))) total.set(name, (total.get(name) ?? 0n) + minor);
          }
          const whole = feesOf(settings).charge(
            fillOf(
              1,
              parts.reduce((sum, shares) => sum + shares, 0),
              price,
            ),
          );
          expect(new Map([...total].filter(([, minor]) => minor !== 0n))).toEqual(new Map(whole.map(({ name, minor }) => [name, minor])));
        },
      ),
      runs(200),
    );
  });
});

describe('fees at Alpaca, in cents', () => {
  it('nothing but the audit trail on purchases, rounded up', () => {
    // 100 shares x 0.000046 is 0.0046 dollars.
    expect(byName(feesOf({ kind: 'alpaca' }).charge(fillOf(0, 100, 15_000)))).toEqual({ cat: 1 });
  });

  it('fees are summed over the day and the sum is rounded up', () => {
    const fees = feesOf({ kind: 'alpaca' });
    // TAF 100 x 0.000166: 0.0166, then 0.0332, then 0.0498.
    expect(byName(fees.charge(fillOf(1, 100, 15_000)))).toEqual({ taf: 2, cat: 1 });
    expect(byName(fees.charge(fillOf(1, 100, 15_000, { tsNs: MONDAY_NS + HOUR_NS })))).toEqual({ taf: 2 });
    expect(byName(fees.charge(fillOf(1, 100, 15_000, { tsNs: MONDAY_NS + 2n * HOUR_NS })))).toEqual({ taf: 1, cat: 1 });
    // 19:30 in New York is 00:30 UTC, and still the same day there; the next morning is not.
    expect(byName(fees.charge(fillOf(1, 1, 15_000, { tsNs: MONDAY_NS + 9n * HOUR_NS + HOUR_NS / 2n })))).toEqual({});
    expect(byName(fees.charge(fillOf(1, 1, 15_000, { tsNs: MONDAY_NS + 24n * HOUR_NS })))).toEqual({ taf: 1, cat: 1 });
  });

  it('the trading activity fee has a ceiling, the SEC fee a rate that changes', () => {
    // 60,000 x 0.000166 is 9.96; 27.80 a million of 9,000,000 is 250.20; 60,000 x 0.000046 is 2.76.
    expect(byName(feesOf({ kind: 'alpaca', secSellRate: 27_800 }).charge(fillOf(1, 60_000, 15_000)))).toEqual({
      sec: 25_020,
      taf: 830,
      cat: 276,
    });
  });
});

describe('maker and taker', () => {
  const settings = { kind: 'makerTaker', currency: 'USDT', minorDigits: 6, makerRate: -50_000, takerRate: 400_000 };

  it('a rebate for the maker, a fee for the taker, to the smallest unit', () => {
    const fees = feesOf(settings);
    // 3 at 123.45 is 370.35: -0.005 % is -0.0185175, 0.04 % is 0.14814.
    expect(byName(fees.charge(fillOf(0, 3, 12_345, { isMaker: true })))).toEqual({ maker: -18_518 });
    expect(byName(fees.charge(fillOf(0, 3, 12_345)))).toEqual({ taker: 148_140 });
  });

  it('an amount a contract', () => {
    const futures = feesOf({
      kind: 'makerTaker',
      currency: 'USD',
      minorDigits: 2,
      makerRate: 0,
      takerRate: 0,
      takerNanosPerUnit: 850_000_000,
    });
    expect(byName(futures.charge(fillOf(1, 4, 521_425)))).toEqual({ taker: 340 });
    expect(futures.charge(fillOf(1, 4, 521_425, { isMaker: true }))).toEqual([]);
  });

  it('a negative price has a positive notional', () => {
    expect(notionalAttoOf({ priceTicks: -37, quantityLots: 2, tickNanos: PAISE_NANOS, lotNanos: UNIT_NANOS })).toBe(
      740_000_000_000_000_000n,
    );
  });
});
