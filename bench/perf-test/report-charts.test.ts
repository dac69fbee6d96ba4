import { expect, it } from 'vitest';
import { createHistogram, encodeHistogram, summarise } from '../../engine/core/latency.ts';
import { syntheticCell, WRONG } from '../../test/perf-cells.ts';
import { type Chart, type ChartSection, chartSections } from './report-charts.ts';
import type { CellResult, Latency } from './report-model.ts';
import { summariseCells } from './summarise-cells.ts';

/** Whole milliseconds from `first` on, one of each. */
function latencyOf(firstMs: number, count: number): Latency {
  const histogram = createHistogram();
  for (let index = 0; index < count; index += 1) histogram.recordValue((firstMs + index) * 1000);
  return { ...summarise(histogram), hdr: encodeHistogram(histogram) };
}

function sectionOf(cells: readonly CellResult[], title: string): ChartSection | undefined {
  return chartSections(summariseCells(cells)).find((section) => section.title === title);
}

function firstChart(section: ChartSection | undefined): Chart | undefined {
  return section?.choices[0]?.charts[0];
}

it('adds the histograms of repeats up, and ends the line where a point would stand for less than one value', () => {
  const repeats = [1, 2].map((repeat) => syntheticCell({ repeat }, { latency: { flush: latencyOf(1 + (repeat - 1) * 50, 50) } }));
  const chart = firstChart(sectionOf(repeats, 'Latency by percentile'));
  expect(chart).toMatchObject({ title: 'flush, live', xKind: 'percentile', isLogY: true });
  const [line] = chart!.lines;
  expect(line?.x[0]).toBe(1);
  expect(line?.x.at(-1)).toBeCloseTo(100);
  // Of 1 to 100 ms the 90th percentile, at x = 10, is 90 ms; three digits are kept.
  expect(line?.y[line.x.findIndex((x) => Math.abs(x - 10) < 1e-9)]).toBeCloseTo(90, 0);
  expect(line?.y.at(-1)).toBeCloseTo(99, 0);
});

it('draws no latency of void and saturated cells', () => {
  const latency = { flush: latencyOf(1, 10) };
  const cells = [syntheticCell({}, { latency, verdict: WRONG }), syntheticCell({ repeat: 2 }, { latency, isSaturated: true })];
  expect(sectionOf(cells, 'Latency by percentile')).toBeUndefined();
});

it('puts workers in order on the x axis, with the ends of the intervals', () => {
  const cells = [2, 1].flatMap((workers) =>
    [10, 20, 30].map((rate, index) => ({
      ...syntheticCell({ mode: 'catch-up', workers, repeat: index + 1 }),
      achieved: rate * workers,
      duration_sec: 1,
    })),
  );
  const chart = firstChart(sectionOf(cells, 'Throughput by workers'));
  expect(chart).toMatchObject({ title: 'ticks/s by workers, catch-up', xKind: 'count' });
  expect(chart?.lines).toEqual([
    { label: 'tickwright, 50 symbols', colour: 0, isVoid: false, x: [1, 2], y: [20, 40], low: [10, 20], high: [30, 60] },
  ]);
});

it('draws a line over time for each cell, a void one marked, and leaves out what was not sampled', () => {
  const cells = [syntheticCell({}), syntheticCell({ repeat: 2 }, { verdict: WRONG })].map((cell) => ({
    ...cell,
    series: { ...cell.series, ringDepth: cell.series.atSec.map(() => null) },
  }));
  const section = sectionOf(cells, 'Over time');
  expect(section?.choices.map(({ label }) => label)).toEqual(['tickwright, live, 50 symbols, 1 worker']);
  const [choice] = section!.choices;
  expect(choice?.charts.map(({ title }) => title)).toEqual(['Accepted ticks', 'Resident memory']);
  expect(choice?.charts[0]?.lines.map(({ label, isVoid }) => [label, isVoid])).toEqual([
    ['repeat 1', false],
    ['repeat 2, VOID', true],
  ]);
});
