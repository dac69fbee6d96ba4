/** Brokers in the process that answer a fetcher as a script says, and a reader of what it fetches; for tests. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createManualClock, type ManualClock, SYSTEM_PAUSE } from '../engine/core/clock.ts';
import { createCluster } from '../engine/kafka-direct/cluster.ts';
import { loadCodecs } from '../engine/kafka-direct/codecs.ts';
import { createFetchKernel } from '../engine/kafka-direct/fetch-kernel.ts';
import { FETCH } from '../engine/kafka-direct/fetch-request.ts';
import { createFetcher, FETCH_APIS, type Fetcher, type FetcherOptions } from '../engine/kafka-direct/fetcher.ts';
import type { HeldOffsets } from '../engine/kafka-direct/offset-jumps.ts';
import { LIST_OFFSETS } from '../engine/kafka-direct/offsets-request.ts';
import { createRecordDecoder, type RecordDecoder } from '../engine/kafka-direct/record-decoder.ts';
import { readEntry } from '../engine/kafka-direct/record-view.ts';
import { createWireReader } from '../engine/kafka-direct/wire.ts';
import { startWireServer, type WireCall, type WireServer, wireBytes } from '../engine/kafka-direct/wire-server.ts';
import { makeBatch } from './record-batches.ts';

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
export interface Script {
  /** Node that leads each partition. */
  leaders: number[];
  answer: (asked: Asked) => Answer;
  /** What every partition holds, where it is asked for. */
  held?: HeldOffsets;
}

/** Batches of three records from each offset that is a multiple of three, up to `end`. */
export function recordsFrom(offset: number, end: number, batches = 2): Uint8Array {
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
export function holding(end: number): (asked: Asked) => Answer {
  return ({ partitions }) => ({ told: partitions.map(({ partition, offset }) => ({ partition, end, records: recordsFrom(offset, end) })) });
}

export interface Bench {
  readonly script: Script;
  readonly fetcher: Fetcher;
  readonly decoder: RecordDecoder;
  readonly clock: ManualClock;
  readonly asked: Asked[];
  readonly servers: readonly WireServer[];
  /** Reads until `isDone`; offsets by partition, in the order in which they came. */
  read(isDone: (read: ReadonlyMap<number, number[]>) => boolean): Promise<Map<number, number[]>>;
  /** Lets time pass without reading, until `isDone`. */
  wait(isDone: () => boolean): Promise<void>;
  /** Offsets behind what has been read, by partition. */
  readonly nextOffsets: ReadonlyMap<number, number>;
  /** Whether everything of the partition has been read. */
  isAtEnd(partition: number): boolean;
}

const closing: (() => Promise<void>)[] = [];

/** Closes everything that was set up. */
export async function closeAll(): Promise<void> {
  for (const close of closing.splice(0)) await close();
}

/** Brokers that follow a script, and a fetcher of their topic with a reader. */
export async function setUp(script: Script, nodes: number, options: Partial<FetcherOptions> = {}): Promise<Bench> {
  const asked: Asked[] = [];
  const servers: WireServer[] = [];
  for (let node = 0; node < nodes; node += 1) {
    servers.push(
      await startWireServer(VERSIONS, (call) =>
        call.apiKey === METADATA
          ? metadata(servers, script)
          : call.apiKey === LIST_OFFSETS.key
            ? listed(call, script)
            : fetched(node, call, asked, script),
      ),
    );
  }
  const clock = createManualClock(1_000_000);
  const brokers = servers.map(({ address }) => `${address.host}:${address.port}`).join();
  const cluster = createCluster({ clientId: 'test', brokers, apis: FETCH_APIS, timeoutMs: 2000, clock, pause: SYSTEM_PAUSE });
  const fetcher = createFetcher({ cluster, topic: TOPIC, clock, isCommittedOnly: true, onOffsetGone: 'stop', ...options });
  const decoder = createRecordDecoder({ kernel: createFetchKernel(), codecs: await loadCodecs(), isChecked: true });
  closing.push(() => fetcher.close(), ...servers.map((server) => () => server.close()));
  const read = new Map<number, number[]>();
  const nextOffsets = new Map<number, number>();
  const turn = async (act: () => boolean): Promise<void> => {
    for (let turns = 0; turns < TURNS_MAX; turns += 1) {
      if (act()) return;
      clock.advanceMs(10);
      fetcher.pump();
      await sleep(1);
    }
    throw new Error(`not in ${TURNS_MAX} turns; trouble '${fetcher.trouble}', read ${JSON.stringify([...read])}`);
  };
  return {
    isAtEnd: (partition) => fetcher.isAtEnd(partition, nextOffsets.get(partition)),
    script,
    fetcher,
    decoder,
    clock,
    asked,
    servers,
    nextOffsets,
    wait: turn,
    async read(isDone) {
      await turn(() => {
        if (isDone(read)) return true;
        readHead(fetcher, decoder, { read, nextOffsets });
        return false;
      });
      return read;
    },
  };
}

interface Reading {
  readonly read: Map<number, number[]>;
  readonly nextOffsets: Map<number, number>;
}

export function readHead(fetcher: Fetcher, decoder: RecordDecoder, { read, nextOffsets }: Reading): void {
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

/** Answers Metadata: these brokers, and who leads each partition of the topic; -1: nobody. */
export function metadata(servers: readonly WireServer[], { leaders }: Pick<Script, 'leaders'>): Uint8Array {
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

/** ListOffsets: times of -2 and -1 ask for the first offset and for the one behind the last. */
function listed({ body }: WireCall, { held = { lowOffset: 0, highOffset: 0 } }: Script): Uint8Array {
  const reader = createWireReader([body], 'a request');
  reader.skip(5);
  reader.compactCount();
  reader.compactString();
  const wanted = Array.from({ length: reader.compactCount() }, () => {
    const partition = reader.int32();
    reader.int32();
    const offset = reader.int64() === -2n ? held.lowOffset : held.highOffset;
    reader.skipTags();
    return { partition, offset };
  });
  return wireBytes((writer) => {
    writer.int32(0);
    writer.compactCount(1);
    writer.compactString(TOPIC);
    writer.compactCount(wanted.length);
    for (const { partition, offset } of wanted) {
      writer.int32(partition);
      writer.int16(0);
      writer.int64(-1n);
      writer.int64(BigInt(offset));
      writer.int32(-1);
      writer.noTags();
    }
    writer.noTags();
    writer.noTags();
  });
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
