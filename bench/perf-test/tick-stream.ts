/** The ticks of a cell: drawn from a seed in the order of their intended times, so that whoever draws them again has the same. */
import { createSimModel } from '../../engine/ingest/sim-model.ts';

export interface StreamPlan {
  readonly symbols: number;
  /** Ticks a second of each symbol. */
  readonly baseTps: number;
  readonly seconds: number;
  readonly seed: number;
  /** Time of the first possible tick, ms since the epoch. */
  readonly startMs: number;
}

/** One tick; overwritten by the next. */
export interface StreamTick {
  symbol: string;
  /** Intended time of sending and time of the event, ns since the start; whole. */
  sinceStartNs: number;
  tsEventNs: bigint;
  cents: number;
  quantity: number;
}

export interface TickStream {
  readonly tick: StreamTick;
  /** Draws the next tick; false once the time is over. */
  next(): boolean;
}

const NANOS = 1e9;
const BASE_PRICE = 2500;

export function symbolName(index: number): string {
  return `SIM${String(index + 1).padStart(4, '0')}`;
}

export function createTickStream({ symbols, baseTps, seconds, seed, startMs }: StreamPlan): TickStream {
  const model = createSimModel({
    SIM_SYMBOLS: symbols,
    SIM_BASE_TPS: baseTps,
    SIM_HOT_TPS: 0,
    SIM_HOT_SYMBOL_PCT: 0,
    SIM_HOT_ROTATE_SEC: 0,
    SIM_BASE_PRICE: BASE_PRICE,
    SIM_VOL_MIN: 1,
    SIM_VOL_MAX: 5,
    SIM_SEED: seed,
    SIM_LATE_PCT: 0,
    SIM_LATE_MS: 0,
    SIM_DUPLICATE_PCT: 0,
    SIM_DISORDER_MS: 0,
  });
  const names = Array.from({ length: symbols }, (_, index) => symbolName(index));
  const startNs = BigInt(startMs) * 1_000_000n;
  const endNs = seconds * NANOS;
  const tick: StreamTick = { symbol: '', sinceStartNs: 0, tsEventNs: 0n, cents: 0, quantity: 0 };
  return {
    tick,
    next() {
      model.next();
      const { symbol, sentSeconds, sentNanos, cents, quantity } = model.tick;
      const sinceStartNs = sentSeconds * NANOS + sentNanos;
      if (sinceStartNs >= endNs) return false;
      tick.symbol = names[symbol]!;
      tick.sinceStartNs = sinceStartNs;
      tick.tsEventNs = startNs + BigInt(sinceStartNs);
      tick.cents = cents;
      tick.quantity = quantity;
      return true;
    },
  };
}
