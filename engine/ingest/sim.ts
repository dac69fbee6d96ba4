/**
 * The simulator as a source: an open loop. A tick is due at its intended time whether or not the engine kept up with those
 * before it; when held back, the simulator falls behind and catches up, and drops nothing. Ticks are stamped with their intended time, so a
 * latency measured from the stamp contains the time that a tick waited here.
 */
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
import { createSimModel, type SimTick } from './sim-model.ts';
import type { IngestPort, Source } from './source.ts';

const PARTITION = 0;
const WORDS = TICK_SIZE >> 2;
const NANOS = 1e9;
const PRICE_DECIMALS = 2;

/** The names of the simulator's symbols: SIM0001 and up. */
export function simSymbol(index: number): string {
  return `SIM${String(index + 1).padStart(4, '0')}`;
}

/** A source of random ticks as the SIM_* knobs say. Event times start at the wall clock's time when it is started. */
export function createSimSource(config: Config, clock: Clock): Source {
  const model = createSimModel(config);
  const { tick } = model;
  const durationNanos = config.SIM_DURATION_SEC > 0 ? config.SIM_DURATION_SEC * NANOS : Number.POSITIVE_INFINITY;
  let port: IngestPort | undefined;
  let symbols: SimSymbols = { indices: new Int32Array(0), lotScales: new Float64Array(0) };
  let startMs = 0;
  let startUs = 0;
  const startTime = { seconds: 0, nanos: 0 };
  // Intended time of the tick in hand, nanoseconds since the start; infinite before the start and when no tick will come.
  let dueNanos = Number.POSITIVE_INFINITY;
  let isSecondCopy = false;
  let offered = 0;
  let isStopped = false;

  const elapsedNanos = (): number => (clock.wallMs() - startMs) * 1e6;
  const isDue = (nowNanos: number): boolean => dueNanos <= nowNanos && dueNanos < durationNanos;
  const moveOn = (): void => {
    isSecondCopy = !isSecondCopy && tick.isSentTwice;
    if (isSecondCopy) return;
    model.next();
    dueNanos = tick.sentSeconds * NANOS + tick.sentNanos;
  };

  const write = (i32: Int32Array, f64: Float64Array, at: number): void => {
    const price = tick.cents / 100;
    i32[at + TICK_KIND_I32] = TICK_KIND_TRADE;
    i32[at + TICK_SYMBOL_INDEX_I32] = symbols.indices[tick.symbol]!;
    writeEventTime(i32, at + (TICK_TS_EVENT_NS >> 2), tick, startTime);
    f64[(at >> 1) + TICK_PRICE_F64] = price;
    f64[(at >> 1) + TICK_ASK_F64] = 0;
    f64[(at >> 1) + TICK_LOW_F64] = 0;
    f64[(at >> 1) + TICK_CLOSE_F64] = 0;
    writeInt64(i32, at + (TICK_QUANTITY_LOTS >> 2), tick.quantity * symbols.lotScales[tick.symbol]!);
    i32[at + TICK_TRADE_COUNT_I32] = 1;
    i32[at + TICK_INGEST_US_I32] = startUs + Math.floor(dueNanos / 1000);
  };

  return {
    name: 'sim',
    isReplayable: false,
    isLive: true,
    partitions: [PARTITION],
    async start(target) {
      port = target;
      symbols = registerSymbols(target, config);
      startMs = clock.wallMs();
      startUs = clock.monotonicUs();
      startTime.seconds = Math.floor(startMs / 1000);
      startTime.nanos = Math.round((startMs - startTime.seconds * 1000) * 1e6);
      if (model.rate > 0) moveOn();
    },
    poll(budget) {
      if (!port || isStopped) return 0;
      const { i32, f64, stagingI32Index } = port;
      const limit = Math.min(budget, port.room(), port.stagingCapacity);
      const nowNanos = elapsedNanos();
      let staged = 0;
      let refused = 0;
      while (staged + refused < limit && isDue(nowNanos)) {
        const index = symbols.indices[tick.symbol]!;
        if (index >= 0) {
          write(i32, f64, stagingI32Index + staged * WORDS);
          staged += 1;
        } else {
          port.refuse(-index, 1);
          refused += 1;
        }
        moveOn();
      }
      offered += staged + refused;
      if (staged > 0) port.commit(staged, PARTITION, true);
      return staged + refused;
    },
    get offered() {
      return offered;
    },
    get lagMs() {
      const nowNanos = elapsedNanos();
      return port && isDue(nowNanos) ? (nowNanos - dueNanos) / 1e6 : 0;
    },
    get isEnded() {
      return port !== undefined && !isStopped && dueNanos >= durationNanos && elapsedNanos() >= durationNanos;
    },
    isCaughtUp: () => port !== undefined && !isStopped && !isDue(elapsedNanos()),
    position: () => ({ offsets: new Map() }),
    failure: () => undefined,
    committed() {},
    async stop() {
      isStopped = true;
    },
  };
}

interface SimSymbols {
  /** Engine-wide index, or minus the code of the refusal that met the symbol. */
  readonly indices: Int32Array;
  /** Lots in a quantity of 1. */
  readonly lotScales: Float64Array;
}

function registerSymbols(port: IngestPort, config: Config): SimSymbols {
  const indices = new Int32Array(config.SIM_SYMBOLS);
  const lotScales = new Float64Array(config.SIM_SYMBOLS);
  for (let symbol = 0; symbol < config.SIM_SYMBOLS; symbol += 1) {
    const name = simSymbol(symbol);
    const index = port.register({ symbol: name, kind: 'trade', priceDecimals: PRICE_DECIMALS, lotDecimals: 0, partition: PARTITION });
    indices[symbol] = index;
    if (index < 0) continue;
    const scale = 10 ** port.decimalsOf(index).lotDecimals;
    if (scale * config.SIM_VOL_MAX > Number.MAX_SAFE_INTEGER) {
      const decimals = port.decimalsOf(index).lotDecimals;
      throw new EngineError(
        'SIM_QUANTITY_TOO_LARGE',
        `${name}: SIM_VOL_MAX ${config.SIM_VOL_MAX} with ${decimals} lot decimals exceeds ${Number.MAX_SAFE_INTEGER} lots`,
      );
    }
    lotScales[symbol] = scale;
  }
  return { indices, lotScales };
}

/** Start plus the intended time less what the event is stamped back, borrowing whole seconds where the nanoseconds go below 0. */
function writeEventTime(i32: Int32Array, index: number, tick: SimTick, start: { readonly seconds: number; readonly nanos: number }): void {
  const nanos = start.nanos + tick.sentNanos - tick.backNanos;
  const carry = Math.floor(nanos / NANOS);
  writeNanos(i32, index, start.seconds + tick.sentSeconds + carry, nanos - carry * NANOS);
}
