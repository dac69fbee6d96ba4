/** Every recorded format that can be replayed, in the order in which they are tried. */
import { BINANCE } from './binance.ts';
import type { ReplayFormat } from './format.ts';
import { LEAN_BAR, LEAN_FUTURE, LEAN_QUOTE } from './lean.ts';
import { PLAIN_CSV, PLAIN_NDJSON } from './plain.ts';

export const FORMATS: readonly ReplayFormat[] = [LEAN_QUOTE, LEAN_FUTURE, LEAN_BAR, BINANCE, PLAIN_CSV, PLAIN_NDJSON];
