/** What a run has done so far, on disk after each cell: a run that was stopped goes on from it. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { nameManifest, startManifest } from '../manifest.ts';
import { findSlower } from './find-slower.ts';
import type { PerfOptions } from './options.ts';
import { CELL_PLAN, CELL_RESULT, type CellPlan, type CellResult, SETTINGS, type Settings } from './report-model.ts';
import { finishPerfTest, PERF_TEST_KIND, writeReport } from './write-report.ts';

/** As `startManifest` made it. */
const MANIFEST_START = z.strictObject({
  kind: z.string(),
  startedAt: z.string(),
  commit: z.string(),
  isDirty: z.boolean(),
  isQuick: z.boolean(),
  versions: z.record(z.string(), z.string()),
  loadBefore: z.array(z.number()),
});

const JOURNAL = z.strictObject({
  settings: SETTINGS,
  queue: z.int(),
  flushMs: z.int(),
  startedAtMs: z.number(),
  start: MANIFEST_START,
  plans: z.array(CELL_PLAN),
  cells: z.array(CELL_RESULT),
  missing: z.array(z.strictObject({ id: z.string(), reason: z.string() })),
});

export interface RunJournal {
  /** Name of the run and of its folder under `perf_runs/`. */
  readonly name: string;
  /** Short, of digits and an underscore: names of topics and schemas begin with it. */
  readonly slug: string;
  /** Cells that have no result yet. */
  left(): CellPlan[];
  add(result: CellResult): void;
  miss(id: string, reason: string): void;
  /** Writes the report. */
  finish(servers: Readonly<Record<string, string>>, nowMs: number): { readonly lines: readonly string[]; readonly isRight: boolean };
}

const FILE = 'journal.json';

/** @throws EngineError PERF_RESUME when there is no such run, it cannot be read, or it was made with other settings */
export function createJournal(options: PerfOptions, plans: readonly CellPlan[], nowMs: number): RunJournal {
  const settings = settingsOf(options);
  const start = startManifest(PERF_TEST_KIND, false, nowMs);
  const knobs = { queue: options.queue, flushMs: options.flushMs };
  const begun = { settings, ...knobs, startedAtMs: nowMs, start: { ...start, loadBefore: [...start.loadBefore] } };
  const fresh = { ...begun, plans: [...plans], cells: [], missing: [] };
  const name = options.resume ?? nameManifest(start, options.scenario);
  const folder = join(options.out, name);
  const state: z.infer<typeof JOURNAL> = options.resume === undefined ? fresh : readJournal(folder, settings);
  mkdirSync(folder, { recursive: true });
  const save = (): void => writeFileSync(join(folder, FILE), JSON.stringify(state));
  save();
  return {
    name,
    // Month to second: with the name of a cell it has to fit into the 63 characters of a schema's name.
    slug: name.slice(4, 15).replace('T', '_'),
    left() {
      const done = new Set(state.cells.map(({ id }) => id));
      return state.plans.filter(({ id }) => !done.has(id));
    },
    add(result) {
      state.cells.push(result);
      state.missing = state.missing.filter(({ id }) => id !== result.id);
      save();
    },
    miss(id, reason) {
      state.missing = [...state.missing.filter((other) => other.id !== id), { id, reason }];
      save();
    },
    finish(servers, nowMs) {
      const { cells, missing } = state;
      // Sums the pauses of a run that was resumed, too.
      const durationSec = (nowMs - state.startedAtMs) / 1000;
      const failures = findSlower(cells);
      const manifest = finishPerfTest(state.start, { durationSec, perfTest: { settings, cells, missing, servers }, failures });
      const { folder: written, summary } = writeReport(manifest, options.out);
      rmSync(join(folder, FILE));
      const isRight = missing.length === 0 && failures.length === 0 && cells.every(({ verdict }) => verdict.isRight);
      return { lines: ['', summary, `open ${join(written, 'report.html')}`], isRight };
    },
  };
}

function settingsOf({
  scenario,
  workers,
  loads,
  repeats,
  stageSec,
  warmupSec,
  sampleSec,
  baseTps,
  encoding,
  seed,
  peers,
  backlogTicks,
  kafkaLane,
}: PerfOptions): Settings {
  return {
    ...{ scenario, workers: [...workers], loads: [...loads], repeats, stageSec, warmupSec, sampleSec },
    ...{ baseTps, encoding, seed, peers: [...peers] },
    ...(scenario === 'pipeline' ? {} : { backlogTicks }),
    ...(kafkaLane === undefined ? {} : { kafkaLane }),
  };
}

function readJournal(folder: string, settings: Settings): z.infer<typeof JOURNAL> {
  const path = join(folder, FILE);
  if (!existsSync(path)) throw new EngineError('PERF_RESUME', `${path}: there is no such run to go on with`);
  try {
    const read = JOURNAL.parse(JSON.parse(readFileSync(path, 'utf8')));
    if (JSON.stringify(read.settings) === JSON.stringify(settings)) return read;
  } catch (cause) {
    throw new EngineError('PERF_RESUME', `${path}: ${messageOf(cause)}`, { cause });
  }
  throw new EngineError('PERF_RESUME', `${path}: the run was begun with other settings; give the same ones`);
}
