/**
 * `npm run torture -- [--rounds N] [--seed S] [--only FAULT,...] [--engines 1..3] [--keep] [--sabotage NAME]`: runs real engines on a Kafka and
 * a Postgres of its own, breaks them, and compares what comes out with what must. Exits with 0 when nothing differs; with `--sabotage` when
 * something does. docs/torture.md says more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import type { Difference } from './compare.ts';
import type { Engines } from './engines.ts';
import { createKafka, type OwnKafka } from './kafka-server.ts';
import { parseOptions, type TortureOptions } from './options.ts';
import { planRound, type RoundPlan, roundSeed } from './plan.ts';
import { createPostgres, type OwnPostgres } from './postgres-server.ts';
import { startProxy } from './proxy.ts';
import { createTopicReader } from './read-topics.ts';
import { type RoundResult, runRound, type Stage } from './round.ts';
import { sabotagedRoot, sabotageOf } from './sabotage.ts';

const SHOWN_MAX = 5;
const SHOWN_CHARS = 600;
const EXIT_DIFFERENT = 1;
const EXIT_REFUSED = 2;

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function describePlan(plan: RoundPlan): string {
  const { feed } = plan;
  const engines = plan.engines.map(({ workers, queue, flushMs }) => `${workers}/${queue}/${flushMs}`).join(' ');
  const faults = plan.faults.map(({ kind, atMs, forMs }) => `${kind}@${atMs}${forMs > 0 ? `+${forMs}` : ''}`).join(' ');
  return (
    `engines (WORKERS/QUEUE/FLUSH_MS) ${engines}; ${feed.partitions} partitions, ${feed.tradeSymbols}+${feed.quoteSymbols} symbols, ` +
    `${feed.ticks} ticks, LATENESS_MS ${feed.latenessMs}, AMEND_SEC ${feed.amendSec}; faults (ms) ${faults === '' ? 'none' : faults}`
  );
}

function printDifferences(differences: readonly Difference[], result: RoundResult): void {
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
  print(`    kept: ${result.folder} (round.log, differences.json, logs), schema ${result.schema}`);
}

interface Totals {
  rounds: number;
  faults: number;
  bars: number;
  messages: number;
  differences: number;
}

async function runRounds(options: TortureOptions, stage: Stage): Promise<Totals> {
  const totals: Totals = { rounds: 0, faults: 0, bars: 0, messages: 0, differences: 0 };
  const startMs = performance.now();
  for (let round = 0; round < options.rounds; round += 1) {
    const plan = planRound({ seed: roundSeed(options.seed, round), kinds: options.kinds, enginesMax: options.enginesMax });
    print(`round ${round + 1}/${options.rounds}  seed ${plan.seed}  ${describePlan(plan)}`);
    const roundMs = performance.now();
    const result = await runRound(stage, plan);
    totals.rounds += 1;
    totals.faults += result.faults;
    totals.bars += result.bars;
    totals.messages += result.messages;
    totals.differences += result.differences.length;
    const leftSec = ((performance.now() - startMs) / totals.rounds / 1000) * (options.rounds - totals.rounds);
    const left = leftSec >= 90 ? `${Math.round(leftSec / 60)} min` : `${Math.round(leftSec)} s`;
    print(
      `  ${result.bars} bars, ${result.messages} messages, ${result.differences.length} differences; ` +
        `caught up in ${(result.catchUpMs / 1000).toFixed(1)} s, stopped in ${(result.stopMs / 1000).toFixed(1)} s, ` +
        `${((performance.now() - roundMs) / 1000).toFixed(1)} s in all; about ${left} left`,
    );
    if (result.differences.length > 0) printDifferences(result.differences, result);
    // A bug that was put in is found once.
    if (options.sabotage !== undefined && result.differences.length > 0) break;
  }
  return totals;
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args, () => Math.floor(SYSTEM_CLOCK.wallMs()));
  const sabotage = options.sabotage === undefined ? undefined : sabotageOf(options.sabotage);
  // The database's own user has to get there.
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-torture-'));
  const root = sabotage ? sabotagedRoot(sabotage, folder) : PROJECT_ROOT;
  let engines: Engines | undefined;
  let postgres: OwnPostgres | undefined;
  let kafka: OwnKafka | undefined;
  // Whatever ends the driver ends what it started.
  process.on('exit', () => {
    engines?.killNow();
    postgres?.killNow();
    kafka?.killNow();
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(EXIT_REFUSED));

  print(`torture: seed ${options.seed}, ${options.rounds} rounds${sabotage ? `, with a bug put in: ${sabotage.doc}` : ''}`);
  print('starting a Kafka and a Postgres of its own');
  kafka = await createKafka(join(folder, 'kafka'), print);
  postgres = await createPostgres(join(folder, 'postgres'));
  const proxy = await startProxy(postgres.port);
  const reader = await createTopicReader(kafka);
  print(`Kafka at ${kafka.brokers}, Postgres on port ${postgres.port} and by proxy on ${proxy.port}, files in ${folder}`);
  const stage: Stage = {
    postgres,
    kafka,
    proxy,
    reader,
    root,
    folder,
    isKept: options.isKept,
    onEngines(started) {
      engines = started;
    },
  };
  const totals = await runRounds(options, stage);

  await reader.close();
  await proxy.close();
  await kafka.stop();
  await postgres.stop('fast');
  const isKept = options.isKept || (totals.differences > 0 && sabotage === undefined);
  if (!isKept) rmSync(folder, { recursive: true, force: true });
  print(
    `torture: ${totals.rounds} rounds, ${totals.faults} faults, ${totals.bars} bars, ${totals.messages} messages compared, ` +
      `${totals.differences} differences`,
  );
  if (sabotage) print(totals.differences > 0 ? `the bug was found: ${sabotage.doc}` : `the bug was MISSED: ${sabotage.doc}`);
  const isGood = sabotage ? totals.differences > 0 : totals.differences === 0;
  return isGood ? 0 : EXIT_DIFFERENT;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof EngineError ? `torture: ${messageOf(error)}` : error);
  // Servers and clients may still be open: they would keep the process.
  process.exit(EXIT_REFUSED);
}
