/** A shard's thread: polls its bar kernel until the final barrier has passed. */
import { parentPort, workerData } from 'node:worker_threads';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { assert } from '../engine/core/errors.ts';
import { createShardAgent } from '../engine/kernel/shard-agent.ts';

/** Empty looks before the thread sleeps; each backs off for longer than the one before. */
const LOOKS_BEFORE_PARK = 16;
const BACK_OFF_STEPS = 100;
/** A producer wakes a sleeping shard; the limit is a safety net. */
const PARK_MS = 20;

const port = parentPort;
assert(port !== null, 'a shard runs in a worker thread');
// A cast: main starts this thread with exactly this.
const { memory } = workerData as { readonly memory: WebAssembly.Memory; readonly shardIndex: number };

const agent = createShardAgent({
  memory,
  clock: SYSTEM_CLOCK,
  onLatency: (encoded) => port.postMessage({ type: 'latency', stage: 'tickToBar', encoded }),
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
agent.close();
port.postMessage({ type: 'stopped' });
