/**
 * What becomes of a partition whose next offset the topic no longer holds: an end, or a jump that is counted by partition. An offset beyond the
 * end is of another topic under the same name: no policy makes up for that.
 */
import { EngineError } from '../core/errors.ts';

/** `stop`: a failure. `earliest`, `latest`: on from the first offset there is, or from the end. */
export type OffsetPolicy = 'stop' | 'earliest' | 'latest';

export interface OffsetJump {
  readonly topic: string;
  readonly partition: number;
  /** The offset that was to be read next, and the one from which it goes on. */
  readonly from: number;
  readonly to: number;
}

/** Offsets that a partition holds: the first, and the one behind the last. */
export interface HeldOffsets {
  readonly lowOffset: number;
  readonly highOffset: number;
}

/**
 * Where a partition goes on: undefined where it holds the offset.
 * @throws EngineError KAFKA_OFFSET_GONE
 */
export function jumpOf(
  place: { readonly topic: string; readonly partition: number; readonly offset: number },
  { lowOffset, highOffset }: HeldOffsets,
  policy: OffsetPolicy,
): OffsetJump | undefined {
  const { topic, partition, offset } = place;
  if (offset >= lowOffset && offset <= highOffset) return undefined;
  if (offset < lowOffset && policy !== 'stop') {
    return { topic, partition, from: offset, to: policy === 'earliest' ? lowOffset : highOffset };
  }
  const why = offset < lowOffset ? 'older messages have been deleted' : 'the topic is not the one that was read before';
  const text = `topic ${topic} partition ${partition}: offset ${offset}, expected ${lowOffset} to ${highOffset}: ${why}`;
  throw new EngineError('KAFKA_OFFSET_GONE', text);
}

export interface JumpCount {
  readonly jumps: number;
  /** Offsets that were passed over. */
  readonly offsets: number;
}

export interface JumpCounter {
  /**
   * Counts a jump. A reader that had to begin again before what it jumped over was stored jumps again: what was counted is not counted
   * twice.
   */
  note(jump: OffsetJump): void;
  readonly byPartition: ReadonlyMap<number, JumpCount>;
}

/** Counts the jumps of a topic. `onJump` is told of each that passed over something new. */
export function createJumpCounter(onJump: (jump: OffsetJump) => void): JumpCounter {
  const byPartition = new Map<number, JumpCount & { readonly countedTo: number }>();
  return {
    note(jump) {
      const { partition, from, to } = jump;
      const known = byPartition.get(partition) ?? { jumps: 0, offsets: 0, countedTo: 0 };
      const first = Math.max(from, known.countedTo);
      if (to <= first) return;
      byPartition.set(partition, { jumps: known.jumps + 1, offsets: known.offsets + to - first, countedTo: to });
      onJump(jump);
    },
    byPartition,
  };
}
