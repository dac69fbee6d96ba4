/** Writing the simulator's ticks into the staging memory of the port. */
import type { Config } from '../../config/knobs.ts';
import {
  TICK_ASK_F64,
  TICK_CLOSE_F64,
  TICK_INGEST_US_I32,
  TICK_KIND_I32,
  TICK_KIND_TRADE,
  TICK_LOW_F64,
  TICK_PRICE_F64,
  TICK_QUANTITY_LOTS,
  TICK_SIZE,
  TICK_SYMBOL_INDEX_I32,
  TICK_TRADE_COUNT_I32,
  TICK_TS_EVENT_NS,
} from '../../schemas/layout.gen.ts';
import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import { writeInt64, writeNanos } from '../core/int64.ts';
import type { SimTick } from './sim-model.ts';
import type { IngestPort } from './source.ts';

export const SIM_PARTITION = 0;
const WORDS = TICK_SIZE >> 2;
const NANOS = 1e9;
const PRICE_DECIMALS = 2;

export interface SimWriter {
  /** Wall clock at the start, in ms with a fraction; intended times count from here. */
  readonly startMs: number;
  /** Stages a tick as record `record`; returns 0, or the code with which the tick's symbol was refused. */
  write(tick: SimTick, record: number): number;
}

/** The names of the simulator's symbols: SIM0001 and up. */
export function simSymbol(index: number): string {
  return `SIM${String(index + 1).padStart(4, '0')}`;
}

/**
 * Registers the symbols and takes the time.
 * @throws EngineError SIM_QUANTITY_TOO_LARGE when quantities in the symbol's lots are beyond 2^53
 */
export function createSimWriter(port: IngestPort, config: Config, clock: Clock): SimWriter {
  // Engine-wide index, or minus the code with which the symbol was refused.
  const indices = new Int32Array(config.SIM_SYMBOLS);
  const lotScales = new Float64Array(config.SIM_SYMBOLS);
  for (let symbol = 0; symbol < config.SIM_SYMBOLS; symbol += 1) {
    const name = simSymbol(symbol);
    const index = port.register({ symbol: name, kind: 'trade', priceDecimals: PRICE_DECIMALS, lotDecimals: 0, partition: SIM_PARTITION });
    indices[symbol] = index;
    if (index >= 0) lotScales[symbol] = lotScaleOf(port.decimalsOf(index).lotDecimals, name, config);
  }
  const startMs = clock.wallMs();
  const startUs = clock.monotonicUs();
  const startSeconds = Math.floor(startMs / 1000);
  const startNanos = Math.round((startMs - startSeconds * 1000) * 1e6);
  const { i32, f64, stagingI32Index } = port;
  return {
    startMs,
    write(tick, record) {
      const index = indices[tick.symbol]!;
      if (index < 0) return -index;
      const at = stagingI32Index + record * WORDS;
      const nanos = startNanos + tick.sentNanos - tick.backNanos;
      const carry = Math.floor(nanos / NANOS);
      i32[at + TICK_KIND_I32] = TICK_KIND_TRADE;
      i32[at + TICK_SYMBOL_INDEX_I32] = index;
      writeNanos(i32, at + (TICK_TS_EVENT_NS >> 2), startSeconds + tick.sentSeconds + carry, nanos - carry * NANOS);
      f64[(at >> 1) + TICK_PRICE_F64] = tick.cents / 100;
      f64[(at >> 1) + TICK_ASK_F64] = 0;
      f64[(at >> 1) + TICK_LOW_F64] = 0;
      f64[(at >> 1) + TICK_CLOSE_F64] = 0;
      writeInt64(i32, at + (TICK_QUANTITY_LOTS >> 2), tick.quantity * lotScales[tick.symbol]!);
      i32[at + TICK_TRADE_COUNT_I32] = 1;
      // The stamp is the intended time too, so that a wait before the port counts as latency.
      i32[at + TICK_INGEST_US_I32] = startUs + tick.sentSeconds * 1e6 + Math.floor(tick.sentNanos / 1000);
      return 0;
    },
  };
}

/** Lots in a quantity of 1. */
function lotScaleOf(lotDecimals: number, name: string, config: Config): number {
  const scale = 10 ** lotDecimals;
  if (scale * config.SIM_VOL_MAX <= Number.MAX_SAFE_INTEGER) return scale;
  const what = `${name}: SIM_VOL_MAX ${config.SIM_VOL_MAX} with ${lotDecimals} lot decimals`;
  throw new EngineError('SIM_QUANTITY_TOO_LARGE', `${what}: more than ${Number.MAX_SAFE_INTEGER} lots`);
}
