/** What the Postgres tests share: a server, a fresh schema each, and out rings written as the bar kernel would. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Config, KNOBS } from '../../config/knobs.ts';
import { assert } from '../../engine/core/errors.ts';
import { createMemory } from '../../engine/kernel/host.ts';
import { allocateSymbols, openSymbols, type SymbolDictionary } from '../../engine/market/instruments.ts';
import { parseTimeframes, type Timeframe } from '../../engine/market/timeframes.ts';
import { formatRegion, mapRegion, outRingOf, type RegionShape } from '../../engine/memory/region.ts';
import { allocateRing, createRing, type Ring } from '../../engine/memory/ring.ts';
import type { Accepted, FromWriter, ToWriter, WriterStart } from '../../engine/sinks/messages.ts';
import { type Connection, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { claimLanes, type LaneClaim } from '../../engine/sinks/postgres/lanes.ts';
import { migrate } from '../../engine/sinks/postgres/migrate.ts';
import { beginRun } from '../../engine/sinks/postgres/runs.ts';
import { openPostgres, type PostgresServer } from '../../engine/sinks/postgres/server.ts';
import { createPostgresWriter, type WriterSeams } from '../../engine/sinks/postgres/writer.ts';
import { readWriterCounters, WRITER_COUNTERS_BYTES } from '../../engine/sinks/postgres/writer-counters.ts';
import * as L from '../../schemas/layout.gen.ts';
import { BARRIER_FLAG, INSTRUMENT_KIND, OUT_KIND } from '../../schemas/records.ts';

const BAR_WORDS = L.BAR_SIZE >> 2;
export const SECOND = 1_000_000_000n;
/** A whole quarter of an hour, so that offsets read as they are. */
export const T0 = 1_700_000_100n * SECOND;
export const PRICE_SCALE = 100;

/** The knobs' defaults, with some changed. */
export function configWith(changed: Partial<Config>): Config {
  // A cast: the defaults of the table have the types that the table gives them.
  return { ...Object.fromEntries(KNOBS.map(({ name, fallback }) => [name, fallback])), ...changed } as Config;
}

export interface TestServer {
  readonly server: PostgresServer;
  readonly config: Config;
  close(): Promise<void>;
}

/** The server that POSTGRES_URL names, else an embedded one in a folder of its own. */
export async function startServer(): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-postgres-'));
  const port = 56000 + Math.floor(Math.random() * 4000);
  const config = configWith({ POSTGRES_URL: process.env['POSTGRES_URL'] ?? '', STATE_DIR: folder, EMBEDDED_PG_PORT: port });
  const server = await openPostgres(config, () => undefined);
  return {
    server,
    config,
    async close() {
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface BarInput {
  readonly symbol?: number;
  readonly timeframe?: number;
  readonly shard?: number;
  /** Bucket start after T0, in seconds. */
  readonly start: number;
  /** [event time after T0 in ms, price, lots], in order of arrival. */
  readonly ticks: readonly (readonly [atMs: number, price: number, lots: number])[];
  readonly isQuote?: boolean;
  readonly lateCount?: number;
}

export interface Harness {
  readonly database: { readonly connectionString: string; readonly schema: string };
  readonly timeframes: readonly Timeframe[];
  readonly run: number;
  readonly claim: LaneClaim;
  readonly posted: FromWriter[];
  readonly committed: Ring;
  readonly rings: readonly Ring[];
  readonly symbols: SymbolDictionary;
  /** A record as the bar kernel would write it, into the first ring. */
  put(record: Int32Array): void;
  final(bar: BarInput): void;
  delta(bar: BarInput): void;
  open(bar: BarInput): void;
  /** The symbol has nothing open any more. */
  clear(symbol: number): void;
  late(bar: BarInput & { readonly missed: number }): void;
  /** Ends an epoch: a barrier in every ring and the word of main. */
  endEpoch(options?: EpochOptions): number;
  barrier(shard: number, epoch: number, flags?: number): void;
  /** Resolves once `epoch` is committed; rejects when the writer has failed. */
  whenCommitted(epoch: number): Promise<void>;
  when<T extends FromWriter>(pick: (message: FromWriter) => message is T): Promise<T>;
  counter(name: string): number;
  query(text: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>;
  with<T>(work: (client: Connection) => Promise<T>): Promise<T>;
  /** [symbol index, timeframe index, start after T0 in s, revision, volume] of each bar handed on so far; frees the ring. */
  takePublished(): (readonly [number, number, number, number, number])[];
  finish(): Promise<void>;
  abandon(): Promise<void>;
}

export interface EpochOptions {
  readonly isFinal?: boolean;
  readonly silentShards?: readonly number[];
  /** By default one of partition 0, at 100 times the epoch; none: a source without offsets. */
  readonly offsets?: readonly (readonly [partition: number, offset: bigint])[];
  readonly accepted?: readonly Accepted[];
  readonly letters?: readonly { readonly lane: number; readonly json: string }[];
  readonly published?: number;
}

export interface HarnessOptions {
  readonly shards?: number;
  readonly timeframes?: string;
  readonly schema?: string;
  readonly source?: string;
  /** The source's last run goes on. */
  readonly goesOn?: boolean;
  readonly lanes?: readonly number[];
  readonly isLaned?: boolean;
  /** Partition of the symbols; by default 0 for each. */
  readonly partitions?: readonly number[];
  readonly hasKafka?: boolean;
  readonly seams?: WriterSeams;
  readonly committedSlots?: number;
  readonly connectionString?: string;
}

/** A writer on a fresh schema (unless one is named), its rings in the hands of the test. */
export async function startWriter({ server, config }: TestServer, options: HarnessOptions = {}): Promise<Harness> {
  const schema = options.schema ?? `t_${randomBytes(6).toString('hex')}`;
  const timeframes = parseTimeframes(options.timeframes ?? '1s,1m,3m,5m,15m');
  const source = options.source ?? 'sim';
  const database = { connectionString: server.connectionString, schema };
  await migrate(server.connectionString, schema, timeframes);
  const knobs = { ...config, TIMEFRAMES: options.timeframes ?? '1s,1m,3m,5m,15m' };
  const run = await beginRun({ ...database, source, config: knobs, goesOn: options.goesOn ?? false });
  const owned = { lanes: options.lanes ?? [0], isLaned: options.isLaned ?? false };
  const claim = await claimLanes({ ...database, ...owned, source, run, timeframes, transactionalIdOf: (token) => `test.${token}` });
  const regions = Array.from({ length: options.shards ?? 1 }, (_, shardIndex) => makeRegion(shardIndex, timeframes));
  const rings = regions.map(outRingOf);
  const symbols = openSymbols(allocateSymbols(64));
  for (const [index, name] of ['AAA', 'Bb\tB', 'ÉUR', 'QUOTED'].entries()) {
    const partition = options.partitions?.[index] ?? 0;
    symbols.write(index, { name, partition, shard: 0, localIndex: index, priceDecimals: 2, lotDecimals: 0, isQuote: name === 'QUOTED' });
  }
  const committedRing = allocateRing(options.committedSlots ?? 1024, L.BAR_SIZE);
  const counters = new SharedArrayBuffer(WRITER_COUNTERS_BYTES);
  const start: WriterStart = {
    connectionString: options.connectionString ?? server.connectionString,
    schema,
    run,
    source,
    timeframes,
    regions,
    symbols: symbols.buffer,
    committedRing: (options.hasKafka ?? true) ? committedRing : undefined,
    isCheckpointed: true,
    rebuiltPartitions: [],
    counters,
    isLive: false,
    ...owned,
    token: claim.token,
    baseEpoch: claim.baseEpoch,
  };
  const posted: FromWriter[] = [];
  const listeners = new Set<(message: FromWriter) => void>();
  const writer = createPostgresWriter(
    start,
    (message) => {
      posted.push(message);
      for (const listener of [...listeners]) listener(message);
    },
    undefined,
    options.seams,
  );
  const running = writer.run();
  const committed = createRing(committedRing, 0);
  let epoch = 0;

  const when = <T extends FromWriter>(pick: (message: FromWriter) => message is T): Promise<T> =>
    new Promise((resolve, reject) => {
      const look = (message: FromWriter): void => {
        const isPicked = pick(message);
        if (!isPicked && message.type !== 'failed') return;
        listeners.delete(look);
        if (isPicked) resolve(message);
        else if (message.type === 'failed') reject(new Error(message.message));
      };
      listeners.add(look);
      for (const message of posted) if (listeners.has(look)) look(message);
    });
  const tell = (message: ToWriter): void => writer.receive(message);
  const put = (kind: number, bar: BarInput, missed = 0): void => {
    const ring = rings[bar.shard ?? 0];
    assert(ring !== undefined && ring.free() > 0, 'the out ring has room');
    ring.publish(recordOf(kind, bar, missed), 0, 1);
  };
  const barrier = (shard: number, epochOf: number, flags = 0): void => {
    const words = new Int32Array(BAR_WORDS);
    words[L.BAR_KIND_I32] = OUT_KIND.barrier;
    words[L.BAR_SYMBOL_INDEX_I32] = shard;
    words[L.BAR_FLAGS_I32] = flags;
    new BigInt64Array(words.buffer)[L.BAR_TS_START_NS_I64] = BigInt(epochOf);
    rings[shard]?.publish(words, 0, 1);
  };
  const withClient = <T>(work: (client: Connection) => Promise<T>): Promise<T> => withConnection(server.connectionString, schema, work);

  return {
    database,
    timeframes,
    run,
    claim,
    symbols,
    posted,
    committed,
    rings,
    final: (bar) => put(OUT_KIND.barFinal, bar),
    delta: (bar) => put(OUT_KIND.barAmend, { lateCount: bar.ticks.length, ...bar }),
    open: (bar) => put(OUT_KIND.barOpen, bar),
    put: (record) => rings[0]?.publish(record, 0, 1),
    clear(symbol) {
      const words = new Int32Array(BAR_WORDS);
      words[L.BAR_KIND_I32] = OUT_KIND.symbolClear;
      words[L.BAR_SYMBOL_INDEX_I32] = symbol;
      rings[0]?.publish(words, 0, 1);
    },
    late: (bar) => put(OUT_KIND.lateTick, bar, bar.missed),
    barrier,
    endEpoch({ isFinal = false, silentShards = [], offsets, accepted = [], letters = [], published = 0 } = {}) {
      epoch += 1;
      const flags = BARRIER_FLAG.withOpenState | (isFinal ? BARRIER_FLAG.final : 0);
      for (const shard of rings.keys()) if (!silentShards.includes(shard)) barrier(shard, epoch, flags);
      const lane = owned.lanes[0] ?? 0;
      tell({
        type: 'epoch',
        epoch,
        offsets: offsets ?? [[lane, BigInt(epoch * 100)]],
        watermarks: [[lane, T0 + BigInt(epoch) * SECOND]],
        isFinal,
        accepted,
        letters,
        published,
      });
      return epoch;
    },
    async whenCommitted(wanted) {
      await when(
        (message): message is Extract<FromWriter, { type: 'committed' }> => message.type === 'committed' && message.epoch >= wanted,
      );
    },
    when,
    counter: (name) => readWriterCounters(new Float64Array(counters)).named.get(name) ?? Number.NaN,
    query: (text, values = []) => withClient(async (client) => (await client.query(text, [...values])).rows),
    with: withClient,
    takePublished() {
      const taken: (readonly [number, number, number, number, number])[] = [];
      for (let count = committed.run(); count > 0; count = committed.run()) {
        const i64 = new BigInt64Array(committed.words.buffer);
        for (let index = 0; index < count; index += 1) {
          const at = committed.tailIndex() + index * BAR_WORDS;
          const word = (offset: number): number => committed.words[at + offset]!;
          const startSec = Number((i64[(at >> 1) + L.BAR_TS_START_NS_I64]! - T0) / SECOND);
          const volume = Number(i64[(at >> 1) + L.BAR_VOLUME_LOTS_I64]!);
          taken.push([word(L.BAR_SYMBOL_INDEX_I32), word(L.BAR_TIMEFRAME_INDEX_I32), startSec, word(L.BAR_REVISION_I32), volume]);
        }
        committed.release(count);
      }
      return taken;
    },
    async finish() {
      epoch += 1;
      for (const shard of rings.keys()) barrier(shard, epoch, BARRIER_FLAG.final | BARRIER_FLAG.withOpenState);
      tell({ type: 'epoch', epoch, offsets: [], watermarks: [], isFinal: true, accepted: [], letters: [], published: 0 });
      await when((message): message is Extract<FromWriter, { type: 'committed' }> => message.type === 'committed' && message.isFinal);
      await running;
    },
    async abandon() {
      tell({ type: 'abandon' });
      await running;
    },
  };
}

function makeRegion(shardIndex: number, timeframes: readonly Timeframe[]): WebAssembly.Memory {
  const shape: RegionShape = {
    shardIndex,
    tickCapacity: 64,
    outCapacity: 4096,
    symbolCapacity: 64,
    partitionCapacity: 4,
    latenessNs: 0,
    amendNs: 3600n * SECOND,
    latePolicy: 'amend',
    timeframeSeconds: timeframes.map(({ seconds }) => seconds),
  };
  const memory = createMemory(mapRegion(shape).sizeBytes);
  formatRegion(memory, shape);
  return memory;
}

/** The record of a bar of these ticks, made the slow and plain way. Quotes: ask is the price plus 1. */
function recordOf(kind: number, bar: BarInput, missed: number): Int32Array {
  const words = new Int32Array(BAR_WORDS);
  const f64 = new Float64Array(words.buffer);
  const i64 = new BigInt64Array(words.buffer);
  const isQuote = bar.isQuote ?? false;
  const inTime = bar.ticks.map((tick, arrival) => ({ tick, arrival })).sort((a, b) => a.tick[0] - b.tick[0] || a.arrival - b.arrival);
  const first = inTime[0]?.tick ?? [0, 0, 0];
  const last = inTime.at(-1)?.tick ?? first;
  const prices = bar.ticks.map(([, price]) => price);
  const ns = (atMs: number): bigint => T0 + BigInt(Math.round(atMs * 1e6));
  const fill = (at: number, add: number): void => {
    f64.set([first[1] + add, last[1] + add, Math.max(...prices) + add, Math.min(...prices) + add], at);
  };
  words[L.BAR_KIND_I32] = kind;
  words[L.BAR_SYMBOL_INDEX_I32] = bar.symbol ?? 0;
  i64[L.BAR_TS_START_NS_I64] = kind === OUT_KIND.lateTick ? ns(first[0]) : T0 + BigInt(bar.start) * SECOND;
  i64[L.BAR_FIRST_NS_I64] = ns(first[0]);
  i64[L.BAR_LAST_NS_I64] = ns(last[0]);
  words[L.BAR_TRADE_COUNT_I32] = bar.ticks.length;
  words[L.BAR_LATE_COUNT_I32] = bar.lateCount ?? 0;
  words[L.BAR_TIMEFRAME_INDEX_I32] = bar.timeframe ?? 0;
  words[L.BAR_INSTRUMENT_KIND_I32] = isQuote ? INSTRUMENT_KIND.quote : INSTRUMENT_KIND.trade;
  words[L.BAR_MISSED_MASK_I32] = missed;
  fill(L.BAR_OPEN_F64, 0);
  if (isQuote) {
    fill(L.BAR_ASK_OPEN_F64, 1);
    if (kind === OUT_KIND.lateTick) f64[L.BAR_CLOSE_F64] = first[1] + 1;
    return words;
  }
  i64[L.BAR_VOLUME_LOTS_I64] = BigInt(bar.ticks.reduce((sum, [, , lots]) => sum + lots, 0));
  const notional = bar.ticks.reduce((sum, [, price, lots]) => sum + BigInt(Math.round(price * PRICE_SCALE)) * BigInt(lots), 0n);
  i64[L.BAR_NOTIONAL_LO_I64] = BigInt.asIntN(64, notional);
  i64[L.BAR_NOTIONAL_HI_I64] = notional >> 64n;
  f64[L.BAR_PRICE_SCALE_F64] = PRICE_SCALE;
  return words;
}
