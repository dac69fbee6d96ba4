/** A task that fails in the background of a running engine: it is not silent. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { EXIT_CRASHED } from '../../engine/runtime/crash.ts';
import { createWorkspace, runToEnd, startEngine } from './engine-process.ts';

const stamp = `b${process.pid}_${Date.now() % 100000}`;
const workspace = createWorkspace(stamp);
afterAll(() => workspace.cleanUp());

/** Put into the engine's main thread: at a signal, a promise that nobody waits for is rejected. */
const SABOTAGE = `
import { isMainThread } from 'node:worker_threads';
if (isMainThread) process.on('SIGUSR2', () => { Promise.reject(new Error('a timer went wrong')); });
`;

it('ends the process with a message, an entry in the log and an exit code of its own', async () => {
  const { folder } = workspace;
  const settings = { PG_SCHEMA: `${stamp}_crash`, KAFKA: 'off', SIM_SYMBOLS: '10', SIM_DURATION_SEC: '60' };
  const options = `--import data:text/javascript,${encodeURIComponent(SABOTAGE)}`;
  const engine = startEngine([], { ...settings, NODE_OPTIONS: options }, folder);
  await engine.waitFor(/metrics +http:/);
  engine.process.kill('SIGUSR2');
  const { code, output } = await engine.done;
  expect(code, output).toBe(EXIT_CRASHED);
  expect(output).toMatch(/FAILED in the background \(unhandledRejection\): a timer went wrong/);
  const again = await runToEnd([], { ...settings, SIM_DURATION_SEC: '1' }, folder);
  expect(again.code, again.output).toBe(0);
  const log = readFileSync(join(folder, 'engine.log'), 'utf8');
  expect(log).toMatch(/"level":60.*a timer went wrong.*a background task failed/);
});
