/**
 * Regulatory fees that Alpaca passes on for US equities; there is no commission. Each fee is summed over the trading day and the sum is
 * rounded up to the cent, so a fill pays by how much its day's sum has grown.
 *
 * Rates are those of Alpaca's fee page when this was written: the SEC's fee stood at 0; every one is a setting.
 */
import type { AlpacaSettings } from '../paper/settings.ts';
import type { FeeAccount, FeeFill, FeeLine } from './fees.ts';
import { NANO, roundUp } from './rounding.ts';

const SEC_SELL_RATE = 0;
/** FINRA's trading activity fee: USD 0.000166 a share sold, at most USD 8.30 a trade. */
const TAF_NANOS_PER_SHARE = 166_000;
const TAF_MAX_NANOS = 8_300_000_000;
/** Consolidated audit trail: USD 0.000046 a share, bought or sold. */
const CAT_NANOS_PER_SHARE = 46_000;

/** In 10^-18 dollars. */
const CENT_ATTO = 10_000_000_000_000_000n;
/** US trading is closed from 20:00 to 04:00 in New York, so midnight by standard time parts the days all year. */
const NEW_YORK_STANDARD_NS = 5n * 3_600_000_000_000n;
const DAY_NS = 86_400_000_000_000n;

interface DaySum {
  atto: bigint;
  cents: bigint;
}

export function createAlpacaFees(settings: AlpacaSettings): FeeAccount {
  const secRate = BigInt(settings.secSellRate ?? SEC_SELL_RATE);
  const tafRate = BigInt(settings.tafSellNanosPerShare ?? TAF_NANOS_PER_SHARE);
  const tafMax = BigInt(settings.tafMaxNanos ?? TAF_MAX_NANOS) * NANO;
  const catRate = BigInt(settings.catNanosPerShare ?? CAT_NANOS_PER_SHARE);
  const sums = new Map<string, DaySum>();
  let day = 0n;

  const add = (name: string, atto: bigint): FeeLine[] => {
    const sum = sums.get(name) ?? { atto: 0n, cents: 0n };
    sums.set(name, sum);
    sum.atto += atto;
    const cents = roundUp(sum.atto, CENT_ATTO);
    const minor = cents - sum.cents;
    sum.cents = cents;
    return minor === 0n ? [] : [{ name, currency: 'USD', minorDigits: 2, minor }];
  };

  return {
    charge(fill) {
      const today = dayOf(fill);
      if (today !== day) sums.clear();
      day = today;
      // Nano-shares times nano-dollars a share are 10^-18 dollars.
      const taf = fill.quantityNanos * tafRate;
      const sold =
        fill.side === 1
          ? [...add('sec', roundUp(fill.notionalAtto * secRate, NANO)), ...add('taf', tafMax > 0n && taf > tafMax ? tafMax : taf)]
          : [];
      return [...sold, ...add('cat', fill.quantityNanos * catRate)];
    },
    forget: () => undefined,
  };
}

function dayOf(fill: FeeFill): bigint {
  return (fill.tsNs - NEW_YORK_STANDARD_NS) / DAY_NS;
}
