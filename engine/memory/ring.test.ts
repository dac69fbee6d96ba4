import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RING_HEAD, RING_TAIL } from '../../schemas/layout.gen.ts';
import { PROJECT_ROOT } from '../core/root.ts';
import { allocateRing, createRing, type Ring } from './ring.ts';

/** fast-check prints the seed of a failure; SEED replays it. */
const SEEDED = process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) };

const SLOT_BYTES = 64;
const SLOT_WORDS = SLOT_BYTES >> 2;

/** A ring whose positions start at `start`. */
function ringFrom(capacity: number, start: number): Ring {
  const buffer = allocateRing(capacity, SLOT_BYTES);
  const words = new Int32Array(buffer);
  words[RING_HEAD >> 2] = start;
  words[RING_TAIL >> 2] = start;
  return createRing(buffer, 0);
}

function slotsFrom(first: number, count: number): Int32Array {
  return Int32Array.from({ length: count * SLOT_WORDS }, (_, word) => first + Math.floor(word / SLOT_WORDS));
}

/** Takes everything in the ring out, run by run; fails when a slot is torn. */
function drain(ring: Ring): number[] {
  const seen: number[] = [];
  for (let run = ring.run(); run > 0; run = ring.run()) {
    const index = ring.tailIndex();
    for (let slot = 0; slot < run; slot += 1) {
      const words = ring.words.subarray(index + slot * SLOT_WORDS, index + (slot + 1) * SLOT_WORDS);
      expect(words.every((word) => word === words[0])).toBe(true);
      seen.push(words[0]!);
    }
    ring.release(run);
  }
  return seen;
}

describe('ring', () => {
  it('gives out in order what was put in, whatever the sizes and wherever positions wrap', () => {
    const steps = fc.array(fc.record({ put: fc.nat(20), isDrained: fc.boolean() }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, fc.constantFrom(0, 5, 2 ** 31 - 9, -1, -7), (plan, start) => {
        const ring = ringFrom(16, start);
        const seen: number[] = [];
        let next = 0;
        for (const { put, isDrained } of plan) {
          const count = Math.min(put, ring.free());
          ring.publish(slotsFrom(next, count), 0, count);
          next += count;
          expect(ring.depth()).toBe(next - seen.length);
          if (isDrained) seen.push(...drain(ring));
        }
        seen.push(...drain(ring));
        expect(seen).toEqual(Array.from({ length: next }, (_, value) => value));
        expect(ring.free()).toBe(16);
      }),
      SEEDED,
    );
  });

  it('publishes from the middle of a larger source', () => {
    const ring = ringFrom(16, 12);
    ring.publish(slotsFrom(100, 12), 2 * SLOT_WORDS, 9);
    expect(drain(ring)).toEqual([102, 103, 104, 105, 106, 107, 108, 109, 110]);
  });

  it('never gives a run across the end of the ring', () => {
    const ring = ringFrom(16, 12);
    ring.publish(slotsFrom(0, 10), 0, 10);
    expect(ring.run()).toBe(4);
    ring.release(4);
    expect(ring.run()).toBe(6);
  });

  it('has no room left when full, and as much as was released after', () => {
    const ring = ringFrom(16, 0);
    ring.publish(slotsFrom(0, 16), 0, 16);
    expect([ring.free(), ring.depth()]).toEqual([0, 16]);
    ring.release(3);
    expect([ring.free(), ring.depth()]).toEqual([3, 13]);
  });
});

describe('ring between threads', () => {
  let folder = '';
  const ringModule = () => pathToFileURL(join(folder, 'engine/memory/ring.js')).href;

  /** Worker threads take JavaScript: the ring as it is now, compiled for this test. */
  beforeAll(() => {
    mkdirSync(join(PROJECT_ROOT, '.data'), { recursive: true });
    folder = mkdtempSync(join(PROJECT_ROOT, '.data/ring-test-'));
    const options = [
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      'node',
      '--rewriteRelativeImportExtensions',
      '--ignoreConfig',
    ];
    const paths = ['--rootDir', '.', '--outDir', folder, 'engine/memory/ring.ts'];
    execFileSync(process.execPath, ['node_modules/typescript/bin/tsc', ...options, ...paths], { cwd: PROJECT_ROOT, stdio: 'inherit' });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('carries a million slots from one thread to another that sleeps when there is nothing, each once and whole', async () => {
    const total = 1_000_000;
    const workerData = { buffer: allocateRing(1024, SLOT_BYTES), total, ringModule: ringModule() };
    const consumer = new Worker(CONSUMER, { eval: true, workerData });
    const producer = new Worker(PRODUCER, { eval: true, workerData });
    const [[seen]] = await Promise.all([once(consumer, 'message'), once(producer, 'message')]);
    expect(seen).toEqual({ count: total, firstWrong: -1, parks: expect.any(Number) });
  });

  it('wakes a consumer that sleeps as soon as something is published', async () => {
    const buffer = allocateRing(1024, SLOT_BYTES);
    const ring = createRing(buffer, 0);
    const sleeper = new Worker(SLEEPER, { eval: true, workerData: { buffer, ringModule: ringModule() } });
    await once(sleeper, 'message');
    const woken = once(sleeper, 'message');
    ring.publish(slotsFrom(7, 1), 0, 1);
    const [answer] = await woken;
    expect(answer).toEqual({ depth: 1, isInTime: true });
  });
});

const CONSUMER = `
const { parentPort, workerData } = require('node:worker_threads');
import(workerData.ringModule).then(({ createRing }) => {
  const ring = createRing(workerData.buffer, 0);
  let count = 0, firstWrong = -1, parks = 0;
  while (count < workerData.total) {
    const run = ring.run();
    if (run === 0) { parks++; ring.park(1000); continue; }
    const at = ring.tailIndex();
    for (let slot = 0; slot < run; slot++) {
      for (const word of [0, 7, 15]) if (ring.words[at + slot * 16 + word] !== count + slot && firstWrong < 0) firstWrong = count + slot;
    }
    ring.release(run);
    count += run;
  }
  parentPort.postMessage({ count, firstWrong, parks });
});`;

/** Publishes in sizes 1 to 300 that follow a fixed rule; when the ring is full it looks again. */
const PRODUCER = `
const { parentPort, workerData } = require('node:worker_threads');
import(workerData.ringModule).then(({ createRing }) => {
  const ring = createRing(workerData.buffer, 0);
  const slots = new Int32Array(300 * 16);
  let next = 0, step = 0;
  while (next < workerData.total) {
    const count = Math.min(1 + (step * 37) % 300, workerData.total - next, ring.free());
    if (count === 0) continue;
    for (let word = 0; word < count * 16; word++) slots[word] = next + (word >> 4);
    ring.publish(slots, 0, count);
    next += count;
    step++;
  }
  parentPort.postMessage('done');
});`;

/** Sleeps for at most 30 s, and says whether it was woken well before that. */
const SLEEPER = `
const { parentPort, workerData } = require('node:worker_threads');
import(workerData.ringModule).then(({ createRing }) => {
  const ring = createRing(workerData.buffer, 0);
  parentPort.postMessage('ready');
  const start = performance.now();
  ring.park(30000);
  parentPort.postMessage({ depth: ring.depth(), isInTime: performance.now() - start < 20000 });
});`;
