/**
 * The matcher's thread without a matcher: whatever comes is done, and nothing comes of it. What orders then wait for is rings, threads and the machine,
 * which is what the matcher's latency begins at.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { runAgent } from '../engine/core/agent.ts';
import { assert } from '../engine/core/errors.ts';
import { nameThread } from '../engine/core/thread-name.ts';
import { createMatcherAgent, type MatcherCore } from '../engine/kernel/matcher-agent.ts';
import type { MatcherStart } from '../engine/kernel/matcher-core.ts';
import { ORDER_SLOT_BYTES } from '../engine/market/order-ring.ts';
import { createRing } from '../engine/memory/ring.ts';
import { MATCHER_THREAD } from './order-threads.ts';

const NOTHING: MatcherCore = {
  commands: { bytes: new Uint8Array(ORDER_SLOT_BYTES) },
  events: { bytes: new Uint8Array(ORDER_SLOT_BYTES) },
  eventCount: () => 0,
  run: (count) => count,
  listRestores: () => 0,
  lastTicks: () => 0,
};

const port = parentPort;
assert(port !== null, 'the echo runs in a worker thread');
// A cast: the bench starts this thread with what it starts the matcher with.
const { orderRing, eventRing, heartbeat, looksBeforePark } = workerData as MatcherStart;
nameThread(MATCHER_THREAD);
const agent = createMatcherAgent({
  matcher: NOTHING,
  orderRing: createRing(orderRing, 0),
  eventRing: createRing(eventRing, 0),
  heartbeat: new Int32Array(heartbeat),
});
port.postMessage({ type: 'ready' });
runAgent(agent, looksBeforePark);
