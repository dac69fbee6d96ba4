/**
 * One thread, one clock, and a seed that says whose turn it is. Whatever waits in the simulation waits here: rests, answers of servers, messages
 * between threads. Among what is due the seed draws; where nothing is due the clock moves on.
 */
import { createManualClock, type ManualClock, type Pause } from '../../engine/core/clock.ts';
import type { Prng } from '../../engine/core/prng.ts';

/** A process, a thread in one, or a server: what can die or stand still as a whole. */
export interface Owner {
  readonly name: string;
  readonly parent: Owner | undefined;
  isDead: boolean;
  isFrozen: boolean;
  /** Chance that its turn is passed over. */
  slowness: number;
}

interface Task {
  readonly owner: Owner;
  readonly dueMs: number;
  readonly run: () => void;
}

export interface Scheduler {
  readonly clock: ManualClock;
  readonly prng: Prng;
  /** Turns taken. */
  readonly steps: number;
  after(owner: Owner, delayMs: number, run: () => void): () => void;
  /** The rests of an owner; a rest may last longer than was asked for, never shorter. */
  pauseOf(owner: Owner): Pause;
  /** Lets one task run. False when none is left that ever could. */
  step(): Promise<boolean>;
  /** True one time in so many; never once the world is quiet. */
  isOneIn(count: number): boolean;
}

const START_MS = Date.UTC(2026, 0, 5, 12);
const MICROTASK_TURNS = 12;
const SKEW_ONE_IN = 24;

export function createOwner(name: string, parent?: Owner): Owner {
  return { name, parent, isDead: false, isFrozen: false, slowness: 0 };
}

export function isDead(owner: Owner): boolean {
  return owner.isDead || (owner.parent !== undefined && isDead(owner.parent));
}

export function isFrozen(owner: Owner): boolean {
  return owner.isFrozen || (owner.parent !== undefined && isFrozen(owner.parent));
}

export function createScheduler(prng: Prng): Scheduler {
  const clock = createManualClock(START_MS);
  /** Rests last up to this much longer. */
  const stretch = 1 + prng.nextBelow(8);
  let tasks: Task[] = [];
  let ready: number[] = [];
  let steps = 0;

  /** Notes what is due, forgets what is dead; returns when the next of the others is due. */
  const look = (): number => {
    const nowMs = clock.wallMs();
    let nextMs = Number.POSITIVE_INFINITY;
    let hasDead = false;
    ready = [];
    for (let index = 0; index < tasks.length; index += 1) {
      const { owner, dueMs } = tasks[index]!;
      if (isDead(owner)) hasDead = true;
      else if (isFrozen(owner)) continue;
      else if (dueMs <= nowMs) ready.push(index);
      else if (dueMs < nextMs) nextMs = dueMs;
    }
    if (!hasDead) return nextMs;
    tasks = tasks.filter(({ owner }) => !isDead(owner));
    return look();
  };

  const choose = (): number => {
    for (let attempt = 0; ; attempt += 1) {
      const index = ready[prng.nextBelow(ready.length)]!;
      const { slowness } = tasks[index]!.owner;
      if (slowness === 0 || attempt === 3 || prng.nextFloat() >= slowness) return index;
    }
  };

  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < MICROTASK_TURNS; turn += 1) await undefined;
  };

  const after = (owner: Owner, delayMs: number, run: () => void): (() => void) => {
    const task: Task = { owner, dueMs: clock.wallMs() + delayMs, run };
    tasks.push(task);
    return () => {
      const index = tasks.indexOf(task);
      if (index >= 0) tasks.splice(index, 1);
    };
  };

  return {
    clock,
    prng,
    get steps() {
      return steps;
    },
    after,
    pauseOf: (owner) => (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) {
          reject(new Error('the rest was cut short'));
          return;
        }
        const longerMs = ms === 0 ? 0 : prng.nextFloat() * Math.min(ms, 20) * stretch;
        const cancel = after(owner, ms + longerMs, () => resolve(undefined));
        signal?.addEventListener('abort', () => {
          cancel();
          reject(new Error('the rest was cut short'));
        });
      }),
    async step() {
      let nextMs = look();
      if (ready.length === 0) {
        // What promises still have to do may bring something that is due.
        await new Promise<void>((resolve) => setImmediate(resolve));
        nextMs = look();
      }
      if (ready.length === 0) {
        if (nextMs === Number.POSITIVE_INFINITY) return false;
        clock.advanceMs(nextMs - clock.wallMs());
        look();
      } else if (prng.nextBelow(SKEW_ONE_IN) === 0) clock.advanceMs(prng.nextFloat() * 3);
      const index = choose();
      const task = tasks[index]!;
      tasks[index] = tasks.at(-1)!;
      tasks.pop();
      steps += 1;
      task.run();
      await settle();
      return true;
    },
    isOneIn: (count) => count > 0 && prng.nextBelow(count) === 0,
  };
}
