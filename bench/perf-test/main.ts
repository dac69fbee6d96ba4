/**
 * `npm run perf-test`: runs a matrix of cells, on real servers in topics and a schema of their own or without any, checks all of each, and leaves a
 * report in `perf_runs/`. Every setting is a variable of the environment; `--help` shows them. Exits with 1 when a cell is void.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { sabotagedRoot } from '../../test/torture/sabotage.ts';
import { createJournal, type RunJournal } from './journal.ts';
import { isLocal, nounsOf } from './local/local-plan.ts';
import { runLocalCell } from './local/run-local-cell.ts';
import { PERF_SETTINGS, type PerfOptions, readPerfOptions, SCENARIO_FALLBACKS, STAGE_VARIABLES } from './options.ts';
import { planCells } from './plan.ts';
import type { CellPlan, CellResult } from './report-model.ts';
import { runCell } from './run-cell.ts';
import { STAGES } from './runtime-names.ts';
import { perfSabotageOf } from './sabotage.ts';
import { planSearch, searchRates } from './search.ts';
import { openPerfServers } from './servers.ts';
import { warmUp } from './warm-up.ts';

const EXIT_VOID = 1;
const EXIT_REFUSED = 2;
const EXIT_STOPPED = 130;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    print('npm run perf-test [-- --scenario NAME] [--search] [--resume RUN] [--sabotage NAME] [--peer NAME=COMMAND]...');
    for (const { name, fallback, doc } of PERF_SETTINGS) print(`  ${name.padEnd(14)} ${fallback.padEnd(12)} ${doc}`);
    print(`  ${Object.values(STAGE_VARIABLES).join(', ')}: commands of single stages; the others are ours (runtime ${STAGES})`);
    for (const [scenario, values] of Object.entries(SCENARIO_FALLBACKS)) {
      print(
        `  of ${scenario}: ${Object.entries(values)
          .map((pair) => pair.join(' '))
          .join(', ')}`,
      );
    }
    return 0;
  }
  const options = readPerfOptions(args, process.env);
  const journal = createJournal(options, options.isSearch ? planSearch(options) : planCells(options), SYSTEM_CLOCK.wallMs());
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-perf-'));
  const sabotage = options.sabotage === undefined ? undefined : perfSabotageOf(options.sabotage);
  const broken = sabotage && sabotagedRoot(sabotage, folder);
  const running = new Set<{ killNow(): void }>();
  let killServers = (): void => undefined;
  process.on('exit', () => {
    for (const pipeline of running) pipeline.killNow();
    killServers();
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      print(`\nstopped; go on with: npm run perf-test -- --resume ${journal.name}`);
      process.exit(EXIT_STOPPED);
    });
  }
  const servers = isLocal(options.scenario) ? undefined : await openPerfServers({ folder, environment: process.env, say: print });
  killServers = () => servers?.killNow();
  try {
    const left = journal.left();
    print(describeRun(options, left));
    const runOne = (plan: CellPlan, settings: PerfOptions): Promise<CellResult> =>
      servers === undefined
        ? runLocalCell(plan, { options: settings, running })
        : runCell(plan, { options: settings, servers, run: journal.slug, folder, sabotagedRoot: broken, running });
    if (servers !== undefined && servers.processes.length > 0 && left.length > 0) await warmUp({ options, run: runOne, say: print });
    if (options.isSearch) {
      const { held, none } = await searchRates(left, { options, run: runOne, say: (text) => print(`  ${text}`) });
      for (const cell of held) journal.add(cell);
      for (const { id, reason } of none) journal.miss(id, reason);
    } else await runCells(left, journal, (plan) => runOne(plan, options));
    const report = journal.finish(servers?.described ?? {}, SYSTEM_CLOCK.wallMs());
    for (const line of report.lines) print(line);
    return report.isRight ? 0 : EXIT_VOID;
  } finally {
    await servers?.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runCells(plans: readonly CellPlan[], journal: RunJournal, run: (plan: CellPlan) => Promise<CellResult>): Promise<void> {
  const startMs = performance.now();
  for (const [index, plan] of plans.entries()) {
    const left = index === 0 ? '' : `, about ${minutes(((performance.now() - startMs) / index) * (plans.length - index))} left`;
    print(`cell ${index + 1}/${plans.length}  ${plan.id}${left}`);
    try {
      const result = await run(plan);
      journal.add(result);
      print(`  ${describeCell(result)}`);
    } catch (error) {
      // One that fails is void, and the others still count.
      journal.miss(plan.id, messageOf(error));
      print(`  FAILED: ${messageOf(error)}`);
    }
  }
}

function describeRun({ scenario, workers, loads, repeats, stageSec, warmupSec }: PerfOptions, left: readonly CellPlan[]): string {
  const what = `WORKERS ${workers.join(', ')}; ${loads.join(', ')} symbols; ${repeats} repeats and an A/A pair; ${warmupSec} + ${stageSec} s`;
  return `perf-test ${scenario}: ${left.length} cells to run (${what})`;
}

function describeCell({ scenario, verdict, isSaturated, builder_ticks_per_sec, latency, cpuUsPerTick }: CellResult): string {
  const { work, compared } = nounsOf(scenario);
  const rate =
    builder_ticks_per_sec === null
      ? 'taken before it could be measured (PERF_BACKLOG is too small)'
      : `${Math.round(builder_ticks_per_sec).toLocaleString('en-US')} ${work}s/s`;
  const seen = latency['barToConsumer'];
  const lag =
    seen && !isSaturated ? `, bar to consumer p50 ${(seen.p50Us / 1000).toFixed(0)} p99 ${(seen.p99Us / 1000).toFixed(0)} ms` : '';
  const cpu = cpuUsPerTick
    ? `, ${Object.values(cpuUsPerTick)
        .reduce((sum, value) => sum + value, 0)
        .toFixed(1)} us of processor ${work === 'order' ? 'an' : 'a'} ${work}`
    : '';
  const what = verdict.isRight ? `right (${verdict.barsCompared} ${compared}s)` : `VOID: ${verdict.differences[0]}`;
  return `${what}, ${rate}${isSaturated ? ', SATURATED' : ''}${lag}${cpu}`;
}

function minutes(ms: number): string {
  return ms >= 90_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 1000)} s`;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`perf-test: ${messageOf(error)}\n`);
  process.exitCode = error instanceof EngineError && error.code === 'USAGE' ? EXIT_REFUSED : EXIT_VOID;
}
