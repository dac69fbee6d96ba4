/** What the kafka source knows on either lane: how far each partition has been handed over, where it ends, and what was refused of it. */
import { assert, EngineError } from '../core/errors.ts';
import type { KafkaSourceOptions } from './kafka.ts';
import { PACKED_RECORD_BYTES, readPackedHeader } from './packed.ts';
import { refusalName } from './refusal-name.ts';
import type { Rejected, Source, SourcePosition } from './source.ts';

export interface KafkaProgress {
  /** Offset after the last message handed over, or passed over. */
  readonly nextOffsets: Map<number, bigint>;
  /** Partitions of which everything before their end has been handed over. */
  readonly ended: Set<number>;
  /**
   * Joins the group and begins to read what it has given out.
   * @throws EngineError KAFKA_ASSIGNMENT_CHANGED (retryable) when that is not what the source is for, and those of the reader
   */
  begin(from: SourcePosition | undefined): Promise<void>;
  /** Takes partitions over offsets that are gone, once everything before has been handed over, so that the next checkpoint stands behind them. */
  passJumps(): void;
  /** The members of a source that are the same on either lane. */
  readonly members: Pick<Source, 'name' | 'isReplayable' | 'isLive' | 'isCaughtUp' | 'position' | 'failure' | 'committed'>;
  isEnded(): boolean;
}

export function createProgress(options: KafkaSourceOptions): KafkaProgress {
  const { reader } = options;
  const nextOffsets = new Map<number, bigint>();
  const ended = new Set<number>();
  let hasBegun = false;
  const hasEnded = (partition: number, end: bigint): boolean => {
    const next = nextOffsets.get(partition) ?? 0n;
    return next >= end || ended.has(partition) || reader.isAtEnd(partition, Number(next));
  };
  const passJumps = (): void => {
    for (const [partition, to] of reader.takeJumps()) {
      const next = nextOffsets.get(partition) ?? 0n;
      if (BigInt(to) > next) nextOffsets.set(partition, BigInt(to));
    }
  };
  return {
    nextOffsets,
    ended,
    async begin(from) {
      assert(!hasBegun, 'a kafka source is started once');
      hasBegun = true;
      for (const [partition, offset] of from?.offsets ?? []) nextOffsets.set(partition, offset);
      await reader.join();
      const assigned = await reader.assignment();
      if (options.partitions !== undefined && assigned.join() !== options.partitions.join()) {
        const text = `partitions ${options.partitions.join(', ')} were to be read, the group has given out ${assigned.join(', ')}`;
        throw new EngineError('KAFKA_ASSIGNMENT_CHANGED', text, { retryable: true });
      }
      // What is read again to build open buckets has to be there: without it they would lack what was counted.
      await reader.begin(from?.offsets ?? new Map(), options.until === undefined ? undefined : 'stop');
      passJumps();
    },
    passJumps,
    isEnded() {
      if (options.until === undefined) return options.feed?.isEnded(reader.partitions, nextOffsets) ?? false;
      return hasBegun && [...options.until].every(([partition, end]) => hasEnded(partition, end));
    },
    members: {
      name: options.name ?? 'kafka',
      isReplayable: true,
      isLive: true,
      isCaughtUp(partition) {
        const next = nextOffsets.get(partition);
        return reader.isAtEnd(partition, next === undefined ? undefined : Number(next));
      },
      position: () => ({ offsets: new Map(nextOffsets) }),
      failure: () => reader.takeFailure() ?? options.feed?.failure(),
      committed: (position) => reader.commit(position.offsets),
    },
  };
}

export interface RefusedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  readonly value: Uint8Array;
  /** -1: the whole message. */
  readonly recordIndex: number;
  readonly refusal: number;
}

/** The bytes of a refused record are its own 32, since its message can be read again by offset; those of a refused message are all. */
export function describeRefused({ value, refusal, ...place }: RefusedMessage): Rejected {
  const { recordIndex } = place;
  const at = recordIndex < 0 ? 0 : (readPackedHeader(value)?.recordsOffset ?? 0) + recordIndex * PACKED_RECORD_BYTES;
  return { ...place, reason: refusalName(refusal), raw: recordIndex < 0 ? value : value.subarray(at, at + PACKED_RECORD_BYTES) };
}
