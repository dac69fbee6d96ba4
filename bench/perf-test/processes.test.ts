import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { cpuBetween, readCpu } from './processes.ts';

const hasProc = existsSync('/proc/thread-self/comm');
const NO_PROC = hasProc ? '' : ' (skipped: this system has no /proc)';
const BURN = 'const burn = () => { const end = process.cpuUsage().user + 40_000; while (process.cpuUsage().user < end); };';

it.skipIf(!hasProc)(`tells threads apart by the names that they gave themselves${NO_PROC}`, async () => {
  const worker = new Worker(
    `require('node:fs').writeFileSync('/proc/thread-self/comm', 'shard 7'); const { parentPort } = require('node:worker_threads');
     ${BURN} parentPort.on('message', () => { burn(); parentPort.postMessage('burnt'); }); parentPort.postMessage('ready');`,
    { eval: true },
  );
  await once(worker, 'message');
  const watched = [{ name: 'engine', pid: process.pid, hasThreads: true }];
  const before = readCpu(watched);
  worker.postMessage('burn');
  await once(worker, 'message');
  const used = cpuBetween(before, readCpu(watched));
  await worker.terminate();
  expect(used.get('engine shard 7')).toBeGreaterThan(0);
  expect([...used.keys()]).toContain('engine main');
});

it.skipIf(!hasProc)(`counts what a process has started, and what that has started, with it${NO_PROC}`, async () => {
  const child = spawn(
    '/bin/sh',
    ['-c', `${JSON.stringify(process.execPath)} -e "${BURN} burn(); console.log(1); setTimeout(() => 0, 60000)" & wait`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    },
  );
  try {
    const { pid = 0 } = child;
    const before = readCpu([{ name: 'peer', pid, hasChildren: true, hasThreads: false }]);
    await once(child.stdout, 'data');
    const used = cpuBetween(before, readCpu([{ name: 'peer', pid, hasChildren: true, hasThreads: false }]));
    expect([...used.values()].reduce((sum, seconds) => sum + seconds, 0)).toBeGreaterThanOrEqual(0.03);
    expect([...used.keys()]).toContain('peer main');
  } finally {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }
});
