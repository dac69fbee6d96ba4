import fc from 'fast-check';
import { expect, it } from 'vitest';
import { createOpenSince, type OpenBuckets, sinceOf } from './open-since.ts';

const NS = 1_000_000_000n;
const buckets = (...items: (readonly [seconds: number, start: number, since: bigint | null])[]): OpenBuckets => ({
  seconds: items.map(([seconds]) => seconds),
  startNs: items.map(([, start]) => BigInt(start) * NS),
  since: items.map(([, , since]) => since),
});

it('gives a new bucket the place where the epoch began, and leaves the others theirs', () => {
  expect(sinceOf(buckets([1, 5, 10n]), buckets([1, 5, null], [1, 6, null], [60, 0, null]), 90n)).toEqual([10n, 90n, 90n]);
  expect(sinceOf(undefined, buckets([1, 5, null]), 90n)).toEqual([90n]);
});

it('gives a bucket the offset of a shorter one that ended in it, also when it was there before', () => {
  const before = buckets([1, 5, 10n], [1, 59, 8n], [60, 0, 20n]);
  expect(sinceOf(before, buckets([60, 0, null], [1, 59, null]), 90n)).toEqual([10n, 8n]);
  expect(sinceOf(before, buckets([60, 60, null], [180, 0, null]), 90n)).toEqual([90n, 8n]);
});

it('has none where the source has no offsets, and the oldest where it had none before', () => {
  expect(sinceOf(buckets([1, 5, 10n]), buckets([1, 5, null]), null)).toEqual([null]);
  expect(sinceOf(buckets([1, 5, null]), buckets([60, 0, null]), 90n)).toEqual([0n]);
});

it('plans an attempt that is repeated from what is durable', () => {
  const names: string[] = [];
  const openSince = createOpenSince(new Map([['A', buckets([60, 0, 7n])]]), (index) => {
    names.push(`asked ${index}`);
    return 'A';
  });
  for (let attempt = 0; attempt < 3; attempt += 1) {
    openSince.restart();
    expect(openSince.plan(0, buckets([60, 0, null], [1, 3, null]), 50n)).toEqual([7n, 50n]);
  }
  openSince.settle();
  expect(openSince.plan(0, buckets([1, 3, null], [1, 4, null]), 60n)).toEqual([50n, 60n]);
  openSince.restart();
  openSince.planClear(0);
  openSince.settle();
  expect(openSince.plan(0, buckets([60, 0, null]), 70n)).toEqual([70n]);
  expect(names.length).toBeGreaterThan(0);
});

/** Ticks in order of offset with event seconds out of order; 1 s buckets close by a watermark into 3 s, 6 s and 12 s ones, these into the next. */
it('never names an offset behind a tick that is open, whatever the order of ticks and the length of epochs', () => {
  const seed = Number(process.env['SEED'] ?? 20_261_121);
  const frames = [1, 3, 6, 12];
  const step = fc.record({ jump: fc.integer({ min: -6, max: 4 }), endsEpoch: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      /** By timeframe and start: the least offset of its ticks. */
      let open = new Map<string, bigint>();
      let stored: OpenBuckets | undefined;
      let startOffset = 0n;
      let head = 20;
      for (const [offset, { jump, endsEpoch }] of steps.entries()) {
        const second = Math.max(0, head + jump);
        head = Math.max(head, second);
        const watermark = head - 4;
        if (second >= watermark) keep(open, 1, second, BigInt(offset));
        open = closeUpTo(open, frames, watermark);
        if (!endsEpoch) continue;
        const keys = [...open.keys()].map((key) => key.split(' ').map(Number));
        const now = { seconds: keys.map(([seconds]) => seconds!), startNs: keys.map(([, start]) => BigInt(start!) * NS) };
        const since = sinceOf(stored, now, startOffset);
        for (const [index, oldest] of [...open.values()].entries()) expect(since[index]! <= oldest).toBe(true);
        stored = { ...now, since };
        startOffset = BigInt(offset + 1);
      }
    }),
    { seed, numRuns: 500 },
  );
});

function keep(open: Map<string, bigint>, seconds: number, second: number, offset: bigint): void {
  const key = `${seconds} ${Math.floor(second / seconds) * seconds}`;
  const known = open.get(key);
  open.set(key, known === undefined || offset < known ? offset : known);
}

function closeUpTo(open: ReadonlyMap<string, bigint>, frames: readonly number[], watermark: number): Map<string, bigint> {
  const left = new Map(open);
  for (const [index, seconds] of frames.entries()) {
    for (const [key, offset] of [...left]) {
      const [length = 0, start = 0] = key.split(' ').map(Number);
      if (length !== seconds || start + seconds > watermark) continue;
      left.delete(key);
      const longer = frames[index + 1];
      if (longer !== undefined) keep(left, longer, start, offset);
    }
  }
  return left;
}
