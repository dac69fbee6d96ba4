import { describe, expect, it } from 'vitest';
import { createBufferPool } from './buffer-pool.ts';

const MIB = 1_048_576;

describe('the pool of buffers', () => {
  it('gives room for what is asked, and less than twice that', () => {
    const pool = createBufferPool();
    expect(pool.take(1).length).toBe(1024);
    expect(pool.take(1024).length).toBe(1024);
    expect(pool.take(1025).length).toBe(2048);
    expect(pool.take(MIB - 1).length).toBe(MIB);
  });

  it('gives a buffer again once it was given back, and never one that is in use', () => {
    const pool = createBufferPool();
    const [first, second] = [pool.take(5000), pool.take(5000)];
    expect(second).not.toBe(first);
    pool.give(first);
    expect(pool.take(8000)).toBe(first);
    expect(pool.take(8000)).not.toBe(first);
  });

  it('keeps 16 MiB at most, of the sizes that are given back now', () => {
    const pool = createBufferPool();
    const small = Array.from({ length: 16 }, () => pool.take(MIB));
    for (const buffer of small) pool.give(buffer);
    const large = pool.take(2 * MIB);
    pool.give(large);
    expect(pool.take(2 * MIB)).toBe(large);
    expect(small).not.toContain(pool.take(MIB));
  });
});
