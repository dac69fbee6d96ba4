/** Seeded streams of tick-ring records for tests of the bar kernel, made as ingest makes them, and a way to drive the kernel with them. */
import { createPrng, type Prng } from '../engine/core/prng.ts';
import { type BarKernel, createBarKernel } from '../engine/kernel/bars.ts';
import { createMemory } from '../engine/kernel/host.ts';
import type { BatchTick } from '../engine/market/bar-batch.ts';
import { type BarOracle, createBarOracle } from '../engine/market/bar-oracle.ts';
import type { BarSymbol } from '../engine/market/bar-values.ts';
import { type BarRecord, readBar, type TickRecord, writeBar, writeTick } from '../engine/market/ring-record.ts';
import { formatRegion, mapRegion, outRingOf, type RegionShape, tickRingOf, timeframeParents } from '../engine/memory/region.ts';
import type { Ring } from '../engine/memory/ring.ts';
import * as L from '../schemas/layout.gen.ts';

const SECOND_NS = 1_000_000_000n;
const I64_MAX = 2n ** 63n - 1n;

export interface StreamOptions {
  readonly seed: number;
  readonly ticks: number;
  readonly symbols: number;
  readonly partitions: number;
  readonly shards: number;
  readonly latePolicy: 'amend' | 'side';
  readonly timeframeSeconds: readonly number[];
  readonly latenessMs: number;
  readonly amendSeconds: number;
  /** Mean gap between two ticks of a partition, in microseconds. */
  readonly gapUs: number;
  /** Every event time is moved back by up to this. */
  readonly jitterMs: number;
  /** One tick in this many comes up to two hours late; 0 for none. */
  readonly lateOneIn: number;
  /** One tick in this many is sent twice; 0 for none. */
  readonly duplicateOneIn: number;
  /** One tick in this many comes after a silence of up to three hours; 0 for none. */
  readonly silenceOneIn: number;
  /** Prices and quantities near the ends of their ranges. */
  readonly isHuge: boolean;
  readonly hasSourceBars: boolean;
  /** A barrier follows one tick in this many, all but every fourth with open state; 0 for none. */
  readonly barrierOneIn: number;
  /** Ends as a replay does: every partition's watermark at i64 max. */
  readonly isClosed: boolean;
}

export interface Stream {
  readonly options: StreamOptions;
  /** By shard: what ingest puts into its ring, symbols and final barrier included. */
  readonly records: readonly (readonly TickRecord[])[];
  /** What was accepted, in order of arrival. */
  readonly accepted: readonly BatchTick[];
}

export const PLAIN_STREAM: StreamOptions = {
  seed: 1,
  ticks: 3000,
  symbols: 20,
  partitions: 1,
  shards: 1,
  latePolicy: 'amend',
  timeframeSeconds: [1, 60, 180, 300, 900],
  latenessMs: 100,
  amendSeconds: 3600,
  gapUs: 20_000,
  jitterMs: 0,
  lateOneIn: 0,
  duplicateOneIn: 0,
  silenceOneIn: 0,
  isHuge: false,
  hasSourceBars: false,
  barrierOneIn: 0,
  isClosed: true,
};

const NO_VALUES = { price: 0, ask: 0, low: 0, close: 0, quantityLots: 0n, tradeCount: 0, ingestUs: 0 };

export function symbolRecord(localIndex: number, symbol: BarSymbol): TickRecord {
  const ingestUs = symbol.symbolIndex + (symbol.isQuote ? 2 ** 31 : 0);
  const kind = L.TICK_KIND_SYMBOL;
  return { ...NO_VALUES, kind, symbolIndex: localIndex, tsEventNs: 0n, price: symbol.priceScale, tradeCount: symbol.partition, ingestUs };
}

export function watermarkRecord(partition: number, watermarkNs: bigint): TickRecord {
  return { ...NO_VALUES, kind: L.TICK_KIND_WATERMARK, symbolIndex: partition, tsEventNs: watermarkNs };
}

export function barrierRecord(epoch: bigint, flags: number): TickRecord {
  return { ...NO_VALUES, kind: L.TICK_KIND_BARRIER, symbolIndex: flags, tsEventNs: epoch };
}

export function tradeRecord(localIndex: number, tsEventNs: bigint, price: number, lots = 1n): TickRecord {
  return { ...NO_VALUES, kind: L.TICK_KIND_TRADE, symbolIndex: localIndex, tsEventNs, price, quantityLots: lots };
}

/** What ingest does with a tick: registration, watermark, refusal, routing. */
function createRouter(options: StreamOptions) {
  const records: TickRecord[][] = Array.from({ length: options.shards }, () => []);
  const accepted: BatchTick[] = [];
  const localIndices = new Map<number, number>();
  const counts = new Array<number>(options.shards).fill(0);
  const watermarks = new Map<number, bigint>();
  const floorSecond = (ns: bigint): bigint => ns - (((ns % SECOND_NS) + SECOND_NS) % SECOND_NS);
  const toAll = (record: TickRecord): void => {
    for (const ring of records) ring.push(record);
  };
  const advance = (partition: number, watermarkNs: bigint): void => {
    const current = watermarks.get(partition);
    if (current !== undefined && watermarkNs <= current) return;
    watermarks.set(partition, watermarkNs);
    toAll(watermarkRecord(partition, watermarkNs));
  };
  return {
    records,
    accepted,
    watermarks,
    toAll,
    advance,
    take(symbol: BarSymbol, tick: TickRecord): void {
      const shard = symbol.symbolIndex % options.shards;
      let localIndex = localIndices.get(symbol.symbolIndex);
      if (localIndex === undefined) {
        localIndex = counts[shard]!;
        counts[shard]! += 1;
        localIndices.set(symbol.symbolIndex, localIndex);
        records[shard]!.push(symbolRecord(localIndex, symbol));
      }
      advance(symbol.partition, floorSecond(tick.tsEventNs - BigInt(options.latenessMs) * 1_000_000n));
      const endNs = floorSecond(tick.tsEventNs) + SECOND_NS;
      const isTooLate = endNs + BigInt(options.amendSeconds) * SECOND_NS <= watermarks.get(symbol.partition)!;
      const record = { ...tick, symbolIndex: localIndex, kind: isTooLate ? L.TICK_KIND_LATE : tick.kind };
      records[shard]!.push(record);
      if (!isTooLate) accepted.push({ symbol, tick: record });
    },
  };
}

/** A stream of `options.seed`. */
export function makeStream(options: StreamOptions): Stream {
  const prng = createPrng(options.seed);
  const router = createRouter(options);
  const nowNs = Array.from({ length: options.partitions }, () => 1_700_000_000n * SECOND_NS + BigInt(prng.nextBelow(2_000_000_000)));
  const isOneIn = (count: number): boolean => count > 0 && prng.nextBelow(count) === 0;
  let epoch = 0n;
  for (let count = 0; count < options.ticks; count += 1) {
    const partition = prng.nextBelow(Math.min(options.partitions, options.symbols));
    const symbol = symbolOf(prng.nextBelow(options.symbols), partition, options);
    nowNs[partition]! += BigInt(Math.round(prng.nextExponential() * options.gapUs)) * 1000n + BigInt(prng.nextBelow(1000));
    if (isOneIn(options.silenceOneIn)) {
      nowNs[partition]! += BigInt(prng.nextBelow(10_800)) * SECOND_NS;
      if (prng.nextBelow(2) === 0) router.advance(partition, idleWatermark(nowNs[partition]!, options));
    }
    let tsEventNs = nowNs[partition]! - BigInt(prng.nextBelow(options.jitterMs * 1000 + 1)) * 1000n;
    if (isOneIn(options.lateOneIn)) tsEventNs -= BigInt(prng.nextBelow(4) === 0 ? prng.nextBelow(7200) : prng.nextBelow(20)) * SECOND_NS;
    const tick = makeTick(prng, symbol, tsEventNs, options);
    router.take(symbol, { ...tick, ingestUs: count >> 3 });
    if (isOneIn(options.duplicateOneIn)) router.take(symbol, { ...tick, ingestUs: count >> 3 });
    if (isOneIn(options.barrierOneIn)) {
      epoch += 1n;
      router.toAll(barrierRecord(epoch, epoch % 4n === 0n ? 0 : L.BARRIER_FLAG_WITH_OPEN_STATE));
    }
  }
  if (options.isClosed) for (const partition of router.watermarks.keys()) router.advance(partition, I64_MAX);
  router.toAll(barrierRecord(epoch + 1n, L.BARRIER_FLAG_FINAL | L.BARRIER_FLAG_WITH_OPEN_STATE));
  return { options, records: router.records, accepted: router.accepted };
}

/** Every symbol has one partition; every third is a quote unless source bars are wanted, and a few trade in other decimals. */
function symbolOf(drawn: number, partition: number, options: StreamOptions): BarSymbol {
  const spread = Math.max(1, Math.floor(options.symbols / options.partitions));
  const symbolIndex = Math.min((drawn % spread) * options.partitions + partition, options.symbols - 1);
  const own = symbolIndex % options.partitions;
  return {
    symbolIndex,
    partition: own,
    isQuote: !options.hasSourceBars && symbolIndex % 3 === 2,
    priceScale: 10 ** (options.isHuge ? 8 : symbolIndex % 5),
  };
}

function idleWatermark(nowNs: bigint, options: StreamOptions): bigint {
  const ns = nowNs - BigInt(options.latenessMs) * 1_000_000n;
  return ns - (ns % SECOND_NS);
}

function makeTick(prng: Prng, symbol: BarSymbol, tsEventNs: bigint, options: StreamOptions): TickRecord {
  const isSourceBar = options.hasSourceBars && prng.nextBelow(2) === 0;
  const scale = options.isHuge ? 10 ** prng.nextBelow(13) : 1;
  const price = ((prng.nextBelow(100_000) + 1) / 100) * scale;
  const spread = prng.nextBelow(100) / 100;
  const quantityLots = options.isHuge ? BigInt(prng.nextUint32()) * BigInt(prng.nextUint32() >>> 4) : BigInt(prng.nextBelow(6));
  const values = { ...NO_VALUES, symbolIndex: 0, price, quantityLots };
  if (symbol.isQuote) return { ...values, kind: L.TICK_KIND_QUOTE, tsEventNs, ask: price + spread, quantityLots: 0n };
  if (!isSourceBar) return { ...values, kind: L.TICK_KIND_TRADE, tsEventNs };
  const close = price + spread - prng.nextBelow(50) / 100;
  const shape = { ask: Math.max(price, close) + spread, low: Math.min(price, close) - spread, close, tradeCount: prng.nextBelow(4) };
  return { ...values, ...shape, kind: L.TICK_KIND_BAR, tsEventNs: tsEventNs - (tsEventNs % SECOND_NS) };
}

export interface DriveOptions {
  /** Draws how many records are published, polled and drained at a time. */
  readonly seed: number;
  readonly tickCapacity: number;
  readonly outCapacity: number;
}

export function regionShape(stream: StreamOptions, shardIndex: number, drive: DriveOptions): RegionShape {
  return {
    shardIndex,
    tickCapacity: drive.tickCapacity,
    outCapacity: drive.outCapacity,
    symbolCapacity: stream.symbols,
    partitionCapacity: stream.partitions,
    latenessNs: stream.latenessMs * 1e6,
    amendNs: BigInt(stream.amendSeconds) * SECOND_NS,
    latePolicy: stream.latePolicy,
    timeframeSeconds: stream.timeframeSeconds,
  };
}

export interface Shard {
  readonly memory: WebAssembly.Memory;
  readonly kernel: BarKernel;
}

export function createShard(shape: RegionShape): Shard {
  const memory = createMemory(mapRegion(shape).sizeBytes);
  formatRegion(memory, shape);
  const kernel = createBarKernel(memory);
  kernel.init();
  return { memory, kernel };
}

/** Sends records through a shard's rings in random batches; returns the out records, one after the other. */
export function drive(shard: Shard, records: readonly TickRecord[], seed: number): Uint8Array {
  const prng = createPrng(seed);
  const ticks = tickRingOf(shard.memory);
  const out = outRingOf(shard.memory);
  const source = new ArrayBuffer(records.length * L.TICK_SIZE);
  const view = new DataView(source);
  records.forEach((record, index) => {
    writeTick(view, index * L.TICK_SIZE, record);
  });
  const words = new Int32Array(source);
  const chunks: Uint8Array[] = [];
  let published = 0;
  let idle = 0;
  while (published < records.length || ticks.depth() > 0 || out.depth() > 0) {
    const count = Math.min(1 + prng.nextBelow(ticks.capacity), ticks.free(), records.length - published);
    if (count > 0) ticks.publish(words, (published * L.TICK_SIZE) >> 2, count);
    published += count;
    const done = shard.kernel.poll(1 + prng.nextBelow(2 * ticks.capacity));
    const taken = drain(out, prng.nextBelow(out.capacity + 1), chunks);
    idle = count + done + taken > 0 ? 0 : idle + 1;
    if (idle > 1000) throw new Error(`stuck with ${records.length - published} records to send, state ${shard.kernel.pollState()}`);
  }
  return Buffer.concat(chunks);
}

function drain(ring: Ring, most: number, chunks: Uint8Array[]): number {
  const count = Math.min(ring.run(), most);
  if (count === 0) return 0;
  const at = ring.tailIndex();
  const bytes = new Uint8Array(ring.words.buffer).slice(at << 2, (at << 2) + count * ring.slotBytes);
  chunks.push(bytes);
  ring.release(count);
  return count;
}

export function oracleOf(stream: StreamOptions, shardIndex: number): BarOracle {
  const { latePolicy, timeframeSeconds } = stream;
  return createBarOracle({ shardIndex, latePolicy, timeframeSeconds, timeframeParents: timeframeParents(timeframeSeconds) });
}

/** What the oracle makes of the same records. */
export function consult(oracle: BarOracle, records: readonly TickRecord[]): BarRecord[] {
  return records.flatMap((record) => oracle.push(record));
}

export function barsFromBytes(bytes: Uint8Array): BarRecord[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / L.BAR_SIZE }, (_, index) => readBar(view, index * L.BAR_SIZE));
}

export function bytesOfBars(bars: readonly BarRecord[]): Uint8Array {
  const bytes = new Uint8Array(bars.length * L.BAR_SIZE);
  const view = new DataView(bytes.buffer);
  bars.forEach((bar, index) => {
    writeBar(view, index * L.BAR_SIZE, bar);
  });
  return bytes;
}
