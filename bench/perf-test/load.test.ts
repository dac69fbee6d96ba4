import { expect, it } from 'vitest';
import type { GeneratorPlan } from './generator.ts';
import { runGenerator } from './load.ts';

/** No broker is there, so that it would try for long. */
const PLAN: GeneratorPlan = {
  symbols: 1,
  baseTps: 1,
  seconds: 3600,
  seed: 1,
  startMs: Date.now(),
  isPaced: true,
  warmupSec: 0,
  brokers: '127.0.0.1:1',
  topic: 'load.test',
  encoding: 'json',
};

it('a generator is over when this process ends, and when it is told', { timeout: 30_000 }, async () => {
  const before = process.listeners('exit');
  const first = runGenerator(PLAN);
  const [onExit] = process.listeners('exit').filter((listener) => !before.includes(listener));
  onExit?.(0);
  await expect(first).rejects.toThrow('the generator ended with code null');
  const over = new AbortController();
  const second = runGenerator(PLAN, over.signal);
  over.abort();
  await expect(second).rejects.toThrow('aborted');
  await expect.poll(() => process.listeners('exit').length).toBe(before.length);
});
