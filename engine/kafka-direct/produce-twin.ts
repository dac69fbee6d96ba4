/** What the produce kernel does, in readable TypeScript. Tests hold the kernel to it byte for byte. */
import * as L from '../../schemas/layout.gen.ts';
import { type BarInput, createTwinEncoder } from '../kernel/encode-twin.ts';
import { murmur2Part } from '../market/murmur2.ts';
import { type BatchRecord, type Compression, encodeRecordBatch, type ProducerIdentity } from './produce-batch.ts';
import type { BarRoute, EncodedBatch } from './produce-encoder.ts';

const WORDS = L.BAR_SIZE >> 2;
const SEQUENCES = 2 ** 31;

export interface TwinBatches {
  begin(identity: ProducerIdentity, routes: readonly BarRoute[], compression?: Compression): void;
  /** Batches of the first `count` input bars. */
  encode(count: number, timestampMs: number): EncodedBatch[];
}

interface Chain {
  readonly timeframeIndex: number;
  readonly partition: number;
  readonly records: BatchRecord[];
}

/** `nameOf` gives the name of a symbol index. */
export function createTwinBatches(input: BarInput, timeframeNames: readonly string[], nameOf: (index: number) => string): TwinBatches {
  const payloads = createTwinEncoder(input, timeframeNames, nameOf);
  const sequences = new Map<string, number>();
  let identity: ProducerIdentity = { producerId: -1n, epoch: -1, isTransactional: false };
  let routes: readonly BarRoute[] = [];
  let compression: Compression = 'none';

  const chainsOf = (count: number): Chain[] => {
    const chains = new Map<string, Chain>();
    for (let i = 0; i < count; i += 1) {
      const word = input.inputI32Index + i * WORDS;
      if (input.i32[word + L.BAR_INSTRUMENT_KIND_I32] !== L.INSTRUMENT_KIND_TRADE) continue;
      const timeframeIndex = input.i32[word + L.BAR_TIMEFRAME_INDEX_I32]!;
      const key = Buffer.from(nameOf(input.i32[word + L.BAR_SYMBOL_INDEX_I32]!));
      const partition = murmur2Part(key, routes[timeframeIndex]?.partitions ?? 1);
      const chain = chains.get(`${timeframeIndex} ${partition}`) ?? { timeframeIndex, partition, records: [] };
      chains.set(`${timeframeIndex} ${partition}`, chain);
      chain.records.push({ key, value: Buffer.from(payloads.payload(i)), headers: [] });
    }
    return [...chains.values()];
  };

  /** The most records from the first on whose batch the topic takes; one at least. */
  const fitting = (records: readonly BatchRecord[], bytesMax: number): number => {
    for (let count = 1; count < records.length; count += 1) {
      const batch = encodeRecordBatch(records.slice(0, count + 1), { identity, sequence: 0, timestampMs: 0 });
      if (batch.length > bytesMax) return count;
    }
    return records.length;
  };

  return {
    begin(nextIdentity, nextRoutes, nextCompression = 'none') {
      compression = nextCompression;
      identity = nextIdentity;
      routes = nextRoutes;
      sequences.clear();
    },
    encode(count, timestampMs) {
      return chainsOf(count).flatMap(({ timeframeIndex, partition, records }) => {
        const batches: EncodedBatch[] = [];
        for (let start = 0; start < records.length; ) {
          const size = fitting(records.slice(start), routes[timeframeIndex]?.batchBytesMax ?? 0);
          const sequence = sequences.get(`${timeframeIndex} ${partition}`) ?? 0;
          const bytes = encodeRecordBatch(records.slice(start, start + size), { identity, sequence, timestampMs, compression });
          batches.push({ timeframeIndex, partition, recordCount: size, bytes });
          sequences.set(`${timeframeIndex} ${partition}`, (sequence + size) % SEQUENCES);
          start += size;
        }
        return batches;
      });
    },
  };
}
