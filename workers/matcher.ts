/** The matcher's thread: polls the order ring until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../engine/core/errors.ts';
import { createMatcherAgent } from '../engine/kernel/matcher-agent.ts';
import { type MatcherStart, openMatcherCore } from '../engine/kernel/matcher-core.ts';
import { createRing } from '../engine/memory/ring.ts';

/** Empty looks before the thread sleeps; each backs off for longer than the one before. */
const LOOKS_BEFORE_PARK = 16;
const BACK_OFF_STEPS = 100;
/** Main wakes a sleeping matcher; the limit is a safety net. */
const PARK_MS = 20;

const port = parentPort;
assert(port !== null, 'the matcher runs in a worker thread');
// A cast: main starts this thread with exactly this.
const start = workerData as MatcherStart;

const agent = createMatcherAgent({
  matcher: openMatcherCore(start),
  orderRing: createRing(start.orderRing, 0),
  eventRing: createRing(start.eventRing, 0),
  heartbeat: new Int32Array(start.heartbeat),
});

port.postMessage({ type: 'ready' });

let emptyLooks = 0;
let spun = 0;
while (!agent.isDone) {
  if (agent.doWork() > 0) {
    emptyLooks = 0;
  } else if (emptyLooks < LOOKS_BEFORE_PARK) {
    emptyLooks += 1;
    for (let step = emptyLooks * BACK_OFF_STEPS; step > 0; step -= 1) spun = (Math.imul(spun, 31) + step) | 0;
  } else {
    agent.park(PARK_MS);
    emptyLooks = 0;
  }
}
port.postMessage({ type: 'stopped' });
