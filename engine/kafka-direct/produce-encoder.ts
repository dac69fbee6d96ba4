/**
 * Encodes bars as Kafka record batches through `kernels/produce.ts`: key the symbol, partition by murmur2, CRC32C, split at what a topic
 * takes. The readable form is `produce-twin.ts`.
 *
 * The encoder counts the sequences of the partitions of its topics, so whatever it has encoded has to be sent, in order, or the producer
 * gets another epoch and the sequences begin again (`begin`).
 */
import { BAR_SIZE, BAR_SYMBOL_INDEX_I32 } from '../../schemas/layout.gen.ts';
import { assert, EngineError } from '../core/errors.ts';
import { ESCAPED_STRIDE, NAME_STRIDE, openPayloadTables, type PayloadKernel, TABLES_BYTES } from '../kernel/encode-tables.ts';
import { createPrivateMemory, loadKernel } from '../kernel/host.ts';
import type { SymbolDictionary } from '../market/instruments.ts';
import { createBufferPool } from './buffer-pool.ts';
import { type Compression, PACKED_BYTES_MAX, type ProducerIdentity } from './produce-batch.ts';

/** Most bars that one call takes. */
export const BATCH_INPUT_CAPACITY = 16_384;
/** The fewest that are worth a call, and those that make a batch worth a broker's while. */
const CALL_BARS_MIN = 2048;
const BATCH_BARS = 320;
/** Partitions of all bar topics together. */
const SLOT_CAPACITY = 8192;
const TIMEFRAME_CAPACITY = 12;
const FIRST_ADDRESS = 1024;
const BAR_WORDS = BAR_SIZE >> 2;
const SLOT_WORDS = 4;
const BATCH_WORDS = 4;
const CRC_BYTES = 20_480;
const LZ4_TABLE_BYTES = 16_384;
const LZ4_SLACK_BYTES = 66_560;

/** Where the bars of a timeframe go. */
export interface BarRoute {
  readonly partitions: number;
  /** Most bytes of one batch, as the topic's `max.message.bytes` counts them. */
  readonly batchBytesMax: number;
}

export interface EncodedBatch {
  readonly timeframeIndex: number;
  readonly partition: number;
  readonly recordCount: number;
  /** The batch as it is sent, until it is released. */
  readonly bytes: Buffer;
  /** To be called once nobody reads `bytes` any more. One that is never released is left to the garbage collector. */
  readonly release?: () => void;
}

export interface BatchEncoder {
  /**
   * Bars that a call does best with: few enough for them and their batches to stay in the cache between the kernel and the socket, and enough for
   * batches that are no crumbs where a topic has many partitions.
   */
  readonly callBars: number;
  /**
   * Takes a producer's identity and where bars go, by timeframe; sequences begin at 0. Batches are split by what they are before compression,
   * `none` unless given.
   * @throws EngineError KAFKA_PARTITIONS
   */
  begin(identity: ProducerIdentity, routes: readonly BarRoute[], compression?: Compression): void;
  /**
   * Batches of the trade bars among `count` bar records from word `wordIndex` on, at most BATCH_INPUT_CAPACITY; those of a symbol in their order.
   * @throws EngineError SYMBOL_UNREGISTERED, SYMBOL_NAME, KAFKA_MESSAGE
   */
  encode(words: Int32Array, wordIndex: number, count: number, timestampMs: number): EncodedBatch[];
}

type Constant =
  | 'ROUTE_BYTES'
  | 'SLOT_BYTES'
  | 'BATCH_BYTES'
  | 'BATCH_HEADER_BYTES'
  | 'RECORD_BYTES_MAX'
  | 'CRC32C_BYTES'
  | 'LZ4_TABLE_BYTES'
  | 'LZ4_SLACK_BYTES';

type ProduceKernel = PayloadKernel & { readonly [K in Constant]: { readonly value: number } } & {
  setAreas(routes: number, slots: number, chain: number, touched: number, batches: number, crc: number): void;
  placeLz4(table: number): void;
  setPacking(packed: number, bytesMax: number): void;
  setProducer(producerId: bigint, epoch: number, isTransactional: number): void;
  plan(input: number, count: number): number;
  encode(input: number, output: number, timestampMs: bigint): number;
};

interface Slot {
  readonly timeframeIndex: number;
  readonly partition: number;
  readonly batchBytesMax: number;
}

function mapAreas(symbolCapacity: number) {
  let next = FIRST_ADDRESS;
  const take = (bytes: number): number => {
    const address = next;
    next = Math.ceil((next + bytes) / 128) * 128;
    return address;
  };
  return {
    tables: take(TABLES_BYTES),
    names: take(symbolCapacity * NAME_STRIDE),
    escaped: take(symbolCapacity * ESCAPED_STRIDE),
    routes: take(TIMEFRAME_CAPACITY * 8),
    slots: take(SLOT_CAPACITY * SLOT_WORDS * 4),
    chain: take(BATCH_INPUT_CAPACITY * 4),
    touched: take(SLOT_CAPACITY * 4),
    batches: take(BATCH_INPUT_CAPACITY * BATCH_WORDS * 4),
    crc: take(CRC_BYTES),
    lz4: take(LZ4_TABLE_BYTES),
    packed: take(PACKED_BYTES_MAX + LZ4_SLACK_BYTES),
    input: take(BATCH_INPUT_CAPACITY * BAR_SIZE),
    output: take(BATCH_INPUT_CAPACITY * 896 + NAME_STRIDE),
    sizeBytes: next,
  };
}

/** The kernel's own idea of its areas must be the host's. */
function assertFits(kernel: ProduceKernel): void {
  assert(kernel.BATCH_HEADER_BYTES.value + kernel.RECORD_BYTES_MAX.value <= 896, 'produce output fits');
  assert(kernel.ROUTE_BYTES.value === 8 && kernel.SLOT_BYTES.value === SLOT_WORDS * 4, 'produce routes and slots agree');
  assert(kernel.BATCH_BYTES.value === BATCH_WORDS * 4 && kernel.CRC32C_BYTES.value <= CRC_BYTES, 'produce batches and tables agree');
  assert(kernel.LZ4_TABLE_BYTES.value === LZ4_TABLE_BYTES && kernel.LZ4_SLACK_BYTES.value === LZ4_SLACK_BYTES, 'lz4 areas fit');
  assert(kernel.SLACK_BYTES.value <= NAME_STRIDE, 'produce slack fits');
}

/**
 * An encoder for the symbols of a dictionary; a symbol's name is taken from it when its index is first met. `timeframeNames` in the order
 * of TIMEFRAMES, at most 12.
 * @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT
 */
export function createBatchEncoder(symbols: SymbolDictionary, timeframeNames: readonly string[]): BatchEncoder {
  const areas = mapAreas(symbols.capacity);
  const memory = createPrivateMemory(areas.sizeBytes);
  const kernel = loadKernel<ProduceKernel>('produce', memory);
  assertFits(kernel);
  const tables = openPayloadTables(kernel, memory, areas, { symbols, timeframeNames });
  kernel.setAreas(areas.routes, areas.slots, areas.chain, areas.touched, areas.batches, areas.crc);
  kernel.placeLz4(areas.lz4);
  const bytes = new Uint8Array(memory.buffer);
  const i32 = new Int32Array(memory.buffer);
  const input = areas.input >> 2;
  const pool = createBufferPool();
  let slots: Slot[] = [];
  let callBars = BATCH_INPUT_CAPACITY;

  const plan = (count: number): void => {
    for (let missing = kernel.plan(areas.input, count); missing < 0; missing = kernel.plan(areas.input, count)) {
      tables.addName(i32[input + (-1 - missing) * BAR_WORDS + BAR_SYMBOL_INDEX_I32]!);
    }
  };

  /** The batch of an entry, each in a buffer of its own: one that is acknowledged late must not keep the others of its call. */
  const takeBatch = (index: number): EncodedBatch => {
    const [slotIndex = 0, offset = 0, length = 0, recordCount = 0] = i32.subarray((areas.batches >> 2) + index * BATCH_WORDS);
    const slot = slots[slotIndex];
    assert(slot !== undefined, `a batch of slot ${slotIndex}, of ${slots.length}`);
    const { timeframeIndex, partition, batchBytesMax } = slot;
    if (length > batchBytesMax) throw tooLarge(timeframeNames[timeframeIndex], slot, length);
    const buffer = pool.take(length);
    buffer.set(bytes.subarray(areas.output + offset, areas.output + offset + length));
    return { timeframeIndex, partition, recordCount, bytes: buffer.subarray(0, length), release: () => pool.give(buffer) };
  };

  return {
    get callBars() {
      return callBars;
    },
    begin(identity, routes, compression = 'none') {
      assert(routes.length === timeframeNames.length, `${routes.length} routes for ${timeframeNames.length} timeframes`);
      kernel.plan(areas.input, 0);
      slots = slotsOf(routes);
      const partitions = Math.max(...routes.map((route) => route.partitions));
      callBars = Math.min(Math.max(CALL_BARS_MIN, partitions * BATCH_BARS), BATCH_INPUT_CAPACITY);
      let first = 0;
      for (const [index, { partitions }] of routes.entries()) {
        i32.set([first, partitions], (areas.routes >> 2) + index * 2);
        first += partitions;
      }
      for (const [index, { batchBytesMax }] of slots.entries()) {
        i32.set([0, batchBytesMax, -1, -1], (areas.slots >> 2) + index * SLOT_WORDS);
      }
      kernel.setPacking(compression === 'lz4' ? areas.packed : 0, PACKED_BYTES_MAX);
      kernel.setProducer(identity.producerId, identity.epoch, identity.isTransactional ? 1 : 0);
    },
    encode(words, wordIndex, count, timestampMs) {
      assert(count <= BATCH_INPUT_CAPACITY, `${count} bars to encode, at most ${BATCH_INPUT_CAPACITY}`);
      i32.set(words.subarray(wordIndex, wordIndex + count * BAR_WORDS), input);
      plan(count);
      const made = kernel.encode(areas.input, areas.output, BigInt(timestampMs));
      return Array.from({ length: made }, (_, index) => takeBatch(index));
    },
  };
}

function slotsOf(routes: readonly BarRoute[]): Slot[] {
  const total = routes.reduce((sum, { partitions }) => sum + partitions, 0);
  if (total > SLOT_CAPACITY || routes.some(({ partitions }) => partitions < 1)) {
    const counts = routes.map(({ partitions }) => partitions).join(', ');
    throw new EngineError(
      'KAFKA_PARTITIONS',
      `partitions of the bar topics: ${counts}: expected 1 or more each, at most ${SLOT_CAPACITY} together`,
    );
  }
  return routes.flatMap(({ partitions, batchBytesMax }, timeframeIndex) =>
    Array.from({ length: partitions }, (_, partition) => ({ timeframeIndex, partition, batchBytesMax })),
  );
}

function tooLarge(timeframe: string | undefined, { batchBytesMax }: Slot, length: number): EngineError {
  const text = `a bar of ${timeframe} in a batch of ${length} bytes: the topic takes ${batchBytesMax}; raise its max.message.bytes`;
  return new EngineError('KAFKA_MESSAGE', text);
}
