/** The DBN kernel and its memory: bytes go in, messages come out in columns. */
import type { BookBatch } from '../market/book-message.ts';
import { createDbnInstruments, DBN_INSTRUMENT_BYTES, type DbnInstrument } from './dbn-instruments.ts';
import { type ByteStage, createByteStage } from './dbn-stage.ts';
import { createPrivateMemory, loadKernel } from './host.ts';

/** Why a decoding call ended. */
export const DBN_STOP = { drained: 0, full: 1, instrument: 2, broken: 3 } as const;

/** Messages a call gives at most. */
export const DBN_MESSAGES_MAX = 8192;
export const DBN_STAGE_BYTES = 1 << 20;
export const DBN_INSTRUMENTS_MAX = 1 << 16;

const COLUMN_BYTES = 31;
const COUNTER_COUNT = 5;
const COUNTERS_AT = 1024;
const INSTRUMENTS_AT = 4096;
const STAGE_AT = INSTRUMENTS_AT + DBN_INSTRUMENTS_MAX * DBN_INSTRUMENT_BYTES;
const COLUMNS_AT = STAGE_AT + DBN_STAGE_BYTES;

interface DbnExports extends Record<string, (...args: never[]) => number> {
  place(instruments: number, count: number, counters: number): number;
  decode(source: number, bytes: number, target: number, capacity: number): number;
  consumedBytes(): number;
  stopReason(): number;
}

export interface DbnDecoder {
  /** Where bytes are put; only the decoder consumes them. */
  readonly stage: ByteStage;
  /** Makes an instrument known, before the first record of it can be decoded. At most DBN_INSTRUMENTS_MAX. */
  add(instrument: DbnInstrument): void;
  /** Appends decoded messages to the batch; returns DBN_STOP. */
  decode(batch: BookBatch): number;
  /** Records passed over: off tick, price out of range, quantity out of range, malformed, nothing about a book. */
  readonly counters: Int32Array;
}

/** @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT */
export function createDbnDecoder(): DbnDecoder {
  const memory = createPrivateMemory(COLUMNS_AT + DBN_MESSAGES_MAX * COLUMN_BYTES);
  const kernel = loadKernel<DbnExports>('dbn', memory);
  const stage = createByteStage(memory.buffer, STAGE_AT, DBN_STAGE_BYTES);
  const instruments = createDbnInstruments(memory.buffer, INSTRUMENTS_AT, DBN_INSTRUMENTS_MAX);
  kernel.place(INSTRUMENTS_AT, 0, COUNTERS_AT);
  return {
    stage,
    counters: new Int32Array(memory.buffer, COUNTERS_AT, COUNTER_COUNT),
    add(instrument) {
      instruments.add(instrument);
      kernel.place(INSTRUMENTS_AT, instruments.count, COUNTERS_AT);
    },
    decode(batch) {
      const room = Math.min(batch.capacity - batch.count, DBN_MESSAGES_MAX);
      const count = kernel.decode(STAGE_AT + stage.start, stage.end - stage.start, COLUMNS_AT, room);
      appendColumns(batch, memory.buffer, { room, count });
      stage.consume(kernel.consumedBytes());
      return kernel.stopReason();
    },
  };
}

function appendColumns(batch: BookBatch, buffer: ArrayBuffer, { room, count }: { room: number; count: number }): void {
  const to = batch.count;
  let at = COLUMNS_AT;
  batch.tsNs.set(new BigInt64Array(buffer, at, count), to);
  at += room * 8;
  batch.orderId.set(new BigUint64Array(buffer, at, count), to);
  at += room * 8;
  batch.priceTicks.set(new Int32Array(buffer, at, count), to);
  at += room * 4;
  batch.quantityLots.set(new Int32Array(buffer, at, count), to);
  at += room * 4;
  batch.symbolIndex.set(new Int32Array(buffer, at, count), to);
  at += room * 4;
  batch.action.set(new Uint8Array(buffer, at, count), to);
  at += room;
  batch.side.set(new Uint8Array(buffer, at, count), to);
  at += room;
  batch.flags.set(new Uint8Array(buffer, at, count), to);
  batch.newOrderId.fill(0n, to, to + count);
  batch.count = to + count;
}
