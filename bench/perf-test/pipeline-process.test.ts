import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startPipeline, waitFor } from './pipeline-process.ts';

const NODE = JSON.stringify(process.execPath);
const WAIT_MS = 20_000;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pipeline-process-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function startShell(shell: string) {
  const running = startPipeline({ name: 'peer', command: '', args: [], shell, cwd: folder, environment: {}, folder });
  await waitFor('it has started', running, WAIT_MS, async () => running.said().includes('up'));
  return running;
}

it.each([
  [
    'a program that ends in order when asked',
    `X=1 ${NODE} -e "process.on('SIGTERM', () => process.exit(0)); console.log('up'); setInterval(() => 0, 1000)"`,
    0,
  ],
  [
    'one that says that it failed',
    `${NODE} -e "process.on('SIGTERM', () => process.exit(3)); console.log('up'); setInterval(() => 0, 1000)"`,
    3,
  ],
  ['one that knows no signal', `${NODE} -e "console.log('up'); setInterval(() => 0, 1000)"; :`, 0],
  [
    'one in place of the shell',
    `exec ${NODE} -e "process.on('SIGTERM', () => process.exit(4)); console.log('up'); setInterval(() => 0, 1000)"`,
    4,
  ],
])('ends %s, behind a shell, and tells its code', async (_name, shell, code) => {
  const running = await startShell(shell);
  expect(await running.stop()).toBe(code);
  expect(running.isRunning).toBe(false);
});

it('kills what a shell has started with it', async () => {
  const running = await startShell(`X=1 ${NODE} -e "console.log('up', process.pid); setInterval(() => 0, 1000)"`);
  const pid = Number(/up (\d+)/.exec(running.said())?.[1]);
  running.killNow();
  const isAlive = (): boolean => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  const endMs = performance.now() + WAIT_MS;
  while (isAlive() && performance.now() < endMs) await new Promise((resolve) => setImmediate(resolve));
  expect(isAlive()).toBe(false);
});
