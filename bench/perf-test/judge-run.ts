/** What a run as a whole came to: void as soon as a cell is wrong or something else failed, incomplete when a cell did not run or none was judged, else right. */
import type { Manifest } from '../manifest.ts';
import { formatCount } from './format.ts';
import { isLocal, nounsOf } from './local/local-plan.ts';
import { isUnjudged } from './measures.ts';
import type { PerfTest } from './report-model.ts';

export interface RunVerdict {
  readonly state: 'right' | 'incomplete' | 'void';
  readonly headline: string;
  /** What is wrong or not there, a line each. */
  readonly reasons: readonly string[];
}

export function judgeRun(perfTest: PerfTest, failures: Manifest['failures']): RunVerdict {
  const voids = perfTest.cells.filter((cell) => !cell.verdict.isRight);
  const judged = perfTest.cells.filter((cell) => cell.verdict.isRight && !isUnjudged(cell));
  const wrong = voids.flatMap((cell) =>
    (cell.verdict.differences.length === 0 ? ['no reason given'] : cell.verdict.differences).map((line) => `${cell.id}: ${line}`),
  );
  const absent = [
    ...perfTest.missing.map(({ id, reason }) => `${id} did not run: ${reason}`),
    ...(perfTest.cells.length === 0 ? ['no cell ran'] : []),
    ...(perfTest.cells.length > 0 && judged.length + voids.length === 0 ? ['no cell was compared with the oracle'] : []),
  ];
  const counted = describeJudged(perfTest, judged.length);
  if (voids.length + failures.length > 0) {
    const parts = [
      ...(voids.length > 0 ? [`${voids.length} of ${formatCount(perfTest.cells.length, 'cell')} came out wrong`] : []),
      ...(failures.length > 0 ? [formatCount(failures.length, 'failure')] : []),
    ];
    const failed = failures.map(({ name, reason }) => `${name}: ${reason}`);
    return { state: 'void', headline: `VOID: ${parts.join(', ')}`, reasons: [...wrong, ...failed, ...absent] };
  }
  if (absent.length > 0) return { state: 'incomplete', headline: `INCOMPLETE: ${counted}`, reasons: absent };
  return { state: 'right', headline: `RIGHT: ${counted}`, reasons: [] };
}

function describeJudged({ cells, settings }: PerfTest, judgedCount: number): string {
  const bars = cells.reduce((sum, cell) => sum + cell.verdict.barsCompared, 0);
  const messages = cells.reduce((sum, cell) => sum + cell.verdict.messagesCompared, 0);
  const sent = isLocal(settings.scenario) ? '' : ` and ${formatCount(messages, 'message')}`;
  const unjudged = cells.filter(isUnjudged).length;
  const rest = unjudged === 0 ? '' : `; ${formatCount(unjudged, 'cell')} with nothing to compare`;
  return `${judgedCount} of ${formatCount(cells.length, 'cell')} agree with the oracle in ${formatCount(bars, nounsOf(settings.scenario).compared)}${sent}${rest}`;
}
