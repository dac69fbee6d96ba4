/** How figures are written in reports: what is missing is `-`, and no figure shows digits that it does not have. */
import type { Estimate } from './statistics.ts';

export const MISSING = '-';
const FIGURES = 4;

/** Four significant digits, whole numbers in full with their thousands set apart. */
export function formatFigure(value: number | null | undefined): string {
  if (value === null || value === undefined) return MISSING;
  if (Number.isInteger(value) || Math.abs(value) >= 10 ** (FIGURES - 1)) return groupThousands(Math.round(value));
  return String(Number(value.toPrecision(FIGURES)));
}

/** Four decimals, as the contract's tables have them. */
export function formatDecimals(value: number | null): string {
  return value === null ? MISSING : value.toFixed(4);
}

/** Microseconds as milliseconds. */
export function formatMs(microseconds: number | undefined): string {
  return microseconds === undefined ? MISSING : formatFigure(microseconds / 1000);
}

export function formatPercent(share: number | null | undefined): string {
  return share === null || share === undefined ? MISSING : `${(share * 100).toFixed(1)} %`;
}

/** `12.3 (11.9 to 12.8)`; the median alone where there is no interval. */
export function formatEstimate(estimate: Estimate | undefined, format: (value: number) => string = formatFigure): string {
  if (estimate === undefined) return MISSING;
  if (estimate.low === null || estimate.high === null) return format(estimate.median);
  return `${format(estimate.median)} (${format(estimate.low)} to ${format(estimate.high)})`;
}

/** `1 cell`, `2 cells`. */
export function formatCount(count: number, noun: string): string {
  return `${groupThousands(count)} ${noun}${count === 1 ? '' : 's'}`;
}

function groupThousands(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}
