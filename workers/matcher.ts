/** The matcher's thread: polls the order ring until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { runAgent } from '../engine/core/agent.ts';
import { assert } from '../engine/core/errors.ts';
import { nameThread } from '../engine/core/thread-name.ts';
import { createMatcherAgent } from '../engine/kernel/matcher-agent.ts';
import { type MatcherStart, openMatcherCore } from '../engine/kernel/matcher-core.ts';
import { createRing } from '../engine/memory/ring.ts';

const port = parentPort;
assert(port !== null, 'the matcher runs in a worker thread');
// A cast: main starts this thread with exactly this.
const start = workerData as MatcherStart;

nameThread('matcher');
const agent = createMatcherAgent({
  matcher: openMatcherCore(start),
  orderRing: createRing(start.orderRing, 0),
  eventRing: createRing(start.eventRing, 0),
  heartbeat: new Int32Array(start.heartbeat),
});

port.postMessage({ type: 'ready' });
runAgent(agent, start.looksBeforePark);
port.postMessage({ type: 'stopped' });
