/** Latencies that the Postgres writer measures: bucket end to commit, and the length of a flush. */
import * as L from '../../../schemas/layout.gen.ts';
import type { Clock } from '../../core/clock.ts';
import { readInt64 } from '../../core/int64.ts';
import { createHistogram, encodeHistogram } from '../../core/latency.ts';
import type { FromWriter, WriterStart } from '../messages.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';

const INTERVAL_MS = 1000;
const NS_PER_US = 1000;

export interface WriterLatency {
  /** Right after a commit: its first revisions, and how long it took from the first attempt on. */
  record(finals: RecordList, flushUs: number): void;
  /** Posts what was recorded once a second. */
  tick(): void;
  flush(): void;
}

export function createWriterLatency(
  { timeframes, isLive }: Pick<WriterStart, 'timeframes' | 'isLive'>,
  post: (message: FromWriter) => void,
  clock: Clock,
): WriterLatency {
  const stages = { barToCommit: createHistogram(), flush: createHistogram() };
  const sizesUs = timeframes.map(({ seconds }) => seconds * 1e6);
  const startedUs = clock.wallMs() * 1000;
  let postedMs = clock.wallMs();

  const postAll = (): void => {
    postedMs = clock.wallMs();
    for (const stage of ['barToCommit', 'flush'] as const) {
      const histogram = stages[stage];
      if (histogram.totalCount === 0) continue;
      post({ type: 'latency', stage, encoded: encodeHistogram(histogram) });
      histogram.reset();
    }
  };

  return {
    record(finals, flushUs) {
      stages.flush.recordValue(flushUs);
      if (!isLive) return;
      const nowUs = clock.wallMs() * 1000;
      for (let index = 0; index < finals.length; index += 1) {
        const at = index * BAR_WORDS;
        const startUs = readInt64(finals.i32, at + (L.BAR_TS_START_NS >> 2)) / NS_PER_US;
        const endUs = startUs + sizesUs[finals.i32[at + L.BAR_TIMEFRAME_INDEX_I32]!]!;
        // A bucket that had ended before the engine began (restored, or of a backlog) tells nothing about the engine.
        if (endUs < startedUs) continue;
        // A bucket that the wall clock has not reached yet (a source's clock ahead of ours) counts as no latency.
        stages.barToCommit.recordValue(Math.max(0, Math.round(nowUs - endUs)));
      }
    },
    tick() {
      if (clock.wallMs() - postedMs >= INTERVAL_MS) postAll();
    },
    flush: postAll,
  };
}
