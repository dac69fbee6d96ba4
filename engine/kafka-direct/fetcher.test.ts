/** The fetcher against brokers in the process that answer as they are told: what fails, what is full, what is slow. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeBatch } from '../../test/record-batches.ts';
import { createManualClock, type ManualClock } from '../core/clock.ts';
import { createCluster } from './cluster.ts';
import { type LibraryCodecs, loadCodecs } from './codecs.ts';
import { createFetchKernel } from './fetch-kernel.ts';
import { FETCH } from './fetch-request.ts';
import { createFetcher, type Fetcher, type FetcherOptions } from './fetcher.ts';
import { LIST_OFFSETS } from './offsets-request.ts';
import { createRecordDecoder, type RecordDecoder } from './record-decoder.ts';
import { readEntry } from './record-view.ts';
import { createWireReader } from './wire.ts';
import { startWireServer, type WireCall, type WireServer, wireBytes } from './wire-server.ts';

const TOPIC = 'ticks';
const METADATA = 3;
const VERSIONS = [
  [FETCH.key, 4, FETCH.version],
  [LIST_OFFSETS.key, 1, LIST_OFFSETS.version],
  [METADATA, 0, 12],
] as const;
const TURNS_MAX = 3000;
const BATCH_RECORDS = 3;

interface Asked {
  readonly node: number;
  readonly waitMs: number;
  readonly partitions: readonly { readonly partition: number; readonly offset: number; readonly bytesMax: number }[];
}

interface Told {
  readonly partition: number;
  readonly error?: number;
  readonly end?: number;
  readonly records?: Uint8Array;
}

type Answer = { readonly throttleMs?: number; readonly told: readonly Told[] } | 'silence' | 'hang up';

/** Brokers that lead partitions, and what they say to a Fetch. */
interface Script {
  /** Node that leads each partition. */
  leaders: number[];
  answer: (asked: Asked) => Answer;
}

/** Batches of three records from each offset that is a multiple of three, up to `end`. */
function recordsFrom(offset: number, end: number, batches = 2): Uint8Array {
  const first = offset - (offset % BATCH_RECORDS);
  const count = Math.min(batches, Math.ceil((end - first) / BATCH_RECORDS));
  return Buffer.concat(
    Array.from({ length: Math.max(0, count) }, (_, index) => {
      const firstOffset = first + index * BATCH_RECORDS;
      const records = [0, 1, 2].map((offsetDelta) => ({ offsetDelta, value: Buffer.from(`v${firstOffset + offsetDelta}`) }));
      return makeBatch({ firstOffset, records });
    }),
  );
}

/** What a broker says that holds `end` records of every partition. */
function holding(end: number): (asked: Asked) => Answer {
  return ({ partitions }) => ({ told: partitions.map(({ partition, offset }) => ({ partition, end, records: recordsFrom(offset, end) })) });
}

interface Bench {
  readonly script: Script;
  readonly fetcher: Fetcher;
  readonly decoder: RecordDecoder;
  readonly clock: ManualClock;
  readonly asked: Asked[];
  readonly servers: readonly WireServer[];
  /** Reads until `isDone`; offsets by partition, in the order in which they came. */
  read(isDone: (read: ReadonlyMap<number, number[]>) => boolean): Promise<Map<number, number[]>>;
  /** Whether everything of the partition has been read. */
  isAtEnd(partition: number): boolean;
}

let codecs: LibraryCodecs = new Map();
beforeAll(async () => {
  codecs = await loadCodecs();
});
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function setUp(script: Script, nodes: number, options: Partial<FetcherOptions> = {}): Promise<Bench> {
  const asked: Asked[] = [];
  const servers: WireServer[] = [];
  for (let node = 0; node < nodes; node += 1) {
    servers.push(
      await startWireServer(VERSIONS, (call) =>
        call.apiKey === METADATA ? metadata(servers, script) : fetched(node, call, asked, script),
      ),
    );
  }
  const clock = createManualClock(1_000_000);
  const bootstrap = servers.map(({ address }) => address);
  const cluster = createCluster({ bootstrap, topic: TOPIC, clientId: 'test', timeoutMs: 2000 });
  const fetcher = createFetcher({ cluster, topic: TOPIC, clock, isCommittedOnly: true, onOffsetGone: 'stop', ...options });
  const decoder = createRecordDecoder({ kernel: createFetchKernel(), codecs, isChecked: true });
  closing.push(() => fetcher.close(), ...servers.map((server) => () => server.close()));
  const read = new Map<number, number[]>();
  const nextOffsets = new Map<number, number>();
  return {
    isAtEnd: (partition) => fetcher.isAtEnd(partition, nextOffsets.get(partition)),
    script,
    fetcher,
    decoder,
    clock,
    asked,
    servers,
    async read(isDone) {
      for (let turn = 0; turn < TURNS_MAX; turn += 1) {
        if (isDone(read)) return read;
        readHead(fetcher, decoder, { read, nextOffsets });
        clock.advanceMs(10);
        fetcher.pump();
        await sleep(1);
      }
      throw new Error(`not in ${TURNS_MAX} turns; trouble '${fetcher.trouble}', read ${JSON.stringify([...read])}`);
    },
  };
}

interface Reading {
  readonly read: Map<number, number[]>;
  readonly nextOffsets: Map<number, number>;
}

function readHead(fetcher: Fetcher, decoder: RecordDecoder, { read, nextOffsets }: Reading): void {
  const set = fetcher.head;
  if (!set) return;
  const list = read.get(set.partition) ?? [];
  read.set(set.partition, list);
  decoder.load(set);
  for (let count = decoder.next(); count > 0; count = decoder.next()) {
    for (let index = 0; index < count; index += 1) list.push(readEntry(decoder, index).offset);
  }
  nextOffsets.set(set.partition, decoder.nextOffset);
  fetcher.finish(decoder.nextOffset, decoder);
}

function metadata(servers: readonly WireServer[], { leaders }: Script): Uint8Array {
  return wireBytes((writer) => {
    writer.int32(0);
    writer.compactCount(servers.length);
    for (const [node, { address }] of servers.entries()) {
      writer.int32(node);
      writer.compactString(address.host);
      writer.int32(address.port);
      writer.compactString(null);
      writer.noTags();
    }
    writer.compactString('cluster');
    writer.int32(0);
    writer.compactCount(1);
    writer.int16(0);
    writer.compactString(TOPIC);
    writer.int8(0);
    writer.compactCount(leaders.length);
    for (const [partition, leader] of leaders.entries()) {
      writer.int16(0);
      for (const value of [partition, leader, 7]) writer.int32(value);
      for (let lists = 0; lists < 3; lists += 1) writer.compactCount(0);
      writer.noTags();
    }
    writer.int32(0);
    writer.noTags();
    writer.noTags();
  });
}

function fetched(node: number, call: WireCall, asked: Asked[], script: Script): Uint8Array | undefined {
  const request = parseFetch(node, call.body);
  asked.push(request);
  const answer = script.answer(request);
  if (answer === 'hang up') call.socket.destroy();
  return typeof answer === 'string' ? undefined : fetchBody(answer);
}

function parseFetch(node: number, body: Buffer): Asked {
  const reader = createWireReader([body], 'a request');
  reader.int32();
  const waitMs = reader.int32();
  reader.skip(4 + 4 + 1 + 4 + 4);
  reader.compactCount();
  reader.compactString();
  const partitions = Array.from({ length: reader.compactCount() }, () => {
    const partition = reader.int32();
    reader.int32();
    const offset = Number(reader.int64());
    reader.skip(12);
    const bytesMax = reader.int32();
    reader.skipTags();
    return { partition, offset, bytesMax };
  });
  return { node, waitMs, partitions };
}

function fetchBody({ throttleMs = 0, told }: Exclude<Answer, string>): Uint8Array {
  return wireBytes((writer) => {
    writer.int32(throttleMs);
    writer.int16(0);
    writer.int32(0);
    writer.compactCount(1);
    writer.compactString(TOPIC);
    writer.compactCount(told.length);
    for (const { partition, error = 0, end = 0, records = new Uint8Array() } of told) {
      writer.int32(partition);
      writer.int16(error);
      for (const offset of [end, end, 0]) writer.int64(BigInt(offset));
      writer.compactCount(0);
      writer.int32(-1);
      writer.compactCount(records.length);
      for (const byte of records) writer.int8((byte << 24) >> 24);
      writer.noTags();
    }
    writer.noTags();
    writer.noTags();
  });
}

const upTo = (end: number): number[] => Array.from({ length: end }, (_, offset) => offset);

describe('the fetcher', () => {
  it('reads partitions of several brokers, each in order and once, and knows when they end', async () => {
    const bench = await setUp({ leaders: [0, 1, 0], answer: holding(30) }, 2);
    bench.fetcher.begin(
      new Map([
        [0, 0],
        [1, 12],
        [2, 30],
      ]),
    );
    expect(bench.fetcher.trouble).toBe('not connected yet');
    const read = await bench.read(() => [0, 1, 2].every((partition) => bench.isAtEnd(partition)));
    expect(read.get(0)).toEqual(upTo(30));
    expect(read.get(1)).toEqual(upTo(30).slice(12));
    expect(read.get(2) ?? []).toEqual([]);
    expect(bench.fetcher.trouble).toBe('');
    expect(bench.asked.every(({ node, partitions }) => partitions.every(({ partition }) => bench.script.leaders[partition] === node))).toBe(
      true,
    );
  });

  it('fetches a batch whose checksum is wrong again, and reads it where it is right then', async () => {
    let isDamaged = true;
    const script: Script = {
      leaders: [0],
      answer(asked) {
        const answer = holding(12)(asked);
        if (typeof answer === 'string' || asked.partitions[0]?.offset !== 6 || !isDamaged) return answer;
        isDamaged = false;
        answer.told[0]?.records?.fill(1, 70, 71);
        return answer;
      },
    };
    const bench = await setUp(script, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(12));
    expect(bench.fetcher.counts.refetches).toBe(1);
    expect(bench.fetcher.stopped.size).toBe(0);
  });

  it('stops a partition whose batch is wrong twice, says where, and reads the others on', async () => {
    const script: Script = {
      leaders: [0, 0],
      answer: ({ partitions }) => ({
        told: partitions.map(({ partition, offset }) => {
          const records = Buffer.from(recordsFrom(offset, 30, 1));
          if (partition === 1 && offset === 9) records.fill(1, 70, 71);
          return { partition, end: 30, records };
        }),
      }),
    };
    const bench = await setUp(script, 1);
    bench.fetcher.begin(
      new Map([
        [0, 0],
        [1, 6],
      ]),
    );
    const read = await bench.read(() => bench.isAtEnd(0) && bench.fetcher.stopped.has(1));
    expect(read.get(0)).toEqual(upTo(30));
    expect(read.get(1)).toEqual([6, 7, 8]);
    expect(bench.fetcher.stopped.get(1)).toBe(
      'KAFKA_BATCH_CHECKSUM: topic ticks partition 1, batch at offset 9: another checksum than the bytes have; fetched twice',
    );
    expect(bench.isAtEnd(1)).toBe(false);
    const later = bench.asked.length;
    await bench.read(() => bench.asked.length > later + 3);
    expect(bench.asked.slice(later).every(({ partitions }) => partitions.every(({ partition }) => partition === 0))).toBe(true);
  });

  it('goes to the broker that leads now when another answers that it does not', async () => {
    const NOT_LEADER = 6;
    const script: Script = {
      leaders: [0],
      answer(asked) {
        if (asked.node === script.leaders[0]) return holding(30)(asked);
        return { told: asked.partitions.map(({ partition }) => ({ partition, error: NOT_LEADER })) };
      },
    };
    const bench = await setUp(script, 2);
    bench.fetcher.begin(new Map([[0, 0]]));
    await bench.read((read) => (read.get(0)?.length ?? 0) >= 6);
    script.leaders = [1];
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(30));
    expect(bench.asked.some(({ node }) => node === 1)).toBe(true);
  });

  it('goes on with the others while a broker hangs up, and with that one when it is back', async () => {
    let isAway = true;
    const script: Script = { leaders: [0, 1], answer: (asked) => (asked.node === 1 && isAway ? 'hang up' : holding(30)(asked)) };
    const bench = await setUp(script, 2);
    bench.fetcher.begin(
      new Map([
        [0, 0],
        [1, 0],
      ]),
    );
    const read = await bench.read(() => bench.isAtEnd(0) && bench.fetcher.trouble !== '');
    expect(bench.isAtEnd(1)).toBe(false);
    expect(read.get(1) ?? []).toEqual([]);
    expect(bench.fetcher.takeFailure()).toBeUndefined();
    isAway = false;
    await bench.read(() => bench.isAtEnd(1));
    expect(read.get(1)).toEqual(upTo(30));
    expect(bench.fetcher.trouble).toBe('');
  });

  it('asks for no more of a partition than two answers that nobody has read, nor for anything beyond its bytes', async () => {
    const bench = await setUp({ leaders: [0, 0], answer: holding(3000) }, 1);
    const pumpFor = async (turns: number): Promise<void> => {
      for (let turn = 0; turn < turns; turn += 1) {
        bench.clock.advanceMs(10);
        bench.fetcher.pump();
        await sleep(1);
      }
    };
    bench.fetcher.begin(
      new Map([
        [0, 0],
        [1, 0],
      ]),
    );
    await pumpFor(200);
    expect(bench.asked.map(({ partitions }) => partitions.map(({ partition, offset }) => [partition, offset]))).toEqual([
      [
        [0, 0],
        [1, 0],
      ],
      [
        [0, 6],
        [1, 6],
      ],
    ]);
    // One is read: there is room for that one alone, and its answer must not keep the other waiting.
    readHead(bench.fetcher, bench.decoder, { read: new Map(), nextOffsets: new Map() });
    await pumpFor(50);
    expect(bench.asked.slice(2)).toMatchObject([{ waitMs: 10, partitions: [{ partition: 0, offset: 12 }] }]);

    const bounded = await setUp({ leaders: [0, 0], answer: holding(3000) }, 1, { limits: { aheadBytes: 1 } });
    bounded.fetcher.begin(
      new Map([
        [0, 0],
        [1, 0],
      ]),
    );
    for (let turn = 0; turn < 200; turn += 1) {
      bounded.clock.advanceMs(10);
      bounded.fetcher.pump();
      await sleep(1);
    }
    expect(bounded.asked.length).toBe(1);
  });

  it('leaves a broker alone for as long as it asks to be', async () => {
    let isThrottled = true;
    const script: Script = {
      leaders: [0],
      answer(asked) {
        const answer = holding(30)(asked);
        return typeof answer === 'string' || !isThrottled ? answer : { ...answer, throttleMs: 5000 };
      },
    };
    const bench = await setUp(script, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    await bench.read((read) => (read.get(0)?.length ?? 0) === 6);
    isThrottled = false;
    const startMs = bench.clock.wallMs();
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(30));
    expect(bench.clock.wallMs() - startMs).toBeGreaterThanOrEqual(4900);
    expect(bench.fetcher.counts.throttles).toBe(1);
  });

  it('asks for more at once when not one batch comes whole', async () => {
    const script: Script = {
      leaders: [0],
      answer: ({ partitions }) => ({
        told: partitions.map(({ partition, offset, bytesMax }) => ({
          partition,
          end: 3,
          records: recordsFrom(offset, 3).subarray(0, bytesMax),
        })),
      }),
    };
    const bench = await setUp(script, 1, { limits: { partitionBytes: 20 } });
    bench.fetcher.begin(new Map([[0, 0]]));
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual([0, 1, 2]);
    expect(bench.asked[0]?.partitions[0]?.bytesMax).toBe(20);
  });

  it('forgets answers that were under way when it began elsewhere, and asks for nothing while it is held', async () => {
    const bench = await setUp({ leaders: [0], answer: holding(30) }, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    await bench.read(() => bench.asked.length > 0);
    bench.fetcher.begin(new Map([[0, 21]]));
    const read = await bench.read(() => bench.isAtEnd(0));
    expect(read.get(0)).toEqual(upTo(30).slice(21));
    bench.fetcher.hold();
    const { length } = bench.asked;
    for (let turn = 0; turn < 100; turn += 1) {
      bench.fetcher.pump();
      await sleep(1);
    }
    expect(bench.asked.length).toBeLessThanOrEqual(length + 1);
  });

  it('ends with a failure where it may not read, or where the topic is not there', async () => {
    const TOPIC_AUTHORIZATION_FAILED = 29;
    const script: Script = { leaders: [0], answer: () => ({ told: [{ partition: 0, error: TOPIC_AUTHORIZATION_FAILED }] }) };
    const bench = await setUp(script, 1);
    bench.fetcher.begin(new Map([[0, 0]]));
    let failure: Error | undefined;
    await bench.read(() => {
      failure ??= bench.fetcher.takeFailure();
      return failure !== undefined;
    });
    expect(failure).toMatchObject({ code: 'KAFKA_REFUSED' });
    const missing = await setUp({ leaders: [], answer: holding(0) }, 1);
    missing.fetcher.begin(new Map([[0, 0]]));
    let other: Error | undefined;
    await missing.read(() => {
      other ??= missing.fetcher.takeFailure();
      return other !== undefined;
    });
    expect(other).toMatchObject({ code: 'KAFKA_TOPIC_MISSING' });
  });
});
