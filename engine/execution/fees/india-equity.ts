/**
 * Charges on Indian cash equities, to the paisa.
 *
 * Rates are those in force at NSE and at a discount broker when this was written; every one is a setting. Brokerage has a ceiling for each order,
 * so charges are reckoned on what the order has turned over so far, each rounded to the paisa (halves up), and a fill pays what its
 * order owes more than before: the fills of an order always add up to the charges of the whole order.
 */
import type { IndiaEquitySettings } from '../paper/settings.ts';
import type { FeeAccount, FeeFill, FeeLine } from './fees.ts';
import { NANO, roundHalfUp } from './rounding.ts';

interface Rates {
  /** Of the turnover, in billionths. */
  readonly brokerage: bigint;
  /** Of an order, in billionths of a rupee; 0: none. */
  readonly brokerageMaxNanos: bigint;
  readonly exchange: bigint;
  readonly sebi: bigint;
  readonly sttBuy: bigint;
  readonly sttSell: bigint;
  readonly stampBuy: bigint;
  /** On brokerage, exchange and SEBI charges. */
  readonly gst: bigint;
}

const RATES = {
  // 0.03 % or Rs 20, exchange 0.00307 %, SEBI Rs 10 a crore, STT 0.025 % on sales, stamp duty 0.003 % on purchases, GST 18 %.
  intraday: {
    brokerage: 300_000,
    brokerageMaxNanos: 20_000_000_000,
    exchange: 30_700,
    sebi: 1000,
    sttBuy: 0,
    sttSell: 250_000,
    stampBuy: 30_000,
    gst: 180_000_000,
  },
  // No brokerage, STT 0.1 % on both sides, stamp duty 0.015 % on purchases.
  delivery: {
    brokerage: 0,
    brokerageMaxNanos: 0,
    exchange: 30_700,
    sebi: 1000,
    sttBuy: 1_000_000,
    sttSell: 1_000_000,
    stampBuy: 150_000,
    gst: 180_000_000,
  },
} as const;

const NAMES = ['brokerage', 'exchange', 'sebi', 'stt', 'stamp', 'gst'] as const;
/** In 10^-18 rupees. */
const PAISA_ATTO = 10_000_000_000_000_000n;
const PAISE_A_RUPEE = 100n;

interface OrderTurnover {
  turnoverAtto: bigint;
  /** Paise charged so far, by NAMES. */
  readonly charged: bigint[];
}

export function createIndiaEquityFees(settings: IndiaEquitySettings): FeeAccount {
  const rates = ratesOf(settings);
  const orders = new Map<bigint, OrderTurnover>();
  return {
    charge(fill) {
      const order = orders.get(fill.orderId) ?? { turnoverAtto: 0n, charged: NAMES.map(() => 0n) };
      orders.set(fill.orderId, order);
      order.turnoverAtto += fill.notionalAtto;
      const owed = owedPaise(rates, fill, order.turnoverAtto, settings.isSttInRupees ?? false);
      const lines: FeeLine[] = [];
      for (const [index, name] of NAMES.entries()) {
        const minor = owed[index]! - order.charged[index]!;
        order.charged[index] = owed[index]!;
        if (minor !== 0n) lines.push({ name, currency: 'INR', minorDigits: 2, minor });
      }
      return lines;
    },
    forget(orderId) {
      orders.delete(orderId);
    },
  };
}

/** Paise that an order of this turnover owes in all, by NAMES. */
function owedPaise(rates: Rates, fill: FeeFill, turnoverAtto: bigint, isSttInRupees: boolean): bigint[] {
  const paiseOf = (rate: bigint): bigint => roundHalfUp(turnoverAtto * rate, PAISA_ATTO * NANO);
  const ceiling = roundHalfUp(rates.brokerageMaxNanos * NANO, PAISA_ATTO);
  const uncapped = paiseOf(rates.brokerage);
  const brokerage = ceiling > 0n && uncapped > ceiling ? ceiling : uncapped;
  const exchange = paiseOf(rates.exchange);
  const sebi = paiseOf(rates.sebi);
  const sttRate = fill.side === 0 ? rates.sttBuy : rates.sttSell;
  const stt = isSttInRupees ? roundHalfUp(turnoverAtto * sttRate, PAISA_ATTO * PAISE_A_RUPEE * NANO) * PAISE_A_RUPEE : paiseOf(sttRate);
  const stamp = fill.side === 0 ? paiseOf(rates.stampBuy) : 0n;
  return [brokerage, exchange, sebi, stt, stamp, roundHalfUp((brokerage + exchange + sebi) * rates.gst, NANO)];
}

function ratesOf(settings: IndiaEquitySettings): Rates {
  const standard = RATES[settings.product];
  return {
    brokerage: BigInt(settings.brokerageRate ?? standard.brokerage),
    brokerageMaxNanos: BigInt(settings.brokerageMaxNanos ?? standard.brokerageMaxNanos),
    exchange: BigInt(settings.exchangeRate ?? standard.exchange),
    sebi: BigInt(settings.sebiRate ?? standard.sebi),
    sttBuy: BigInt(settings.sttBuyRate ?? standard.sttBuy),
    sttSell: BigInt(settings.sttSellRate ?? standard.sttSell),
    stampBuy: BigInt(settings.stampBuyRate ?? standard.stampBuy),
    gst: BigInt(settings.gstRate ?? standard.gst),
  };
}
