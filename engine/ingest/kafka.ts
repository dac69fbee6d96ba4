/** The kafka source: the `ticks` topic by consumer group, JSON or packed messages, handed over as runs of one partition and encoding. */
import { REFUSAL } from '../../schemas/records.ts';
import type { Clock } from '../core/clock.ts';
import { assert } from '../core/errors.ts';
import type { Message } from '../sinks/kafka/rdkafka.ts';
import { createProgress, describeRefused } from './kafka-progress.ts';
import type { KafkaReader } from './kafka-reader.ts';
import { PACKED_ENCODING, PACKED_RECORDS_MAX, packedRecordCount } from './packed.ts';
import type { IngestPort, Rejected, Source } from './source.ts';

/** Messages of one run. */
const RUN_MAX = 1024;

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
  const progress = createProgress(options);
  const { nextOffsets, ended } = progress;
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
      offered += run.encoding === 'json' || whole.has(index) ? 1 : packedRecordCount(run.values[index]!);
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

  const isBeyond = ({ partition, offset }: Message): boolean => {
    if (options.until === undefined || offset < (options.until.get(partition) ?? 0n)) return false;
    ended.add(partition);
    return true;
  };
  const taken = (last: Message, count: number): void => {
    nextOffsets.set(last.partition, BigInt(last.offset) + 1n);
    reader.queue.drop(count);
  };

  return {
    ...progress.members,
    get isEnded() {
      return progress.isEnded();
    },
    async start(ingestPort, from) {
      port = ingestPort;
      await progress.begin(from);
    },
    poll(budget) {
      if (!port || isStopped) return 0;
      const before = offered;
      progress.passJumps();
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

function describe({ messages, values }: Run, messageIndex: number, recordIndex: number, refusal: number): Rejected {
  const message = messages[messageIndex];
  const value = values[messageIndex];
  assert(message !== undefined && value !== undefined, `refused message ${messageIndex} of a run of ${values.length}`);
  const { topic, partition, offset } = message;
  return describeRefused({ topic, partition, offset: BigInt(offset), value, recordIndex, refusal });
}
