/**
 * The way into the engine, over plain arrays: what a source hands over is kept, in order, as readable ticks. It obeys the rules of
 * `IngestPort` that a source can see: room, staging, registration, refusals.
 */

import { DECIMAL_STATUS, parsePrice, writeScaled } from '../../engine/core/decimal.ts';
import { scalarFields } from '../../engine/ingest/replay/json-fields.ts';
import type { IngestPort, InstrumentSpec, MessageBatch } from '../../engine/ingest/source.ts';
import {
  TICK_ASK_F64,
  TICK_CLOSE_F64,
  TICK_INGEST_US_I32,
  TICK_KIND_I32,
  TICK_LOW_F64,
  TICK_PRICE_F64,
  TICK_QUANTITY_LOTS_I64,
  TICK_SIZE,
  TICK_SYMBOL_INDEX_I32,
  TICK_TRADE_COUNT_I32,
  TICK_TS_EVENT_NS_I64,
} from '../../schemas/layout.gen.ts';
import { REFUSAL, TICK_KIND } from '../../schemas/records.ts';

export interface ReceivedTick {
  readonly symbol: string;
  readonly kind: number;
  readonly tsEventNs: bigint;
  readonly price: number;
  readonly ask: number;
  readonly low: number;
  readonly close: number;
  readonly quantityLots: bigint;
  readonly tradeCount: number;
  readonly partition: number;
  /** Present when the source stamped it. */
  readonly ingestUs: number | undefined;
}

export interface MemoryPort extends IngestPort {
  readonly ticks: readonly ReceivedTick[];
  /** Refused ticks by refusal code. */
  readonly refusals: ReadonlyMap<number, number>;
  readonly refusedCount: number;
  readonly instruments: readonly InstrumentSpec[];
  /** Records that may still be accepted; each accepted record takes one. */
  setRoom(records: number): void;
}

export interface MemoryPortOptions {
  readonly stagingCapacity?: number;
  readonly symbolCapacity?: number;
  /** Decimals that win over those of the source, as an instruments file's do. */
  readonly decimals?: ReadonlyMap<string, { readonly priceDecimals: number; readonly lotDecimals: number }>;
}

const WORDS = TICK_SIZE >> 2;

export function createMemoryPort(options: MemoryPortOptions = {}): MemoryPort {
  const stagingCapacity = options.stagingCapacity ?? 4096;
  const symbolCapacity = options.symbolCapacity ?? 65536;
  const buffer = new ArrayBuffer((stagingCapacity + 1) * TICK_SIZE);
  const i32 = new Int32Array(buffer);
  const f64 = new Float64Array(buffer);
  const ticks: ReceivedTick[] = [];
  const refusals = new Map<number, number>();
  const instruments: InstrumentSpec[] = [];
  const indices = new Map<string, number>();
  let room = Number.MAX_SAFE_INTEGER;

  // The first record of the buffer is left alone, so that a source that forgets the staging offset is found out.
  const stagingI32Index = WORDS;
  const refuse = (reason: number, count: number): void => {
    refusals.set(reason, (refusals.get(reason) ?? 0) + count);
  };
  const commit = (count: number, partition: number, isStamped = false): number => {
    if (count > port.room()) throw new Error(`${count} records committed, room for ${port.room()}`);
    let accepted = 0;
    for (let record = 0; record < count; record += 1) {
      const refusal = refusalOf(port, record);
      if (refusal !== 0) {
        refuse(refusal, 1);
        continue;
      }
      ticks.push(readTick(port, record, { partition, isStamped }));
      accepted += 1;
    }
    room -= accepted;
    return accepted;
  };

  const commitMessages = (batch: MessageBatch): number => {
    if (batch.encoding !== 'json') throw new Error(`the memory port reads json messages, not ${batch.encoding}`);
    for (let message = 0; message < batch.count; message += 1) {
      if (port.room() === 0) return message;
      let refusal = stageJson(port, batch.values[message]!, batch.partition);
      if (refusal === 0) refusal = refusalOf(port, 0);
      if (refusal === 0) {
        commit(1, batch.partition);
      } else {
        refuse(refusal, 1);
        batch.onRejected(message, -1, refusal);
      }
    }
    return batch.count;
  };

  const port: MemoryPort = {
    i32,
    f64,
    u8: new Uint8Array(buffer),
    stagingI32Index,
    stagingCapacity,
    ticks,
    refusals,
    instruments,
    get refusedCount() {
      let sum = 0;
      for (const count of refusals.values()) sum += count;
      return sum;
    },
    setRoom: (records) => {
      room = records;
    },
    room: () => Math.min(room, stagingCapacity),
    register(spec) {
      const known = indices.get(spec.symbol);
      if (known !== undefined) return known;
      if (instruments.length === symbolCapacity) return -REFUSAL.capacity;
      instruments.push(spec);
      indices.set(spec.symbol, instruments.length - 1);
      return instruments.length - 1;
    },
    decimalsOf(symbolIndex) {
      const spec = instruments[symbolIndex]!;
      return options.decimals?.get(spec.symbol) ?? spec;
    },
    commit,
    refuse,
    commitMessages,
  };
  return port;
}

function readTick(port: MemoryPort, record: number, meta: { readonly partition: number; readonly isStamped: boolean }): ReceivedTick {
  const at = port.stagingI32Index + record * WORDS;
  const { i32, f64 } = port;
  const i64 = new BigInt64Array(i32.buffer);
  return {
    symbol: port.instruments[i32[at + TICK_SYMBOL_INDEX_I32]!]!.symbol,
    kind: i32[at + TICK_KIND_I32]!,
    tsEventNs: i64[(at >> 1) + TICK_TS_EVENT_NS_I64]!,
    price: f64[(at >> 1) + TICK_PRICE_F64]!,
    ask: f64[(at >> 1) + TICK_ASK_F64]!,
    low: f64[(at >> 1) + TICK_LOW_F64]!,
    close: f64[(at >> 1) + TICK_CLOSE_F64]!,
    quantityLots: i64[(at >> 1) + TICK_QUANTITY_LOTS_I64]!,
    tradeCount: i32[at + TICK_TRADE_COUNT_I32]!,
    partition: meta.partition,
    ingestUs: meta.isStamped ? i32[at + TICK_INGEST_US_I32]! >>> 0 : undefined,
  };
}

/** The code with which a staged record is refused; 0 when it is not. */
function refusalOf(port: MemoryPort, record: number): number {
  const at = port.stagingI32Index + record * WORDS;
  const spec = port.instruments[port.i32[at + TICK_SYMBOL_INDEX_I32]!];
  if (!spec) return REFUSAL.unknownSymbol;
  const price = port.f64[(at >> 1) + TICK_PRICE_F64]!;
  if (!Number.isFinite(price)) return REFUSAL.priceNotFinite;
  if (price <= 0) return REFUSAL.priceNotPositive;
  const isNegative = port.i32[at + TICK_QUANTITY_LOTS_I64 * 2 + 1]! < 0;
  return spec.kind === 'trade' && isNegative ? REFUSAL.quantityNegative : 0;
}

/** Stages one JSON message of the contract; returns the refusal code, 0 when staged. */
function stageJson(port: MemoryPort, value: Uint8Array, partition: number): number {
  const fields = scalarFields(new TextDecoder().decode(value));
  const symbol = fields?.get('symbol');
  const [price, lots, time] = [fields?.get('ltp'), fields?.get('vol'), fields?.get('event_ts')];
  if (!symbol?.isString || !price || !lots || !time) return REFUSAL.malformed;
  const { i32, f64, stagingI32Index: at } = port;
  i32.fill(0, at, at + WORDS);
  const moment = { start: 0, end: time.text.length, decimals: 0 };
  if (writeScaled(i32, at + TICK_TS_EVENT_NS_I64 * 2, time.text, moment) !== DECIMAL_STATUS.exact) return REFUSAL.malformed;
  f64[(at >> 1) + TICK_PRICE_F64] = parsePrice(price.text, 0, price.text.length);
  if (Number.isNaN(f64[(at >> 1) + TICK_PRICE_F64])) return REFUSAL.malformed;
  const index = port.register({ symbol: symbol.text, kind: 'trade', priceDecimals: 2, lotDecimals: 0, partition });
  if (index < 0) return -index;
  const { lotDecimals } = port.decimalsOf(index);
  const quantity = { start: 0, end: lots.text.length, decimals: lotDecimals };
  const status = writeScaled(i32, at + TICK_QUANTITY_LOTS_I64 * 2, lots.text, quantity);
  if (status !== DECIMAL_STATUS.exact) return status === DECIMAL_STATUS.offUnit ? REFUSAL.quantityOffLot : REFUSAL.malformed;
  i32[at + TICK_KIND_I32] = TICK_KIND.trade;
  i32[at + TICK_SYMBOL_INDEX_I32] = index;
  return 0;
}
