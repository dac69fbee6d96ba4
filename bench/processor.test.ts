import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { holdOneProcessor, holdThreads, processorsOfCores } from './processor.ts';

const processors = (): number => Number(execFileSync('nproc', { encoding: 'utf8' }));

it('holds this process and what it starts to one processor, and gives the others back', (context) => {
  const before = processors();
  const hold = holdOneProcessor();
  if (!hold) {
    context.skip('taskset is not there');
    return;
  }
  try {
    expect(processors()).toBe(1);
    expect(availableParallelism()).toBe(1);
  } finally {
    hold.free();
  }
  expect(processors()).toBe(before);
});

it('takes one processor of each core, those of the last cores first', () => {
  expect(processorsOfCores('0-3,8', String)).toEqual([8, 3, 2, 1, 0]);
  expect(processorsOfCores('0-3,32-35', (processor) => `core ${processor % 32}`)).toEqual([3, 2, 1, 0]);
  expect(processorsOfCores('5', String)).toEqual([5]);
});

/** Two processors may be of one core: then there is nothing to hold two threads to. */
const coreCount = (): number => new Set(execFileSync('lscpu', ['-p=CORE'], { encoding: 'utf8' }).match(/^\d+$/gm)).size;
const canHold =
  existsSync('/proc/thread-self/comm') &&
  availableParallelism() > 1 &&
  ['taskset', 'lscpu'].every((tool) => spawnSync(tool, ['-V']).status === 0) &&
  coreCount() > 1;

it.skipIf(!canHold)('holds threads to cores of their own where there are as many', async () => {
  const names = ['looks up', 'looks down'];
  const threads = await Promise.all(names.map(startThread));
  try {
    expect(holdThreads(names)).toBe(true);
    const allowed = readdirSync('/proc/self/task')
      .map((id) => readFileSync(`/proc/self/task/${id}/status`, 'utf8'))
      .filter((status) => names.some((name) => status.startsWith(`Name:\t${name}\n`)))
      .map((status) => /^Cpus_allowed_list:\t(\d+)$/m.exec(status)?.[1]);
    expect(allowed).toHaveLength(2);
    expect(allowed).not.toContain(undefined);
    expect(new Set(allowed).size).toBe(2);
    expect(holdThreads(['looks up', 'nobody'])).toBe(false);
    const hold = holdOneProcessor();
    try {
      expect(holdThreads(names)).toBe(false);
    } finally {
      hold?.free();
    }
  } finally {
    for (const thread of threads) await thread.terminate();
  }
});

/** A thread that names itself and stays. */
async function startThread(name: string): Promise<Worker> {
  const code = `try { require('node:fs').writeFileSync('/proc/thread-self/comm', ${JSON.stringify(name)}); } catch {}
    const { parentPort } = require('node:worker_threads');
    parentPort.on('message', () => undefined);
    parentPort.postMessage('here');`;
  const worker = new Worker(code, { eval: true });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  return worker;
}
