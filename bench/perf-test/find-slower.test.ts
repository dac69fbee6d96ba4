import { expect, it } from 'vitest';
import { createHistogram, encodeHistogram, summarise } from '../../engine/core/latency.ts';
import { createPrng } from '../../engine/core/prng.ts';
import { syntheticCell } from '../../test/perf-cells.ts';
import { findSlower } from './find-slower.ts';
import type { CellResult } from './report-model.ts';

const prng = createPrng(20_261);
const SECONDS = 20;

/** Of each second the time for which main stands still: most often none, in some 2 ms, in a quarter 50 to 300 ms; and what is asked for in all. */
function pauses(stallUs: number) {
  const histogram = createHistogram();
  for (let second = 0; second < SECONDS; second += 1) {
    const turnUs = prng.nextBelow(3) === 0 ? 2000 + prng.nextBelow(400) : 0;
    histogram.recordValue(Math.max(turnUs + stallUs, second % 4 === 1 ? 50_000 + prng.nextBelow(250_000) : 0));
  }
  return { ...summarise(histogram), hdr: encodeHistogram(histogram) };
}

function cellsOf(brokenStallUs: number, change: Partial<CellResult> = {}): CellResult[] {
  const cell = (runtime: string, repeat: number, stallUs: number, role: 'measure' | 'aa' = 'measure'): CellResult => {
    const base = syntheticCell({ runtime, repeat, role });
    return { ...base, ...change, latency: { ...base.latency, mainPause: pauses(stallUs) } };
  };
  const repeats = [1, 2, 3].flatMap((repeat) => [cell('tickwright', repeat, 0), cell('sabotaged', repeat, brokenStallUs)]);
  return [...repeats, cell('tickwright', 1, 0, 'aa')];
}

it('finds a stall of 5 ms in each second among pauses that are longer', () => {
  for (let run = 0; run < 50; run += 1) expect(findSlower(cellsOf(5000))).toHaveLength(1);
  const [found, ...more] = findSlower(cellsOf(5000));
  expect(found).toMatchObject({
    name: 'sabotaged, live, 50 symbols, 1 worker',
    reason: expect.stringMatching(/^mainPause p50 is \d\.\d times that of the clean engine, or more$/),
  });
  expect(more).toEqual([]);
});

it('finds it too in cells that missed their load, as long as main rests', () => {
  expect(findSlower(cellsOf(5000, { isSaturated: true }))).toHaveLength(1);
});

it('takes the noise of the same load, and not of one under which main is busy', () => {
  const cells = cellsOf(5000);
  const busy = (role: 'measure' | 'aa', stillUs: number): CellResult => {
    const base = syntheticCell({ runtime: 'tickwright', repeat: 1, role, symbols: 5000 });
    return { ...base, latency: { ...base.latency, mainPause: pauses(stillUs) } };
  };
  expect(findSlower([...cells, busy('measure', 3000), busy('aa', 90_000)])).toHaveLength(1);
});

it('finds nothing between two equal engines, nor where none was broken', () => {
  for (let run = 0; run < 50; run += 1) expect(findSlower(cellsOf(0))).toEqual([]);
  expect(findSlower(cellsOf(5000).filter(({ runtime }) => runtime !== 'sabotaged'))).toEqual([]);
});
