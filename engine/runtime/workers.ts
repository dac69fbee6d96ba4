/** Starts worker threads and watches them. */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { EngineError, messageOf } from '../core/errors.ts';
import { PROJECT_ROOT } from '../core/root.ts';

export interface WorkerHandle<Out> {
  readonly name: string;
  post(message: Out): void;
  /** True once the thread has ended by itself after it was told that it may. */
  readonly isStopped: boolean;
  /** From now on an exit is expected. */
  expectExit(): void;
  terminate(): Promise<void>;
}

export interface WorkerOptions<In> {
  readonly name: string;
  /** File in dist/workers, without ending. */
  readonly file: string;
  readonly data: unknown;
  onMessage(message: In): void;
  /** Called once, when the thread fails or ends unexpectedly. */
  onFailure(error: Error): void;
}

export type StartWorker = <In, Out>(options: WorkerOptions<In>) => WorkerHandle<Out>;

/** Runs dist/workers/<file>.js in a thread of its own. */
export function startWorker<In, Out>(options: WorkerOptions<In>): WorkerHandle<Out> {
  const worker = new Worker(join(PROJECT_ROOT, 'dist/workers', `${options.file}.js`), { workerData: options.data, name: options.name });
  let isExitExpected = false;
  let isStopped = false;
  let hasFailed = false;
  const fail = (why: string, cause?: unknown): void => {
    if (hasFailed) return;
    hasFailed = true;
    options.onFailure(new EngineError('WORKER_FAILED', `worker ${options.name}: ${why}`, { cause }));
  };
  worker.on('message', options.onMessage);
  worker.on('error', (error) => fail(messageOf(error), error));
  worker.on('messageerror', (error) => fail(`sent what cannot be read: ${messageOf(error)}`, error));
  worker.on('exit', (code) => {
    isStopped = true;
    if (!isExitExpected) fail(`ended unexpectedly with code ${code}`);
  });
  return {
    name: options.name,
    post: (message) => worker.postMessage(message),
    get isStopped() {
      return isStopped;
    },
    expectExit() {
      isExitExpected = true;
    },
    async terminate() {
      isExitExpected = true;
      await worker.terminate();
    },
  };
}
