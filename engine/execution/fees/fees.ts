/** Fees of a venue or a broker, exact in the smallest unit of the currency. */
import type { FeeSettings } from '../paper/settings.ts';
import { createAlpacaFees } from './alpaca.ts';
import { createIndiaEquityFees } from './india-equity.ts';
import { createMakerTakerFees } from './maker-taker.ts';

/** One charge. `minor` is in 10^-minorDigits of the currency; below 0 it is a rebate. */
export interface FeeLine {
  readonly name: string;
  readonly currency: string;
  readonly minorDigits: number;
  readonly minor: bigint;
}

/** What a fill is charged by. */
export interface FeeFill {
  /** Fills of one order share it: some charges have a ceiling or are rounded by order. */
  readonly orderId: bigint;
  /** 0 buy, 1 sell. */
  readonly side: 0 | 1;
  readonly isMaker: boolean;
  /** Price x quantity, in 10^-18 of the currency; never below 0. */
  readonly notionalAtto: bigint;
  /** Shares, coins or contracts, in billionths. */
  readonly quantityNanos: bigint;
  readonly tsNs: bigint;
}

/** Keeps what has been charged, so that charges by order or by day add up to the unit. One for each account. */
export interface FeeAccount {
  /** Lines that are 0 are left out. */
  charge(fill: FeeFill): FeeLine[];
  /** The order is done: nothing more of it will be charged. */
  forget(orderId: bigint): void;
}

export function createFees(settings: FeeSettings): FeeAccount {
  if (settings.kind === 'indiaEquity') return createIndiaEquityFees(settings);
  if (settings.kind === 'alpaca') return createAlpacaFees(settings);
  if (settings.kind === 'makerTaker') return createMakerTakerFees(settings);
  return { charge: () => [], forget: () => undefined };
}

/** Price x quantity in 10^-18 of the currency: a tick in billionths of the currency, a lot in billionths of a unit. */
export function notionalAttoOf(fill: { priceTicks: number; quantityLots: number; tickNanos: number; lotNanos: number }): bigint {
  const signed = BigInt(fill.priceTicks) * BigInt(fill.tickNanos) * BigInt(fill.quantityLots) * BigInt(fill.lotNanos);
  return signed < 0n ? -signed : signed;
}
