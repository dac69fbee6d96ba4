/** Worker threads of a simulated process: the same agents in the same order of messages, a turn at a time. */
import { EngineError } from '../../engine/core/errors.ts';
import type { BarEncoder } from '../../engine/kernel/encode.ts';
import { createShardAgent } from '../../engine/kernel/shard-agent.ts';
import { openSymbols, type SymbolDictionary } from '../../engine/market/instruments.ts';
import type { StartWorker, WorkerHandle, WorkerOptions } from '../../engine/runtime/workers.ts';
import type { FromWriter, ToWriter, WriterStart } from '../../engine/sinks/messages.ts';
import { createPostgresWriter } from '../../engine/sinks/postgres/writer.ts';
import { type CommitterBugs, createSimCommitter } from './committer.ts';
import type { Database } from './database.ts';
import { createOwner, type Owner, type Scheduler } from './scheduler.ts';

export interface ThreadParts {
  readonly scheduler: Scheduler;
  readonly database: Database;
  readonly process: Owner;
  readonly bugs: CommitterBugs;
  encoderOf(symbols: SymbolDictionary): BarEncoder;
}

/** A thread that runs, for whoever wants to harm it. */
export interface Thread {
  readonly owner: Owner;
  /** Ends it as a crash of the thread does. */
  die(): void;
}

export interface Threads {
  readonly start: StartWorker;
  readonly running: readonly Thread[];
}

/** How long a shard without work sleeps at most. */
const PARK_MS = 6;
const MESSAGE_MS = 1;

/** Messages from one thread to another: in order, each some time after it was sent. */
function createChannel<T>(scheduler: Scheduler, receiver: Owner, receive: (message: T) => void): (message: T) => void {
  const messages: T[] = [];
  return (message) => {
    messages.push(message);
    scheduler.after(receiver, scheduler.prng.nextBelow(3) === 0 ? scheduler.prng.nextFloat() * MESSAGE_MS : 0, () => {
      const first = messages.shift();
      if (first !== undefined) receive(first);
    });
  };
}

export function createThreads(parts: ThreadParts): Threads {
  const { scheduler, process } = parts;
  let running: Thread[] = [];

  const start: StartWorker = <In, Out>(options: WorkerOptions<In>): WorkerHandle<Out> => {
    const owner = createOwner(`${process.name} ${options.name}`, process);
    let isExitExpected = false;
    let isStopped = false;
    let isTerminated = false;
    const forget = (): void => {
      running = running.filter((thread) => thread.owner !== owner);
    };
    /** An error is told also where an exit is expected, but not of a thread that is being ended. */
    const ended = (why: string, isError: boolean): void => {
      owner.isDead = true;
      forget();
      scheduler.after(process, scheduler.prng.nextFloat() * MESSAGE_MS, () => {
        isStopped = true;
        if (isTerminated || (isExitExpected && !isError)) return;
        options.onFailure(new EngineError('WORKER_FAILED', `worker ${options.name}: ${why}`));
      });
    };
    const toMain = createChannel<unknown>(scheduler, process, (message) => {
      // A cast: the thread of this file sends what its starter expects.
      if (message === EXIT) ended('ended unexpectedly with code 0', false);
      else options.onMessage(message as In);
    });
    const run = options.file === 'shard' ? runShard : runWriter;
    const receive = run({ ...parts, owner, data: options.data, post: toMain, exit: () => toMain(EXIT) });
    const toThread = createChannel<Out>(scheduler, owner, receive);
    running.push({ owner, die: () => ended('died', true) });
    return {
      name: options.name,
      post: toThread,
      get isStopped() {
        return isStopped;
      },
      expectExit() {
        isExitExpected = true;
      },
      terminate() {
        isTerminated = true;
        owner.isDead = true;
        forget();
        return new Promise((resolve) => {
          scheduler.after(process, 0, () => {
            isStopped = true;
            resolve();
          });
        });
      },
    };
  };
  return {
    start,
    get running() {
      return running;
    },
  };
}

/** A thread's last message: it has ended. */
const EXIT: unique symbol = Symbol('exit');

interface ThreadStart extends ThreadParts {
  readonly owner: Owner;
  readonly data: unknown;
  post(message: unknown): void;
  exit(): void;
}

/** workers/shard.ts, a poll at a time. */
function runShard({ scheduler, owner, data, post, exit }: ThreadStart): (message: unknown) => void {
  const { prng } = scheduler;
  // A cast: the topology starts a shard with exactly this.
  const { memory } = data as { readonly memory: WebAssembly.Memory };
  const agent = createShardAgent({ memory, clock: scheduler.clock, onLatency: () => undefined });
  const turn = (): void => {
    const done = agent.doWork();
    if (agent.isDone) {
      agent.close();
      exit();
    } else scheduler.after(owner, done > 0 ? 0 : prng.nextFloat() * PARK_MS, turn);
  };
  post({ type: 'ready' });
  scheduler.after(owner, 0, turn);
  return () => undefined;
}

/** workers/postgres-writer.ts. */
function runWriter({ scheduler, owner, data, post, exit, ...parts }: ThreadStart): (message: unknown) => void {
  // A cast: the topology starts the writer with exactly this.
  const start = data as WriterStart;
  const symbols = openSymbols(start.symbols);
  const pause = scheduler.pauseOf(owner);
  const { database, bugs } = parts;
  const committer = createSimCommitter({
    start,
    symbols,
    encoder: parts.encoderOf(symbols),
    database,
    client: owner,
    scheduler,
    pause,
    bugs,
  });
  const writer = createPostgresWriter(start, (message: FromWriter) => post(message), scheduler.clock, { committer, pause });
  scheduler.after(owner, 0, () => void writer.run().then(exit));
  // A cast: main posts nothing else to this thread.
  return (message) => writer.receive(message as ToWriter);
}
