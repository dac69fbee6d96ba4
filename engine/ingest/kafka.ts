/** The kafka source: the `ticks` topic by consumer group, JSON or packed messages, handed over as runs of one partition and encoding. */
import { REFUSAL } from '../../schemas/records.ts';
import type { Clock } from '../core/clock.ts';
import { assert, EngineError } from '../core/errors.ts';
import type { Message } from '../sinks/kafka/rdkafka.ts';
import type { KafkaReader } from './kafka-reader.ts';
import { PACKED_ENCODING, PACKED_RECORD_BYTES, PACKED_RECORDS_MAX, readPackedHeader } from './packed.ts';
import { refusalName } from './refusal-name.ts';
import type { IngestPort, Rejected, Source } from './source.ts';

/** Messages of one run. */
const RUN_MAX = 1024;
/** Byte of a packed message at which its record count stands, u16. */
const PACKED_COUNT_OFFSET = 8;

export interface KafkaSourceOptions {
  /** Name of the source in the tables; `kafka` unless given. */
  readonly name?: string;
  /** A member of the group; it outlives the source. */
  readonly reader: KafkaReader;
  readonly clock: Clock;
  /** What is to be read; unless given, whatever the group gives out. */
  readonly partitions?: readonly number[];
  /** Where each partition ends; the others are not read at all. Unless given, it goes on for ever. */
  readonly until?: ReadonlyMap<number, bigint>;
  /** What writes the topic, where this process does. */
  readonly feed?: KafkaFeed;
  /** Called for every message or packed record that is refused, once. */
  readonly onRejected: (rejected: Rejected) => void;
}

export interface KafkaFeed {
  /** True when a reader that has handed over everything before these offsets has all of its partitions, and nothing more will come. */
  isEnded(partitions: readonly number[], nextOffsets: ReadonlyMap<number, bigint>): boolean;
  failure(): Error | undefined;
}

interface Run {
  readonly encoding: 'json' | 'packed';
  readonly partition: number;
  readonly messages: Message[];
  readonly values: Uint8Array[];
}

/** Reads the partitions that its reader is assigned, from `start` to `stop`. */
export function createKafkaSource(options: KafkaSourceOptions): Source {
  const { reader } = options;
  /** Offset after the last message handed over. */
  const nextOffsets = new Map<number, bigint>();
  let port: IngestPort | undefined;
  let offered = 0;
  let isStopped = false;

  /** Hands a run over; returns how many of its messages were taken. */
  const handOver = (to: IngestPort, run: Run): number => {
    const whole = new Set<number>();
    const taken = to.commitMessages({
      encoding: run.encoding,
      partition: run.partition,
      count: run.values.length,
      values: run.values,
      onRejected(messageIndex, recordIndex, refusal) {
        if (recordIndex < 0) whole.add(messageIndex);
        // A tick that came too late is whole: it stands in late_ticks.
        if (refusal !== REFUSAL.tooLate) options.onRejected(describe(run, messageIndex, recordIndex, refusal));
      },
    });
    for (let index = 0; index < taken; index += 1) {
      offered += run.encoding === 'json' || whole.has(index) ? 1 : packedCount(run.values[index]!);
    }
    return taken;
  };

  /** A message without a value is not a tick: it is refused here, since the port is only given bytes. */
  const refuseTombstone = (to: IngestPort, message: Message): void => {
    to.refuse(REFUSAL.malformed, 1);
    offered += 1;
    const run: Run = { encoding: 'json', partition: message.partition, messages: [message], values: [new Uint8Array()] };
    options.onRejected(describe(run, 0, -1, REFUSAL.malformed));
  };

  /** Partitions of which everything before their end has been handed over. */
  const ended = new Set<number>();
  const isBeyond = ({ partition, offset }: Message): boolean => {
    if (options.until === undefined || offset < (options.until.get(partition) ?? 0n)) return false;
    ended.add(partition);
    return true;
  };
  const hasEnded = (partition: number, end: bigint): boolean => {
    const next = nextOffsets.get(partition) ?? 0n;
    return next >= end || ended.has(partition) || reader.isAtEnd(partition, Number(next));
  };

  const taken = (last: Message, count: number): void => {
    nextOffsets.set(last.partition, BigInt(last.offset) + 1n);
    reader.queue.drop(count);
  };

  return {
    name: options.name ?? 'kafka',
    isReplayable: true,
    isLive: true,
    get isEnded() {
      if (options.until === undefined) return options.feed?.isEnded(reader.partitions, nextOffsets) ?? false;
      return port !== undefined && [...options.until].every(([partition, end]) => hasEnded(partition, end));
    },
    async start(ingestPort, from) {
      assert(port === undefined, 'a kafka source is started once');
      port = ingestPort;
      for (const [partition, offset] of from?.offsets ?? []) nextOffsets.set(partition, offset);
      await reader.join();
      const assigned = await reader.assignment();
      if (options.partitions !== undefined && assigned.join() !== options.partitions.join()) {
        const text = `partitions ${options.partitions.join(', ')} were to be read, the group has given out ${assigned.join(', ')}`;
        throw new EngineError('KAFKA_ASSIGNMENT_CHANGED', text, { retryable: true });
      }
      await reader.begin(from?.offsets ?? new Map());
    },
    poll(budget) {
      if (!port || isStopped) return 0;
      const before = offered;
      while (offered - before < budget && port.room() > 0) {
        const first = reader.queue.at(0);
        if (!first) break;
        if (isBeyond(first)) {
          reader.queue.drop(1);
          continue;
        }
        if (first.value === null) {
          refuseTombstone(port, first);
          taken(first, 1);
          continue;
        }
        const run = nextRun(reader, Math.min(budget - (offered - before), port.room()), isBeyond);
        const count = handOver(port, run);
        const last = run.messages[count - 1];
        if (last) taken(last, count);
        if (count < run.values.length) break;
      }
      reader.pump();
      return offered - before;
    },
    get offered() {
      return offered;
    },
    get lagMs() {
      const stampMs = reader.queue.at(0)?.timestamp;
      return stampMs === undefined ? 0 : Math.max(0, options.clock.wallMs() - stampMs);
    },
    isCaughtUp(partition) {
      const next = nextOffsets.get(partition);
      return reader.isAtEnd(partition, next === undefined ? undefined : Number(next));
    },
    get partitions() {
      return reader.partitions;
    },
    position: () => ({ offsets: new Map(nextOffsets) }),
    get isRevoked() {
      return reader.isRevoked;
    },
    failure: () => reader.takeFailure() ?? options.feed?.failure(),
    committed: (position) => reader.commit(position.offsets),
    async stop() {
      isStopped = true;
    },
  };
}

/** The longest run at the head of the queue that is of one partition and encoding and holds at most `records`, but at least one message. */
function nextRun({ queue }: KafkaReader, records: number, isBeyond: (message: Message) => boolean): Run {
  const first = queue.at(0);
  assert(first !== undefined, 'a run begins with a message');
  const encoding = encodingOf(first);
  const limit = Math.min(RUN_MAX, encoding === 'json' ? records : Math.max(1, Math.floor(records / PACKED_RECORDS_MAX)));
  const messages: Message[] = [];
  const values: Uint8Array[] = [];
  for (let index = 0; index < limit; index += 1) {
    const message = queue.at(index);
    if (!message || message.value === null || message.partition !== first.partition || encodingOf(message) !== encoding) break;
    if (isBeyond(message)) break;
    messages.push(message);
    values.push(message.value);
  }
  return { encoding, partition: first.partition, messages, values };
}

function encodingOf(message: Message): 'json' | 'packed' {
  if (!message.headers) return 'json';
  const isPacked = message.headers.some((header) => String(header['encoding'] ?? '') === PACKED_ENCODING);
  return isPacked ? 'packed' : 'json';
}

function packedCount(value: Uint8Array): number {
  return value[PACKED_COUNT_OFFSET]! + value[PACKED_COUNT_OFFSET + 1]! * 256;
}

/** The bytes of a refused record are its own 32, since its message can be read again by offset; those of a refused message are all. */
function describe(run: Run, messageIndex: number, recordIndex: number, refusal: number): Rejected {
  const message = run.messages[messageIndex];
  const value = run.values[messageIndex];
  assert(message !== undefined && value !== undefined, `refused message ${messageIndex} of a run of ${run.values.length}`);
  const at = recordIndex < 0 ? 0 : (readPackedHeader(value)?.recordsOffset ?? 0) + recordIndex * PACKED_RECORD_BYTES;
  return {
    topic: message.topic,
    partition: message.partition,
    offset: BigInt(message.offset),
    recordIndex,
    reason: refusalName(refusal),
    raw: recordIndex < 0 ? value : value.subarray(at, at + PACKED_RECORD_BYTES),
  };
}
