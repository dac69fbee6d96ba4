/** Whether the engine with a bug in it stands still for longer than the engine without, both measured in one run. */
import { LONG_TURN_US } from '../../engine/runtime/turn-watch.ts';
import type { Manifest } from '../manifest.ts';
import { judgeDifference } from './compare-runs.ts';
import { MAIN_PAUSE_STAGE, type Measure, measureLatency, valuesOf } from './measures.ts';
import type { CellResult } from './report-model.ts';
import { OURS, SABOTAGED } from './runtime-names.ts';
import { estimateRatio } from './statistics.ts';
import { keyOf, measureNoise, nameGroup, summariseCells } from './summarise-cells.ts';

const PAUSES = measureLatency(MAIN_PAUSE_STAGE, 'p50');

/**
 * How long main stands still in the middle second. A stall in each second is in that one, too; what happens now and then, a garbage collection or a
 * page that is rendered, is in few seconds, while it moves the percentiles of every latency. A second without a long turn counts as the shortest of
 * them: below, nothing is measured that two engines could differ in.
 */
const MEASURE: Measure = {
  ...PAUSES,
  valueOf(cell) {
    const pauseUs = PAUSES.valueOf(cell);
    return pauseUs === undefined ? undefined : Math.max(pauseUs, LONG_TURN_US);
  },
};

/** A line for each group of the broken engine that is worse beyond the noise; none where no bug was put in. */
export function findSlower(cells: readonly CellResult[]): Manifest['failures'] {
  const groups = summariseCells(cells);
  return groups
    .filter(({ runtime }) => runtime === SABOTAGED)
    .flatMap((broken) => {
      const key = keyOf({ ...broken, runtime: OURS });
      const clean = groups.find((group) => keyOf(group) === key);
      if (clean === undefined) return [];
      // Of its own kind of cell: under another load main may be busier, and differ more from itself.
      const noise =
        measureNoise(
          cells.filter((cell) => keyOf(cell) === key),
          [MEASURE],
        )[0]?.maxDifference ?? null;
      const ratio = estimateRatio(valuesOf(broken.cells, MEASURE), valuesOf(clean.cells, MEASURE));
      if (ratio === undefined || judgeDifference(ratio, noise, MEASURE.isMoreBetter) !== 'worse') return [];
      return [{ name: nameGroup(broken), reason: `${MEASURE.name} is ${ratio.median.toFixed(1)} times that of the clean engine, or more` }];
    });
}
