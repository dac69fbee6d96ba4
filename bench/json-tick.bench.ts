/** Decoding JSON ticks, times exact to the nanosecond: the ingest kernel against JSON.parse, which rounds them. */
import { createManualClock, SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { createIngest } from '../engine/ingest/port.ts';
import { createIngestKernel, type IngestKernel } from '../engine/ingest/port-kernel.ts';
import { createMemory } from '../engine/kernel/host.ts';
import { createInstrumentBook } from '../engine/market/instrument-book.ts';
import { allocateSymbols, openSymbols } from '../engine/market/instruments.ts';
import { formatRegion, mapRegion, tickRingOf } from '../engine/memory/region.ts';
import type { BenchContext } from './harness.ts';

export const name = 'json-tick';

const SYMBOLS = 500;
const BATCH = 1000;
const START_MS = Date.UTC(2026, 0, 1);

function symbolName(index: number): string {
  return `SIM${String(index + 1).padStart(4, '0')}`;
}

/** A batch as the simulator's producer sends it: 1 ms apart, two decimals. Each message has a buffer of its own. */
function makeBatch(): Buffer[] {
  return Array.from({ length: BATCH }, (_, index) => {
    const time = BigInt(START_MS + index) * 1_000_000n + 123_457n;
    const price = (250_000 + ((index * 7919) % 5000)) / 100;
    return Buffer.from(`{"symbol":"${symbolName(index % SYMBOLS)}","event_ts":${time},"ltp":${price},"vol":${(index % 5) + 1}}`);
  });
}

/** Messages a second over `repeats` calls of `decode`, each of which returns how many of the batch it decoded. */
function rateOf(repeats: number, decode: () => number): number {
  const startUs = SYSTEM_CLOCK.monotonicUs();
  let decoded = 0;
  for (let repeat = 0; repeat < repeats; repeat += 1) decoded += decode();
  if (decoded !== repeats * BATCH) throw new EngineError('BENCH_OUTPUT', `json-tick: ${decoded} of ${repeats * BATCH} messages decoded`);
  return decoded / ((SYSTEM_CLOCK.monotonicUs() - startUs) / 1e6);
}

/** The kernel alone: one copy of the batch's bytes, which lie in one piece as in a fetch response, then one call. */
function kernelDecoder(batch: readonly Buffer[]): () => number {
  const kernel: IngestKernel = createIngestKernel({
    symbolCapacity: SYMBOLS,
    partitionCapacity: 1,
    shardCount: 1,
    latenessNs: 0,
    amendNs: 0n,
  });
  for (let index = 0; index < SYMBOLS; index += 1) {
    kernel.exports.addSymbol(0, index, 0, 0);
    kernel.u8.set(Buffer.from(symbolName(index)), kernel.nameU8);
    kernel.exports.intern(index, symbolName(index).length);
  }
  const bytes = Buffer.concat(batch);
  let offset = 0;
  for (let index = 0; index <= BATCH; index += 1) {
    kernel.i32[kernel.messageIndexI32 + index] = offset;
    offset += batch[index]?.length ?? 0;
  }
  return () => {
    kernel.u8.set(bytes, kernel.messagesU8);
    return kernel.exports.decodeJson(0, BATCH, 0);
  };
}

/** The whole way through the ingest port: copy each message, decode, check, route, publish; the ring is emptied unread. */
function portDecoder(batch: readonly Buffer[]): () => number {
  const shape = {
    shardIndex: 0,
    tickCapacity: 4096,
    outCapacity: 16,
    symbolCapacity: SYMBOLS,
    partitionCapacity: 1,
    latenessNs: 100_000_000,
    amendNs: 3_600_000_000_000n,
    latePolicy: 'amend' as const,
    timeframeSeconds: [1],
  };
  const memory = createMemory(mapRegion(shape).sizeBytes);
  formatRegion(memory, shape);
  const ring = tickRingOf(memory);
  const ingest = createIngest({
    ...shape,
    regions: [memory],
    symbols: openSymbols(allocateSymbols(SYMBOLS)),
    book: createInstrumentBook([]),
    clock: createManualClock(START_MS + BATCH),
    futureNs: undefined,
    isStrict: false,
  });
  const onRejected = (messageIndex: number, _: number, refusal: number): never => {
    throw new EngineError('BENCH_OUTPUT', `json-tick: message ${messageIndex} was refused with ${refusal}`);
  };
  return () => {
    const consumed = ingest.commitMessages({ encoding: 'json', partition: 0, count: BATCH, values: batch, onRejected });
    for (let run = ring.run(); run > 0; run = ring.run()) ring.release(run);
    return consumed;
  };
}

/** What a JavaScript consumer does: bytes to text to an object, per message. */
function parseDecoder(batch: readonly Buffer[]): () => number {
  return () => {
    let decoded = 0;
    for (const message of batch) {
      const tick: { vol: number; ltp: number } = JSON.parse(message.toString());
      if (tick.vol * tick.ltp > 0) decoded += 1;
    }
    return decoded;
  };
}

export async function run(context: BenchContext): Promise<void> {
  const batch = makeBatch();
  const repeats = context.isQuick ? 50 : 500;
  const kernel = kernelDecoder(batch);
  const port = portDecoder(batch);
  const parse = parseDecoder(batch);
  const unit = 'messages/s';
  await context.compare({
    work: 'tick JSON parse, exact ns',
    against: 'JSON.parse',
    atLeast: 10,
    unit,
    run: { work: () => rateOf(repeats, kernel), against: () => rateOf(Math.ceil(repeats / 10), parse) },
  });
  await context.compare({
    work: 'tick JSON through ingest to the ring',
    against: 'JSON.parse alone',
    unit,
    run: { work: () => rateOf(repeats, port), against: () => rateOf(Math.ceil(repeats / 10), parse) },
  });
}
