/** A role of the engine: a unit of work that a thread runs in a duty cycle. */
export interface Agent {
  readonly name: string;
  /** Does what there is to do now, bounded, and returns how much that was; 0 lets the thread rest. */
  doWork(): number;
  close(): void;
}

/** An agent with a thread of its own. */
export interface ThreadAgent extends Agent {
  /** True once nothing more will come. */
  readonly isDone: boolean;
  /** Sleeps until there may be work, at most `timeoutMs`. */
  park(timeoutMs: number): void;
}

/** Empty looks before a thread sleeps, unless told otherwise: about as long as waking it takes. */
const LOOKS_BEFORE_PARK = 128;
/** Between two looks, so that they do not take the ring's head from its producer all the time. About 0.15 us. */
const BACK_OFF_STEPS = 100;
/** Whoever gives it work wakes a sleeping thread; the limit is a safety net. */
const PARK_MS = 20;

/**
 * Runs the agent on this thread until it is done. After so many empty looks it sleeps until it is woken; when it wakes by itself and finds nothing, it
 * sleeps on. Looks are counted and not timed: reading the clock leaves garbage, and whoever sweeps that up stops the thread.
 */
export function runAgent(agent: ThreadAgent, looksBeforePark = LOOKS_BEFORE_PARK): void {
  let emptyLooks = 0;
  let spun = 0;
  while (!agent.isDone) {
    if (agent.doWork() > 0) {
      emptyLooks = 0;
    } else if (emptyLooks < looksBeforePark) {
      emptyLooks += 1;
      for (let step = BACK_OFF_STEPS; step > 0; step -= 1) spun = (Math.imul(spun, 31) + step) | 0;
    } else agent.park(PARK_MS);
  }
}
