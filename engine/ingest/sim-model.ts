/**
 * The load that the simulator offers. Ticks arrive as a Poisson process: the superposition of one process for each symbol, so that
 * one exponential gap of the total rate, a class (hot or base) and a symbol of that class are drawn per tick. Everything is drawn in the order
 * of intended times and from one generator: the sequence depends on the seed alone, not on when it is asked for.
 */
import type { Config } from '../../config/knobs.ts';
import { createPrng } from '../core/prng.ts';

const NANOS = 1e9;
const PRICE_SPREAD_CENTS = 500;
const STEP_CENTS = 40;
const FLOOR_CENTS = 100;

/** The tick in hand; overwritten by `next`. */
export interface SimTick {
  symbol: number;
  /** Intended time of sending, since the start. */
  sentSeconds: number;
  sentNanos: number;
  /** How much earlier than that the event is stamped. */
  backNanos: number;
  cents: number;
  quantity: number;
  isSentTwice: boolean;
}

export interface SimModel {
  readonly tick: SimTick;
  /** Ticks a second over all symbols. */
  readonly rate: number;
  /** Draws the next tick into `tick`. Must not be called when the rate is 0. */
  next(): void;
}

type Settings = Pick<
  Config,
  | 'SIM_SYMBOLS'
  | 'SIM_BASE_TPS'
  | 'SIM_HOT_TPS'
  | 'SIM_HOT_SYMBOL_PCT'
  | 'SIM_HOT_ROTATE_SEC'
  | 'SIM_BASE_PRICE'
  | 'SIM_VOL_MIN'
  | 'SIM_VOL_MAX'
  | 'SIM_SEED'
  | 'SIM_LATE_PCT'
  | 'SIM_LATE_MS'
  | 'SIM_DUPLICATE_PCT'
  | 'SIM_DISORDER_MS'
>;

/** How many of `symbols` are hot: none for a fraction of 0, else at least one. */
export function hotCountFor(symbols: number, fraction: number): number {
  return fraction <= 0 ? 0 : Math.min(symbols, Math.max(1, Math.floor(symbols * fraction)));
}

export function createSimModel(settings: Settings): SimModel {
  const { SIM_SYMBOLS: symbols, SIM_VOL_MIN: quantityMin } = settings;
  const prng = createPrng(settings.SIM_SEED);
  const quantitySpan = settings.SIM_VOL_MAX - quantityMin + 1;
  const hotCount = hotCountFor(symbols, settings.SIM_HOT_SYMBOL_PCT);
  const hotRate = hotCount * settings.SIM_HOT_TPS;
  const rate = hotRate + (symbols - hotCount) * settings.SIM_BASE_TPS;
  const meanGapNanos = NANOS / rate;
  const lateNanos = settings.SIM_LATE_MS * 1e6;
  const disorderNanos = settings.SIM_DISORDER_MS * 1e6;
  const cents = new Float64Array(symbols);
  for (let symbol = 0; symbol < symbols; symbol += 1) {
    const start = settings.SIM_BASE_PRICE * 100 + (prng.nextFloat() * 2 - 1) * PRICE_SPREAD_CENTS;
    cents[symbol] = Math.max(FLOOR_CENTS, Math.round(start));
  }
  // The first `hotCount` entries are the hot set.
  const order = Int32Array.from({ length: symbols }, (_, symbol) => symbol);
  const drawHotSet = (): void => {
    for (let place = 0; place < hotCount; place += 1) {
      const other = place + prng.nextBelow(symbols - place);
      const symbol = order[other]!;
      order[other] = order[place]!;
      order[place] = symbol;
    }
  };
  drawHotSet();
  const rotateSeconds = hotCount === 0 || hotCount === symbols ? 0 : settings.SIM_HOT_ROTATE_SEC;
  let rotation = 1;
  const tick: SimTick = { symbol: 0, sentSeconds: 0, sentNanos: 0, backNanos: 0, cents: 0, quantity: 0, isSentTwice: false };

  const next = (): void => {
    tick.sentNanos += Math.round(prng.nextExponential() * meanGapNanos);
    if (tick.sentNanos >= NANOS) {
      const whole = Math.floor(tick.sentNanos / NANOS);
      tick.sentSeconds += whole;
      tick.sentNanos -= whole * NANOS;
    }
    if (rotateSeconds > 0) {
      // A gap may span several rotations; only the last of them decides.
      const due = Math.floor((tick.sentSeconds + tick.sentNanos / NANOS) / rotateSeconds) + 1;
      if (due > rotation) {
        rotation = due;
        drawHotSet();
      }
    }
    const isHot = hotCount === symbols || (hotRate > 0 && prng.nextFloat() * rate < hotRate);
    const symbol = order[isHot ? prng.nextBelow(hotCount) : hotCount + prng.nextBelow(symbols - hotCount)]!;
    const price = Math.max(FLOOR_CENTS, cents[symbol]! + Math.round((prng.nextFloat() * 2 - 1) * STEP_CENTS));
    cents[symbol] = price;
    tick.symbol = symbol;
    tick.cents = price;
    tick.quantity = quantityMin + prng.nextBelow(quantitySpan);
    tick.backNanos = disorderNanos > 0 ? Math.floor(prng.nextFloat() * disorderNanos) : 0;
    if (settings.SIM_LATE_PCT > 0 && prng.nextFloat() < settings.SIM_LATE_PCT) tick.backNanos += Math.floor(prng.nextFloat() * lateNanos);
    tick.isSentTwice = settings.SIM_DUPLICATE_PCT > 0 && prng.nextFloat() < settings.SIM_DUPLICATE_PCT;
  };
  return { tick, rate, next };
}
