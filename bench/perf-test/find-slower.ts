/** Whether the engine with a bug in it stands still for longer than the engine without, both measured in one run. */
import type { Manifest } from '../manifest.ts';
import { judgeDifference } from './compare-runs.ts';
import { MAIN_PAUSE_STAGE, measureLatency, valuesOf } from './measures.ts';
import type { CellResult } from './report-model.ts';
import { OURS, SABOTAGED } from './runtime-names.ts';
import { estimateRatio } from './statistics.ts';
import { keyOf, measureNoise, nameGroup, summariseCells } from './summarise-cells.ts';

/**
 * The middle second's longest pause of main. A stall in each second is in each second's longest pause and so moves the median; what happens now and
 * then, a pause for garbage collection or another program's turn, moves the percentiles of every latency and not this.
 */
const MEASURE = measureLatency(MAIN_PAUSE_STAGE, 'p50');

/** A line for each group of the broken engine that is worse beyond the noise; none where no bug was put in. */
export function findSlower(cells: readonly CellResult[]): Manifest['failures'] {
  const groups = summariseCells(cells);
  const noise = measureNoise(cells).find(({ measure }) => measure === MEASURE.name)?.maxDifference ?? null;
  return groups
    .filter(({ runtime }) => runtime === SABOTAGED)
    .flatMap((broken) => {
      const key = keyOf({ ...broken, runtime: OURS });
      const clean = groups.find((group) => keyOf(group) === key);
      if (clean === undefined) return [];
      const ratio = estimateRatio(valuesOf(broken.cells, MEASURE), valuesOf(clean.cells, MEASURE));
      if (ratio === undefined || judgeDifference(ratio, noise, MEASURE.isMoreBetter) !== 'worse') return [];
      return [{ name: nameGroup(broken), reason: `${MEASURE.name} is ${ratio.median.toFixed(1)} times that of the clean engine` }];
    });
}
