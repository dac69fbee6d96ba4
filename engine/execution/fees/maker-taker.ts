/** Fees by who was there first: a share of the notional, an amount a unit, or both. Each fill is rounded on its own, halves away from zero. */
import type { MakerTakerSettings } from '../paper/settings.ts';
import type { FeeAccount } from './fees.ts';
import { NANO, roundHalfUp } from './rounding.ts';

const ATTO_DIGITS = 18n;

export function createMakerTakerFees(settings: MakerTakerSettings): FeeAccount {
  const minorAtto = 10n ** (ATTO_DIGITS - BigInt(settings.minorDigits));
  const maker = { rate: BigInt(settings.makerRate), perUnit: BigInt(settings.makerNanosPerUnit) };
  const taker = { rate: BigInt(settings.takerRate), perUnit: BigInt(settings.takerNanosPerUnit) };
  return {
    charge(fill) {
      const { rate, perUnit } = fill.isMaker ? maker : taker;
      const owedNanoAtto = fill.notionalAtto * rate + fill.quantityNanos * perUnit * NANO;
      const minor = roundHalfUp(owedNanoAtto, minorAtto * NANO);
      if (minor === 0n) return [];
      return [{ name: fill.isMaker ? 'maker' : 'taker', currency: settings.currency, minorDigits: settings.minorDigits, minor }];
    },
    forget: () => undefined,
  };
}
