/**
 * `npm run torture -- [--help] [OPTION...]`: runs real engines on a Kafka and a Postgres of its own, breaks them, and compares what comes out with
 * what must. Exits with 0 when nothing differs; with `--sabotage` when something does. docs/torture.md says more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import type { Difference } from './compare.ts';
import { parseOptions, type TortureOptions, tortureHelp } from './options.ts';
import { planRound, type RoundPlan, roundSeed } from './plan.ts';
import { type RoundResult, runRound, type Stage } from './round.ts';
import { type Sabotage, sabotagedRoot, sabotageOf } from './sabotage.ts';
import type { Scenario } from './scenario.ts';
import { runScenario } from './scenario-round.ts';
import { openStage } from './stage.ts';

const SHOWN_MAX = 5;
const SHOWN_CHARS = 600;
const EXIT_DIFFERENT = 1;
const EXIT_REFUSED = 2;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function describePlan(plan: RoundPlan): string {
  const { feed, exchange } = plan;
  const engines = plan.engines.map(({ workers, queue, flushMs }) => `${workers}/${queue}/${flushMs}`).join(' ');
  const faults = plan.faults.map(({ kind, atMs, forMs }) => `${kind}@${atMs}${forMs > 0 ? `+${forMs}` : ''}`).join(' ');
  return (
    `engines (WORKERS/QUEUE/FLUSH_MS) ${engines}; ${feed.partitions} partitions, ${feed.tradeSymbols}+${feed.quoteSymbols} symbols, ` +
    `${feed.ticks} ticks, LATENESS_MS ${feed.latenessMs}, AMEND_SEC ${feed.amendSec}; faults (ms) ${faults === '' ? 'none' : faults}` +
    (exchange === undefined
      ? ''
      : `; ${exchange.requests} requests to the exchange, ${exchange.window} at a time, journal ${exchange.journal}`)
  );
}

function printDifferences(differences: readonly Difference[], kept?: Pick<RoundResult, 'folder' | 'schema'>): void {
  if (differences.length === 0) return;
  const clip = (text: string): string =>
    text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}... (${text.length} characters)` : text;
  for (const { what, expected, found } of differences.slice(0, SHOWN_MAX)) {
    print(`    ${what}`);
    print(`      expected ${clip(expected)}`);
    print(`      found    ${clip(found)}`);
  }
  const kinds = new Map<string, number>();
  for (const { what } of differences) {
    const kind = `${what.split(' ')[0]}${/ (again|out of order)$/.exec(what)?.[0] ?? ''}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  print(`    in all: ${[...kinds].map(([kind, count]) => `${count} ${kind}`).join(', ')}`);
  if (kept) print(`    kept: ${kept.folder} (round.log, differences.json, logs), schema ${kept.schema}`);
}

function describeExchange({ exchange }: RoundResult): string {
  return exchange === undefined ? '' : `${exchange.requests} requests, ${exchange.fills} fills, `;
}

interface Totals {
  /** The last round that was run. */
  plan: RoundPlan | undefined;
  rounds: number;
  faults: number;
  bars: number;
  messages: number;
  /** Of the exchange: requests in its journal, fills. */
  requests: number;
  fills: number;
  differences: number;
}

async function runRounds(options: TortureOptions, stage: Stage): Promise<Totals> {
  const totals: Totals = { plan: undefined, rounds: 0, faults: 0, bars: 0, messages: 0, requests: 0, fills: 0, differences: 0 };
  const startMs = performance.now();
  const { kinds, enginesMax, exchange } = options;
  for (let round = 0; round < options.rounds; round += 1) {
    const plan = planRound({ seed: roundSeed(options.seed, round), kinds, enginesMax, exchange });
    totals.plan = plan;
    print(`round ${round + 1}/${options.rounds}  seed ${plan.seed}  ${describePlan(plan)}`);
    const roundMs = performance.now();
    const result = await runRound(stage, plan);
    totals.rounds += 1;
    totals.faults += result.faults;
    totals.bars += result.bars;
    totals.messages += result.messages;
    totals.requests += result.exchange?.requests ?? 0;
    totals.fills += result.exchange?.fills ?? 0;
    totals.differences += result.differences.length;
    const leftSec = ((performance.now() - startMs) / totals.rounds / 1000) * (options.rounds - totals.rounds);
    const left = leftSec >= 90 ? `${Math.round(leftSec / 60)} min` : `${Math.round(leftSec)} s`;
    print(
      `  ${result.bars} bars, ${result.messages} messages, ${describeExchange(result)}${result.differences.length} differences; ` +
        `caught up in ${(result.catchUpMs / 1000).toFixed(1)} s, stopped in ${(result.stopMs / 1000).toFixed(1)} s, ` +
        `${((performance.now() - roundMs) / 1000).toFixed(1)} s in all; about ${left} left${describeLeftOpen(result)}`,
    );
    printDifferences(result.differences, options.sabotage === undefined ? result : undefined);
    // A bug that was put in is found once.
    if (options.sabotage !== undefined && result.differences.length > 0) break;
  }
  return totals;
}

async function runScenarios(scenarios: readonly Scenario[], options: TortureOptions, stage: Stage): Promise<Totals> {
  const totals: Totals = { plan: undefined, rounds: 0, faults: 0, bars: 0, messages: 0, requests: 0, fills: 0, differences: 0 };
  for (const scenario of scenarios) {
    const { seed, seconds } = options;
    print(`${scenario.name}  seed ${seed}: ${scenario.doc}`);
    const startMs = performance.now();
    const result = await runScenario(stage, scenario, { seed, seconds, isTimed: true });
    for (const line of result.report) print(`    ${line}`);
    totals.rounds += 1;
    totals.faults += 1;
    totals.bars += result.bars;
    totals.messages += result.messages;
    totals.differences += result.differences.length;
    const tookSec = ((performance.now() - startMs) / 1000).toFixed(1);
    print(`  ${result.bars} bars, ${result.messages} messages, ${result.differences.length} differences; ${tookSec} s in all`);
    printDifferences(result.differences, result);
  }
  return totals;
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args, () => Math.floor(SYSTEM_CLOCK.wallMs()));
  if (options === undefined) {
    print(tortureHelp());
    return 0;
  }
  const sabotage = options.sabotage === undefined ? undefined : sabotageOf(options.sabotage);
  // The database's own user has to get there.
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-torture-'));
  const root = sabotage ? sabotagedRoot(sabotage, folder) : PROJECT_ROOT;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(EXIT_REFUSED));

  const what = options.scenarios ? `${options.scenarios.length} scenarios` : `${options.rounds} rounds`;
  print(`torture: seed ${options.seed}, ${what}${sabotage ? `, with a bug put in: ${sabotage.doc}` : ''}`);
  const { stage, close } = await openStage({ root, folder, isKept: options.isKept, brokers: options.brokers, say: print });
  const totals = options.scenarios ? await runScenarios(options.scenarios, options, stage) : await runRounds(options, stage);
  const verdict = sabotage ? await judgeSabotage(sabotage, totals, { ...stage, root: PROJECT_ROOT }) : undefined;

  await close();
  const isKept = options.isKept || (totals.differences > 0 && sabotage === undefined);
  if (!isKept) rmSync(folder, { recursive: true, force: true });
  const orders = totals.requests === 0 ? '' : `${totals.requests} requests and ${totals.fills} fills of the exchange, `;
  print(
    `torture: ${totals.rounds} rounds, ${totals.faults} faults, ${totals.bars} bars, ${orders}${totals.messages} messages compared, ` +
      `${totals.differences} differences`,
  );
  if (verdict) print(verdict.text);
  return (verdict?.isGood ?? totals.differences === 0) ? 0 : EXIT_DIFFERENT;
}

function describeLeftOpen({ leftOpen }: RoundResult): string {
  return leftOpen === 0 ? '' : `; ${leftOpen} markers that the broker had left out were written for it (docs/checkpoint.md)`;
}

/** A bug is found when the round that differs with it does not differ without it. */
async function judgeSabotage({ doc }: Sabotage, { plan, differences }: Totals, clean: Stage): Promise<{ isGood: boolean; text: string }> {
  if (plan === undefined || differences === 0) return { isGood: false, text: `the bug was MISSED: ${doc}` };
  print('the same round without the bug');
  const control = await runRound(clean, plan);
  print(`  ${control.bars} bars, ${control.messages} messages, ${control.differences.length} differences`);
  printDifferences(control.differences);
  if (control.differences.length > 0) return { isGood: false, text: 'NOT PROVED: the round differs without the bug as well' };
  return { isGood: true, text: `the bug was found: ${doc}` };
}

// Clients that a broken round could not close may still be open: they would keep the process.
try {
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  console.error(error instanceof EngineError ? `torture: ${messageOf(error)}` : error);
  process.exit(EXIT_REFUSED);
}
