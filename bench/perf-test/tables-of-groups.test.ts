import { expect, it } from 'vitest';
import { syntheticCell } from '../../test/perf-cells.ts';
import { summariseCells } from './summarise-cells.ts';
import { tableCores } from './tables-of-groups.ts';

it("says where the cores' time goes, what others took and what was left, and which thread was busiest", () => {
  const cpu = [
    { process: 'engine', thread: 'main', cpuSec: 6 },
    { process: 'engine', thread: 'shard 0', cpuSec: 12 },
    { process: 'engine', thread: 'helpers', cpuSec: 2 },
    { process: 'kafka', thread: 'data-plane-kafk', cpuSec: 14 },
  ];
  const change = { cpu, duration_sec: 20, othersShare: 0.05 };
  const wrong = { ...change, verdict: { ...syntheticCell({}).verdict, isRight: false } };
  const groups = summariseCells([
    syntheticCell({ repeat: 1 }, change),
    syntheticCell({ repeat: 2 }, change),
    syntheticCell({ repeat: 3 }, wrong),
  ]);
  const { columns, rows } = tableCores(groups, 2);
  expect(columns.map(({ title }) => title).slice(4)).toEqual(['engine', 'kafka', 'others', 'idle', 'Busiest thread', 'its core']);
  // 40 core seconds: 20 of the engine, 14 of Kafka, 2 of others, 4 of nobody.
  expect(rows[0]?.cells.slice(4)).toEqual(['50.0 %', '35.0 %', '5.0 %', '10.0 %', 'engine shard 0', '60.0 %']);
  expect(rows).toHaveLength(1);
});
