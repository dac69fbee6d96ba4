/** Whether the engine with a bug in it is slower than the engine without, both measured in one run. */
import type { Manifest } from '../manifest.ts';
import { judgeDifference } from './compare-runs.ts';
import { latenciesOf, valuesOf } from './measures.ts';
import type { CellResult } from './report-model.ts';
import { OURS, SABOTAGED } from './runtime-names.ts';
import { estimateRatio } from './statistics.ts';
import { keyOf, measureNoise, nameGroup, summariseCells } from './summarise-cells.ts';

/** A line for each stage and percentile that is worse beyond the noise; none where no bug was put in. */
export function findSlower(cells: readonly CellResult[]): Manifest['failures'] {
  const groups = summariseCells(cells);
  const noise = new Map(measureNoise(cells).map(({ measure, maxDifference }) => [measure, maxDifference]));
  return groups
    .filter(({ runtime }) => runtime === SABOTAGED)
    .flatMap((broken) => {
      const key = keyOf({ ...broken, runtime: OURS });
      const clean = groups.find((group) => keyOf(group) === key);
      if (clean === undefined) return [];
      return latenciesOf(broken.cells).flatMap((measure) => {
        const ratio = estimateRatio(valuesOf(broken.cells, measure), valuesOf(clean.cells, measure));
        if (ratio === undefined || judgeDifference(ratio, noise.get(measure.name) ?? null, false) !== 'worse') return [];
        return [{ name: nameGroup(broken), reason: `${measure.name} is ${ratio.median.toFixed(1)} times that of the clean engine` }];
      });
    });
}
