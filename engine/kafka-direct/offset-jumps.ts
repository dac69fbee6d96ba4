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
   * Counts a jump. A reader that had to begin again before what it jumped over was stored jumps again: of offsets that were counted none is
   * counted twice.
   */
  note(jump: OffsetJump): void;
  readonly byPartition: ReadonlyMap<number, JumpCount>;
}

/** Offsets from the first on, up to and without the second. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/** Counts the jumps of a topic. `onJump` is told of each that passed over something new. */
export function createJumpCounter(onJump: (jump: OffsetJump) => void): JumpCounter {
  const byPartition = new Map<number, JumpCount & { readonly counted: readonly Range[] }>();
  return {
    note(jump) {
      const { partition, from, to } = jump;
      const known = byPartition.get(partition) ?? { jumps: 0, offsets: 0, counted: [] };
      const again = known.counted.reduce((sum, range) => sum + Math.max(0, Math.min(to, range.to) - Math.max(from, range.from)), 0);
      const fresh = to - from - again;
      if (fresh <= 0) return;
      const touches = (range: Range): boolean => range.from <= to && range.to >= from;
      const joined = known.counted.filter(touches).concat({ from, to });
      const whole = { from: Math.min(...joined.map((range) => range.from)), to: Math.max(...joined.map((range) => range.to)) };
      const counted = [...known.counted.filter((range) => !touches(range)), whole];
      byPartition.set(partition, { jumps: known.jumps + 1, offsets: known.offsets + fresh, counted });
      onJump(jump);
    },
    byPartition,
  };
}
