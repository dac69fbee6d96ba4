/**
 * The kafka source on the direct lane: the same topic, group and contract as kafka.ts, but what comes is whole record sets, which are decoded
 * where they lie. A record becomes an object of JavaScript only when it is refused.
 */
import { REFUSAL } from '../../schemas/records.ts';
import { loadCodecs } from '../kafka-direct/codecs.ts';
import { createFetchKernel, ENTRY } from '../kafka-direct/fetch-kernel.ts';
import type { FetchedSet } from '../kafka-direct/fetch-state.ts';
import type { Fetcher } from '../kafka-direct/fetcher.ts';
import { createRecordDecoder, type RecordDecoder } from '../kafka-direct/record-decoder.ts';
import type { KafkaSourceOptions } from './kafka.ts';
import { createProgress, describeRefused } from './kafka-progress.ts';
import { PACKED_RECORDS_MAX, packedRecordCount } from './packed.ts';
import type { IngestPort, Source } from './source.ts';

export interface DirectSourceOptions extends KafkaSourceOptions {
  /** That of the reader. */
  readonly fetcher: Fetcher;
  readonly topic: string;
}

/** Listed records of one partition, and how many of them have been handed over. */
interface Listing {
  readonly decoder: RecordDecoder;
  /** The set that is being decoded; undefined between sets. */
  set: FetchedSet | undefined;
  count: number;
  at: number;
}

/** Reads the partitions that its reader is assigned, from `start` to `stop`. */
export function createDirectSource(options: DirectSourceOptions): Source {
  const { reader, fetcher } = options;
  const progress = createProgress(options);
  const { nextOffsets, ended } = progress;
  let port: IngestPort | undefined;
  let listing: Listing | undefined;
  let offered = 0;
  let isStopped = false;

  /** Lists the next records, of this set or the next; returns false when nothing has come. */
  const listNext = (list: Listing): boolean => {
    // Reading may have ended and begun again: then what was loaded is out of date.
    if (list.set !== undefined && fetcher.head !== list.set) forget(list);
    while (list.at === list.count) {
      if (list.set === undefined) {
        const { head } = fetcher;
        if (head === undefined) return false;
        list.set = head;
        list.decoder.load(head);
      }
      list.at = 0;
      list.count = list.decoder.next();
      if (list.count === 0) finishSet(list, list.set.partition);
    }
    return true;
  };
  const finishSet = (list: Listing, partition: number): void => {
    const { nextOffset, cutBytes, trouble, batches, records } = list.decoder;
    forget(list);
    if (!ended.has(partition)) nextOffsets.set(partition, BigInt(nextOffset));
    fetcher.finish(nextOffset, { cutBytes, trouble, batches, records });
  };
  /** Passes over the rest of the listed records when the next one lies at the partition's end or behind it. */
  const isBeyond = (list: Listing, partition: number): boolean => {
    if (options.until === undefined) return false;
    const end = Number(options.until.get(partition) ?? 0n);
    if (offsetAt(list, list.at) < end) return false;
    ended.add(partition);
    list.at = list.count;
    return true;
  };

  /** Hands over listed records of one encoding, at most `records` of them; returns whether all of those were taken. */
  const handOver = (to: IngestPort, list: Listing, partition: number, records: number): boolean => {
    const run = nextRun(list, partition, { records, end: options.until?.get(partition) });
    const whole = new Set<number>();
    const onRejected = (index: number, recordIndex: number, refusal: number): void => {
      if (recordIndex < 0) whole.add(index);
      // A tick that came too late is whole: it stands in late_ticks.
      if (refusal === REFUSAL.tooLate) return;
      const value = run.view(index).slice();
      options.onRejected(describeRefused({ topic: options.topic, partition, offset: run.offsetOf(index), value, recordIndex, refusal }));
    };
    const { encoding, count, view } = run;
    const entriesAt = (list.decoder.entriesI32 + list.at * ENTRY.words) * 4;
    const values = (): Uint8Array[] => Array.from({ length: count }, (_, index) => view(index).slice());
    const taken =
      to.records?.commit({ encoding, partition, count, entriesAt, view, onRejected }) ??
      to.commitMessages({ encoding, partition, count, values: values(), onRejected });
    if (taken === 0) return false;
    for (let index = 0; index < taken; index += 1) offered += encoding === 'json' || whole.has(index) ? 1 : packedRecordCount(view(index));
    nextOffsets.set(partition, BigInt(offsetAt(list, list.at + taken - 1)) + 1n);
    list.at += taken;
    return taken === count;
  };

  return {
    ...progress.members,
    get isEnded() {
      return progress.isEnded();
    },
    async start(ingestPort, from) {
      port = ingestPort;
      const kernel = createFetchKernel(ingestPort.records?.memory);
      const decoder = createRecordDecoder({ kernel, codecs: await loadCodecs(), isChecked: true });
      listing = { decoder, set: undefined, count: 0, at: 0 };
      await progress.begin(from);
    },
    poll(budget) {
      if (!port || !listing || isStopped) return 0;
      const before = offered;
      while (offered - before < budget && port.room() > 0 && listNext(listing)) {
        // A set is being decoded whenever something is listed.
        const partition = listing.set?.partition ?? -1;
        if (isBeyond(listing, partition)) continue;
        if (!handOver(port, listing, partition, Math.min(budget - (offered - before), port.room()))) break;
      }
      reader.pump();
      return offered - before;
    },
    get offered() {
      return offered;
    },
    get lagMs() {
      if (listing === undefined || listing.at >= listing.count) return 0;
      const word = listing.decoder.entriesI32 + listing.at * ENTRY.words;
      return Math.max(0, options.clock.wallMs() - listing.decoder.kernel.views.f64[(word >> 1) + ENTRY.timeMsF64]!);
    },
    get partitions() {
      return reader.partitions;
    },
    get isRevoked() {
      return reader.isRevoked;
    },
    async stop() {
      isStopped = true;
    },
  };
}

function forget(list: Listing): void {
  list.set = undefined;
  list.count = 0;
  list.at = 0;
}

function offsetAt({ decoder }: Listing, index: number): number {
  return decoder.kernel.views.f64[((decoder.entriesI32 + index * ENTRY.words) >> 1) + ENTRY.offsetF64]!;
}

interface Run {
  readonly encoding: 'json' | 'packed';
  readonly partition: number;
  readonly count: number;
  readonly view: (index: number) => Uint8Array;
  readonly offsetOf: (index: number) => bigint;
}

/** The longest run at the head of the listing that is of one encoding and holds at most `records`, but at least one message. */
function nextRun(list: Listing, partition: number, limit: { readonly records: number; readonly end: bigint | undefined }): Run {
  const { decoder, at } = list;
  const { i32, u8 } = decoder.kernel.views;
  const first = decoder.entriesI32 + at * ENTRY.words;
  const isPacked = i32[first + ENTRY.isPacked]!;
  const countMax = isPacked ? Math.max(1, Math.floor(limit.records / PACKED_RECORDS_MAX)) : limit.records;
  const end = limit.end === undefined ? Number.POSITIVE_INFINITY : Number(limit.end);
  let count = 0;
  while (count < countMax && at + count < list.count) {
    if (i32[first + count * ENTRY.words + ENTRY.isPacked] !== isPacked || offsetAt(list, at + count) >= end) break;
    count += 1;
  }
  return {
    encoding: isPacked ? 'packed' : 'json',
    partition,
    count,
    offsetOf: (index) => BigInt(offsetAt(list, at + index)),
    view(index) {
      const word = first + index * ENTRY.words;
      const valueAt = i32[word + ENTRY.valueAt]!;
      return u8.subarray(valueAt, valueAt + Math.max(0, i32[word + ENTRY.valueLength]!));
    },
  };
}
