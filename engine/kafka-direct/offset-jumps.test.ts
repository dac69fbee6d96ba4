import { describe, expect, it } from 'vitest';
import { createJumpCounter, jumpOf, type OffsetJump } from './offset-jumps.ts';

const held = { lowOffset: 20, highOffset: 50 };
const at = (offset: number) => ({ topic: 't', partition: 3, offset });
const jump = (from: number, to: number, partition = 3): OffsetJump => ({ topic: 't', partition, from, to });

describe('an offset that the topic does not hold', () => {
  it('is no matter where the topic holds it, its end included', () => {
    for (const offset of [20, 35, 50]) expect(jumpOf(at(offset), held, 'stop')).toBeUndefined();
  });

  it('is left for the first one or the end by policy, and else a failure that says what there is', () => {
    expect(jumpOf(at(5), held, 'earliest')).toEqual(jump(5, 20));
    expect(jumpOf(at(5), held, 'latest')).toEqual(jump(5, 50));
    const text = 'topic t partition 3: offset 5, expected 20 to 50: older messages have been deleted';
    expect(() => jumpOf(at(5), held, 'stop')).toThrow(expect.objectContaining({ code: 'KAFKA_OFFSET_GONE', message: text }));
  });

  it('is a failure under every policy where the topic never held it', () => {
    for (const policy of ['stop', 'earliest', 'latest'] as const) {
      expect(() => jumpOf(at(51), held, policy)).toThrow(/offset 51, expected 20 to 50: the topic is not the one that was read before/);
    }
  });
});

it('counts each offset that was passed over once, however often a reader begins again before it', () => {
  const told: OffsetJump[] = [];
  const { note, byPartition } = createJumpCounter((one) => told.push(one));
  note(jump(5, 20));
  note(jump(5, 20));
  note(jump(5, 30));
  note(jump(40, 50));
  note(jump(0, 2, 1));
  expect([...byPartition].map(([partition, { jumps, offsets }]) => [partition, jumps, offsets])).toEqual([
    [3, 3, 35],
    [1, 1, 2],
  ]);
  expect(told).toEqual([jump(5, 20), jump(5, 30), jump(40, 50), jump(0, 2, 1)]);
});

it('counts what a reader had read and not stored, where that is gone too when it begins again', () => {
  const told: OffsetJump[] = [];
  const { note, byPartition } = createJumpCounter((one) => told.push(one));
  note(jump(100, 200));
  note(jump(300, 400));
  note(jump(50, 400));
  note(jump(50, 400));
  expect(byPartition.get(3)).toMatchObject({ jumps: 3, offsets: 350 });
  expect(told).toHaveLength(3);
});
