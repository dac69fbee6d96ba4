/** A shard's thread: polls its bar kernel until the final barrier has passed. */
import { parentPort, workerData } from 'node:worker_threads';
import { runAgent } from '../engine/core/agent.ts';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { assert } from '../engine/core/errors.ts';
import { nameThread } from '../engine/core/thread-name.ts';
import { createShardAgent } from '../engine/kernel/shard-agent.ts';

const port = parentPort;
assert(port !== null, 'a shard runs in a worker thread');
// A cast: main starts this thread with exactly this.
const { memory, shardIndex } = workerData as { readonly memory: WebAssembly.Memory; readonly shardIndex: number };

nameThread(`shard ${shardIndex}`);
const agent = createShardAgent({
  memory,
  clock: SYSTEM_CLOCK,
  onLatency: (encoded) => port.postMessage({ type: 'latency', stage: 'tickToBar', encoded }),
});

port.postMessage({ type: 'ready' });
runAgent(agent);
agent.close();
port.postMessage({ type: 'stopped' });
