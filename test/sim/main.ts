/**
 * `npm run sim -- [--help] [OPTION...]`: simulates engines, servers and mishaps, a seed at a time, and
 * compares what is left with what the ticks must come to; with J jobs in as many processes. Exits with 0 when nothing differs; with
 * `--sabotage` when something does.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { EngineError } from '../../engine/core/errors.ts';
import { type DriverCommand, helpText, parseDriver } from '../driver-options.ts';
import { bugsOf, SABOTAGES } from './sabotage.ts';
import { type SimResult, simulate } from './simulate.ts';

const SEEDS = 1000;
const SHOWN_MAX = 5;
const SHOWN_CHARS = 900;
const PROGRESS_SECONDS = 10;

const COMMAND: DriverCommand = {
  usage: 'npm run sim --',
  doc: 'Whole engines on one thread, servers and mishaps simulated; what is left is compared with what must be (docs/simulation.md).',
  options: {
    seeds: { value: 'N', doc: `how many, ${SEEDS} unless given; 1 with SEED or --seed alone` },
    seed: { value: 'S', doc: 'the first, 1 unless given; SEED=S is the same' },
    jobs: { value: 'J', doc: 'in J processes, 1 unless given' },
    sabotage: { value: 'NAME', doc: `put a bug in; exits with 0 when it is found: ${Object.keys(SABOTAGES).join(', ')}` },
  },
};

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

interface SimOptions {
  readonly seeds: number;
  readonly first: number;
  readonly jobs: number;
  readonly sabotage: string | undefined;
}

/**
 * @returns undefined when help is asked for
 * @throws EngineError USAGE
 */
function parseOptions(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): SimOptions | undefined {
  const { texts, flags } = parseDriver('sim', COMMAND, args);
  if (flags.has('help')) return undefined;
  const whole = (name: string, text: string): number => {
    const value = Number(text);
    if (text !== '' && Number.isInteger(value) && value >= 0 && value < 2 ** 31) return value;
    throw new EngineError('USAGE', `--${name} '${text}': expected a whole number, 0 to ${2 ** 31 - 1}`);
  };
  const seed = texts['seed'] ?? environment['SEED'];
  const seeds = texts['seeds'] ?? (seed === undefined ? String(SEEDS) : '1');
  return {
    seeds: whole('seeds', seeds),
    first: whole('seed', seed ?? '1'),
    jobs: Math.max(1, whole('jobs', texts['jobs'] ?? '1')),
    sabotage: texts['sabotage'],
  };
}

function show({ seed, differences, story }: SimResult): void {
  print(`seed ${seed}: ${differences.length} differences`);
  for (const line of story) print(`    ${line}`);
  for (const { what, expected, found } of differences.slice(0, SHOWN_MAX)) {
    print(`  ${what}`);
    print(`    expected ${expected.slice(0, SHOWN_CHARS)}`);
    print(`    found    ${found.slice(0, SHOWN_CHARS)}`);
  }
  print(`  again: SEED=${seed} npm run sim`);
}

/** Shares the seeds out among processes; the greatest of their exit codes. */
async function runJobs({ seeds, first, jobs }: SimOptions): Promise<number> {
  const startedMs = performance.now();
  const shares = Array.from({ length: jobs }, (_, job) => ({
    from: first + Math.floor((seeds * job) / jobs),
    to: first + Math.floor((seeds * (job + 1)) / jobs),
  }));
  const codes = shares.map(
    ({ from, to }) =>
      new Promise<number>((resolve) => {
        const args = [fileURLToPath(import.meta.url), '--seeds', String(to - from), '--seed', String(from)];
        const child = spawn(process.execPath, args, { stdio: 'inherit' });
        child.on('exit', (code) => resolve(code ?? 1));
      }),
  );
  const code = Math.max(...(await Promise.all(codes)));
  print(
    `${seeds} seeds in ${jobs} processes: ${((performance.now() - startedMs) / 1000).toFixed(1)} s, ${code === 0 ? 'no differences' : 'differences, see above'}`,
  );
  return code;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === undefined) {
    print(helpText(COMMAND));
    return 0;
  }
  if (options.jobs > 1 && options.sabotage === undefined) return await runJobs(options);
  return await runSeeds(options);
}

async function runSeeds({ seeds, first, sabotage }: SimOptions): Promise<number> {
  const bugs = bugsOf(sabotage);
  const startedMs = performance.now();
  const sums = { steps: 0, bars: 0, messages: 0, transactions: 0, sessions: 0 };
  const failed: number[] = [];
  let shownSec = 0;
  let done = 0;
  for (let seed = first; seed < first + seeds; seed += 1) {
    const result = await simulate(seed, bugs);
    done += 1;
    for (const name of ['steps', 'bars', 'messages', 'transactions', 'sessions'] as const) sums[name] += result[name];
    if (result.differences.length > 0) {
      failed.push(seed);
      show(result);
      if (sabotage !== undefined) break;
    }
    const seconds = (performance.now() - startedMs) / 1000;
    if (seconds - shownSec < PROGRESS_SECONDS) continue;
    shownSec = seconds;
    print(`${done} of ${seeds} seeds, ${(done / seconds).toFixed(1)} a second, ${failed.length} failed`);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage();
  const cpuMs = (user + system) / 1000 / done;
  print(
    `${done} seeds from ${first} in ${seconds.toFixed(1)} s, ${(done / seconds).toFixed(1)} a second; ${cpuMs.toFixed(1)} ms of CPU each`,
  );
  print(
    `${sums.steps} turns, ${sums.sessions} sessions, ${sums.transactions} transactions, ${sums.bars} bars, ${sums.messages} messages compared`,
  );
  print(failed.length === 0 ? 'no differences' : `${failed.length} seeds differ: ${failed.slice(0, 20).join(', ')}`);
  const isFound = failed.length > 0;
  return isFound === (sabotage !== undefined) ? 0 : 1;
}

process.exitCode = await main().catch((error: unknown) => {
  if (!(error instanceof EngineError)) throw error;
  print(error.message);
  return 2;
});
