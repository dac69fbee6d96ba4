/** What goes wrong with whole processes, threads and servers. */
import type { Mishap, PlannedMishap, ProcessPlan } from './plan.ts';
import type { SimProcess, World } from './process.ts';
import { createOwner } from './scheduler.ts';

export interface Engines {
  alive(): readonly SimProcess[];
  start(knobs: ProcessPlan): void;
}

export interface Mishaps {
  /** True until the last one is over. */
  readonly areUnderWay: boolean;
  /** Ends what is still going on. */
  mend(): void;
}

const SESSION_TIMEOUT_MS = 300;
const RESTART_MS = 200;
const IMPATIENT_MS = 5;

/** Lets the planned mishaps happen, each at its time. */
export function planMishaps(world: World, engines: Engines): Mishaps {
  const { scheduler, database, broker } = world;
  const { prng } = scheduler;
  const hand = createOwner('mishaps');
  let left = world.plan.mishaps.length;
  const mending = new Set<() => void>();

  /** Undoes a mishap after a while, or when everything is mended. */
  const untilMended = (forMs: number, undo: () => void): void => {
    const mend = (): void => {
      if (!mending.delete(mend)) return;
      undo();
      left -= 1;
    };
    mending.add(mend);
    scheduler.after(hand, forMs, mend);
  };
  /** The group puts out a member that does not answer. */
  const putOut = (process: SimProcess): void => {
    for (const consumer of process.consumers) {
      const { member } = consumer;
      if (!member.isIn) continue;
      const { owned } = member;
      world.group.evict(member);
      consumer.noteEvicted(owned);
    }
  };
  const putOutLater = (process: SimProcess): void => {
    scheduler.after(hand, prng.nextFloat() * SESSION_TIMEOUT_MS, () => {
      if (process.owner.isDead || process.owner.isFrozen) putOut(process);
    });
  };

  const happen: Readonly<Record<Mishap, (mishap: PlannedMishap, process: SimProcess) => void>> = {
    crash({ knobs }, process) {
      process.owner.isDead = true;
      putOutLater(process);
      untilMended(prng.nextFloat() * RESTART_MS, () => engines.start(knobs));
    },
    freeze({ forMs }, process) {
      process.owner.isFrozen = true;
      putOutLater(process);
      untilMended(forMs, () => {
        process.owner.isFrozen = false;
      });
    },
    leave({ knobs }, process) {
      process.requestStop();
      untilMended(prng.nextFloat() * RESTART_MS, () => engines.start(knobs));
    },
    join({ knobs }) {
      engines.start(knobs);
      left -= 1;
    },
    evict(_mishap, process) {
      putOut(process);
      left -= 1;
    },
    rebalance() {
      world.group.rebalance();
      left -= 1;
    },
    'kill thread'({ target }, process) {
      const { running } = process.threads;
      running[target % Math.max(1, running.length)]?.die();
      left -= 1;
    },
    'wedge thread'({ target }, process) {
      const { running } = process.threads;
      const thread = running[target % Math.max(1, running.length)];
      if (thread) thread.owner.isFrozen = true;
      left -= 1;
    },
    'database away'({ forMs }) {
      database.server.isUp = false;
      database.endAll();
      untilMended(forMs, () => {
        database.server.isUp = true;
      });
    },
    'database restart'() {
      database.endAll();
      left -= 1;
    },
    'broker away'({ forMs }) {
      broker.server.isUp = false;
      untilMended(forMs, () => {
        broker.server.isUp = true;
      });
    },
    'broker impatient'() {
      broker.expire(IMPATIENT_MS);
      left -= 1;
    },
  };

  for (const mishap of world.plan.mishaps) {
    scheduler.after(hand, mishap.atMs, () => {
      const alive = engines.alive();
      const process = alive[mishap.target % Math.max(1, alive.length)];
      if (process === undefined) {
        left -= 1;
        return;
      }
      world.note(`${mishap.kind}: ${process.owner.name}, for ${Math.round(mishap.forMs)} ms`);
      happen[mishap.kind](mishap, process);
    });
  }
  return {
    get areUnderWay() {
      return left > 0;
    },
    mend() {
      for (const mend of [...mending]) mend();
    },
  };
}
