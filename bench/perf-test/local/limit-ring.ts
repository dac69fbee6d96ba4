/** A bare limit of the kernel scenario: one tick ring between two threads, filled and checked in WASM, and no bar made. */
import { startRingPair } from '../../ring-pair.ts';
import type { Verdict } from '../report-model.ts';
import type { LocalPlan, LocalResult } from './local-plan.ts';
import { watchStage } from './stage-watch.ts';
import { createThreadTable } from './threads.ts';

/** As the ingest kernel puts out runs, about. */
const BATCH = 256;
/** Makes no bars: the checksums of both ends are compared, a ring that loses a tick fails the cell. */
const UNJUDGED: Verdict = { isRight: true, differences: [], barsCompared: 0, messagesCompared: 0, expectedHash: null, foundHash: null };

/** @throws EngineError BENCH_CHECKSUM when what was seen is not what was sent */
export async function measureLimitRing({ backlog, warmupSec, stageSec, sampleSec }: LocalPlan): Promise<LocalResult> {
  const pair = await startRingPair();
  let [done, seconds] = [0, 0];
  const watch = watchStage({ threads: createThreadTable(), sampleSec, counts: () => ({ done, bars: null }), depth: () => 0 });
  try {
    for (let warmedSec = 0; warmedSec < warmupSec; ) warmedSec += (await pair.run(backlog, BATCH)).seconds;
    watch.begin();
    while (seconds < stageSec) {
      seconds += (await pair.run(backlog, BATCH)).seconds;
      done += backlog;
    }
    watch.end();
    const { series, ...figures } = watch.figures();
    return {
      ...figures,
      // The clock stands between rounds, in which nothing passes the ring.
      seconds,
      latency: {},
      // Nothing outside the ring's threads can see how full it is.
      series: { ...series, ringDepth: series.ringDepth.map(() => null) },
      dropped: 0,
      verdict: UNJUDGED,
      notes: [`one ring of ${backlog} ticks a round, one thread at each end, whatever the symbols`],
    };
  } finally {
    watch.close();
    await pair.close();
  }
}
