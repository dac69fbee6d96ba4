/** The notional of a bar of which only the VWAP is told. */
import { vwapOf } from '../../market/bar-values.ts';

/** Above this two neighbouring notionals may have the same VWAP. */
const NOTIONAL_MAX = 2 ** 50;

/**
 * Sum of price units x lots, when it follows from the VWAP without doubt: the whole number nearest to vwap x volume x scale, below 2^50, whose own
 * VWAP is the one told. NaN when it is unknown. A producer that rounds its VWAP, or has other decimals, thus gives none.
 */
export function notionalOf(vwap: number | null | undefined, volumeLots: number, priceScale: number): number {
  if (vwap === undefined) return Number.NaN;
  if (volumeLots === 0) return 0;
  if (vwap === null) return Number.NaN;
  const nearest = Math.round(vwap * volumeLots * priceScale);
  if (!(nearest >= 0 && nearest < NOTIONAL_MAX)) return Number.NaN;
  return vwapOf(BigInt(nearest), BigInt(volumeLots), priceScale) === vwap ? nearest : Number.NaN;
}
