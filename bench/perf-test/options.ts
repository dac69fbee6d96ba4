/** What a perf-test run is told: by environment, with the names of the contract where it has them, or by flags of the same meaning. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { EngineError } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { isLocal } from './local/local-plan.ts';
import { KAFKA_LANE, type Settings } from './report-model.ts';
import { STAGES } from './runtime-names.ts';

export const SCENARIOS = ['pipeline', 'catch-up', 'ingest-kafka', 'kernel', 'matcher'] as const;
/** Named by the contract or the plan, and not there yet: what is missing. */
const MISSING_SCENARIOS: Readonly<Record<string, string>> = {
  'paper-flow': 'not built: no strategy sends orders to the paper exchange while an engine runs, so that there is no flow to measure',
};
export type ScenarioName = (typeof SCENARIOS)[number];

export interface PerfOptions extends Settings {
  readonly scenario: ScenarioName;
  readonly queue: number;
  readonly flushMs: number;
  /** Catch-up: ticks that are there before the pipeline starts, about. */
  readonly backlogTicks: number;
  /** Of a search: most that the p99 of bar end to commit may be for a rate to count as held, ms. */
  readonly p99LimitMs: number;
  readonly isSearch: boolean;
  /** Name of a run folder to go on with. */
  readonly resume: string | undefined;
  /** A bug put into a copy of the compiled engine; the run succeeds when the report shows it. */
  readonly sabotage: string | undefined;
  /** The folder of all runs. */
  readonly out: string;
  readonly peerCommands: readonly { readonly name: string; readonly command: string }[];
  /** Programs that stand in for single stages, by `STAGE_VARIABLES`; the runtime `stages` runs when there is any. */
  readonly stageCommands: StageCommands;
}

/** The contract's variables for the command of a stage. The 1 m stage has none: it is always ours. */
export const STAGE_VARIABLES = { ingest: 'INGEST_CMD', bars1s: 'BARS1S_CMD', multi: 'BARAGG_CMD' } as const;
export type NamedStage = keyof typeof STAGE_VARIABLES;
export type StageCommands = Readonly<Partial<Record<NamedStage, string>>>;

/**
 * With a bug put in, main's pauses are what is compared. A look at the engine renders its pages on main, which is a pause, too: most seconds have to
 * do without one.
 */
const SABOTAGE_FALLBACKS: Readonly<Record<string, string>> = { SAMPLE_SEC: '4' };

/** The knob's own. */
/** Named, so that a report says which it was: the servers here have either. */
const LANE_FALLBACK: Settings['kafkaLane'] = 'direct';

interface Setting {
  readonly name: string;
  readonly fallback: string;
  readonly doc: string;
}

/** Every variable, in the order in which they are shown. */
export const PERF_SETTINGS: readonly Setting[] = [
  { name: 'PERF_SCENARIO', fallback: 'pipeline', doc: `one of ${SCENARIOS.join(', ')}` },
  { name: 'WORKERS', fallback: '1,2', doc: 'worker counts, a list' },
  { name: 'LOADS', fallback: '50,200,500', doc: 'symbols, a list' },
  { name: 'REPEATS', fallback: '3', doc: 'cells of each kind; an A/A pair comes on top' },
  { name: 'STAGE_SEC', fallback: '20', doc: 'measured seconds of a cell' },
  { name: 'WARMUP_SEC', fallback: '5', doc: 'seconds before them' },
  { name: 'SAMPLE_SEC', fallback: '1', doc: 'seconds between two samples' },
  { name: 'SIM_BASE_TPS', fallback: '10', doc: 'ticks a second of each symbol' },
  { name: 'QUEUE', fallback: '65536', doc: 'slots of each tick ring, or order ring' },
  { name: 'FLUSH_MS', fallback: '100', doc: 'interval between barriers' },
  { name: 'KAFKA_LANE', fallback: LANE_FALLBACK, doc: 'of the engine: auto, direct or librdkafka' },
  { name: 'PERF_ENCODING', fallback: 'json', doc: 'json, packed or both: how ticks stand in their topic' },
  { name: 'PERF_SEED', fallback: '1', doc: 'of ticks and of the order of cells' },
  { name: 'PERF_P99_MS', fallback: '1000', doc: 'of a search: largest p99 of bar end to commit' },
  {
    name: 'PERF_BACKLOG',
    fallback: '1000000',
    doc: 'catch-up, ingest-kafka: ticks of the backlog; kernel: of one pass over it; matcher: orders',
  },
];

/** Where a scenario is a load of its own: what stands in place of the values above. */
export const SCENARIO_FALLBACKS: Readonly<Partial<Record<ScenarioName, Readonly<Record<string, string>>>>> = {
  'ingest-kafka': { LOADS: '500', SIM_BASE_TPS: '20', PERF_BACKLOG: '5000000', PERF_ENCODING: 'both' },
};

const list = (name: string, max: number) =>
  z
    .string()
    .transform((text) => text.split(',').map((part) => Number(part.trim())))
    .refine((values) => values.length > 0 && values.every((value) => Number.isInteger(value) && value >= 1 && value <= max), {
      error: `${name}: expected whole numbers from 1 to ${max}, separated by commas`,
    });
const whole = (name: string, min: number, max: number) =>
  z.coerce
    .number<string>({ error: `${name}: expected a whole number from ${min} to ${max}` })
    .int({ error: `${name}: expected a whole number from ${min} to ${max}` })
    .min(min, { error: `${name}: expected at least ${min}` })
    .max(max, { error: `${name}: expected at most ${max}` });
const number = (name: string, min: number, max: number) =>
  z.coerce
    .number<string>({ error: `${name}: expected a number from ${min} to ${max}` })
    .min(min, { error: `${name}: expected at least ${min}` })
    .max(max, { error: `${name}: expected at most ${max}` });

function refuseScenario(name: string): string {
  const expected = `expected one of ${SCENARIOS.join(', ')}`;
  const missing = MISSING_SCENARIOS[name];
  return missing === undefined ? `PERF_SCENARIO '${name}': ${expected}` : `PERF_SCENARIO '${name}': ${missing}; ${expected}`;
}

const ENVIRONMENT = z.object({
  PERF_SCENARIO: z.enum(SCENARIOS, { error: ({ input }) => refuseScenario(String(input)) }),
  WORKERS: list('WORKERS', 64),
  LOADS: list('LOADS', 16_384),
  REPEATS: whole('REPEATS', 1, 100),
  STAGE_SEC: number('STAGE_SEC', 2, 86_400),
  WARMUP_SEC: number('WARMUP_SEC', 0, 3600),
  SAMPLE_SEC: number('SAMPLE_SEC', 0.1, 60),
  SIM_BASE_TPS: number('SIM_BASE_TPS', 0.01, 1e6),
  QUEUE: whole('QUEUE', 1024, 1_048_576),
  FLUSH_MS: whole('FLUSH_MS', 10, 60_000),
  KAFKA_LANE: z.enum(KAFKA_LANE.options, { error: `KAFKA_LANE: expected one of ${KAFKA_LANE.options.join(', ')}` }),
  PERF_ENCODING: z.enum(['json', 'packed', 'both'], { error: 'PERF_ENCODING: expected json, packed or both' }),
  PERF_SEED: whole('PERF_SEED', 0, 2 ** 31 - 1),
  PERF_P99_MS: number('PERF_P99_MS', 1, 60_000),
  PERF_BACKLOG: whole('PERF_BACKLOG', 1000, 1_000_000_000),
});

/**
 * Reads flags and environment.
 * @throws EngineError USAGE, naming everything that is wrong at once
 */
export function readPerfOptions(args: readonly string[], environment: Readonly<Record<string, string | undefined>>): PerfOptions {
  const { values } = parseFlags(args);
  const scenario = values.scenario ?? (environment['PERF_SCENARIO'] || SCENARIOS[0]);
  const fallbacks: Readonly<Record<string, string>> = {
    ...Object.entries(SCENARIO_FALLBACKS).find(([name]) => name === scenario)?.[1],
    ...(values.sabotage === undefined ? {} : SABOTAGE_FALLBACKS),
  };
  const given = Object.fromEntries(
    PERF_SETTINGS.map(({ name, fallback }) => {
      const value = environment[name];
      return [name, value === undefined || value === '' ? (fallbacks[name] ?? fallback) : value];
    }),
  );
  const read = ENVIRONMENT.safeParse({ ...given, PERF_SCENARIO: scenario });
  if (!read.success) throw new EngineError('USAGE', read.error.issues.map(({ message }) => message).join('\n'));
  const { data } = read;
  refuseFlags(data.PERF_SCENARIO, values);
  refuseSecurity(environment, data.PERF_SCENARIO);
  const peerCommands = (values.peer ?? []).map(readPeer);
  const stageCommands = readStageCommands(environment, data.PERF_SCENARIO);
  return {
    scenario: data.PERF_SCENARIO,
    workers: data.WORKERS,
    loads: data.LOADS,
    repeats: data.REPEATS,
    stageSec: data.STAGE_SEC,
    warmupSec: data.WARMUP_SEC,
    sampleSec: data.SAMPLE_SEC,
    baseTps: data.SIM_BASE_TPS,
    encoding: data.PERF_ENCODING,
    seed: data.PERF_SEED,
    ...(isLocal(data.PERF_SCENARIO) ? {} : { kafkaLane: data.KAFKA_LANE }),
    peers: [...peerCommands.map(({ name }) => name), ...(Object.keys(stageCommands).length > 0 ? [STAGES] : [])],
    queue: data.QUEUE,
    flushMs: data.FLUSH_MS,
    backlogTicks: data.PERF_BACKLOG,
    p99LimitMs: data.PERF_P99_MS,
    isSearch: values.search ?? false,
    resume: values.resume,
    sabotage: values.sabotage,
    out: values.out ?? join(PROJECT_ROOT, 'perf_runs'),
    peerCommands,
    stageCommands,
  };
}

function readStageCommands(environment: Readonly<Record<string, string | undefined>>, scenario: ScenarioName): StageCommands {
  const given = Object.entries(STAGE_VARIABLES).flatMap(([stage, variable]) => {
    const command = environment[variable] ?? '';
    return command === '' ? [] : [[stage, command] as const];
  });
  const commands: StageCommands = Object.fromEntries(given);
  if (isLocal(scenario) && given.length > 0) {
    const names = Object.values(STAGE_VARIABLES)
      .filter((variable) => (environment[variable] ?? '') !== '')
      .join(', ');
    throw new EngineError('USAGE', `${names}: not with PERF_SCENARIO '${scenario}', which has no servers`);
  }
  if (commands.ingest !== undefined && scenario !== 'pipeline') {
    throw new EngineError(
      'USAGE',
      `INGEST_CMD '${commands.ingest}': scenario ${scenario} has its ticks before anything starts; expected pipeline`,
    );
  }
  return commands;
}

/** Without servers nothing is paced, there are no topics to join, and the bugs are where servers are. */
function refuseFlags(scenario: ScenarioName, flags: ReturnType<typeof parseFlags>['values']): void {
  if (!isLocal(scenario)) return;
  const given = (['search', 'sabotage', 'peer'] as const).filter((flag) => flags[flag] !== undefined);
  if (given.length > 0)
    throw new EngineError(
      'USAGE',
      `${given.map((flag) => `--${flag}`).join(', ')}: not with PERF_SCENARIO '${scenario}', which has no servers`,
    );
}

/** The generator, the oracle's readers and the limits know of no TLS and no users, and the engine would take these from the environment. */
function refuseSecurity(environment: Readonly<Record<string, string | undefined>>, scenario: ScenarioName): void {
  const protocol = environment['KAFKA_SECURITY_PROTOCOL'] ?? '';
  if (isLocal(scenario) || protocol === '' || protocol === 'plaintext') return;
  const text = `KAFKA_SECURITY_PROTOCOL '${protocol}': perf-test speaks to brokers in the clear: expected plaintext or nothing`;
  throw new EngineError('USAGE', `${text}; without KAFKA_BROKER it starts one of its own`);
}

function parseFlags(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        scenario: { type: 'string' },
        search: { type: 'boolean' },
        resume: { type: 'string' },
        sabotage: { type: 'string' },
        out: { type: 'string' },
        peer: { type: 'string', multiple: true },
      },
    });
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError('USAGE', `${text}; flags are --scenario, --search, --resume, --sabotage, --out and --peer NAME=COMMAND`, {
      cause,
    });
  }
}

function readPeer(text: string): { name: string; command: string } {
  const at = text.indexOf('=');
  const [name, command] = [text.slice(0, at), text.slice(at + 1)];
  if (name === STAGES)
    throw new EngineError('USAGE', `--peer '${text}': ${STAGES} is what ${Object.values(STAGE_VARIABLES).join(', ')} make`);
  if (at < 1 || command === '' || !/^[a-z0-9-]+$/.test(name)) {
    throw new EngineError('USAGE', `--peer '${text}': expected NAME=COMMAND, the name of lower case letters, digits and hyphens`);
  }
  return { name, command };
}
