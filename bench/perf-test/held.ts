/** Whether a cell has held its rate. */
import type { CellResult } from './report-model.ts';

/** Why not; undefined when every bar is right, nothing was dropped, everything came through in time and bars were durable soon enough. */
export function whyNotHeld(
  { verdict, source_dropped, isSaturated, offered, achieved, latency }: CellResult,
  p99LimitMs: number,
): string | undefined {
  if (!verdict.isRight) return verdict.differences[0] ?? 'void';
  if ((source_dropped ?? 0) > 0) return `${source_dropped} ticks dropped`;
  if (isSaturated) return `${achieved.toLocaleString('en-US')} of ${offered.toLocaleString('en-US')} ticks came through in time`;
  const lag = latency['barToCommit'];
  if (lag === undefined) return 'no bar was committed in the stage';
  if (lag.p99Us > p99LimitMs * 1000) return `p99 of bar end to commit ${(lag.p99Us / 1000).toFixed(0)} ms, at most ${p99LimitMs}`;
  return undefined;
}
