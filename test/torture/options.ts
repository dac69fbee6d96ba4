/** The command line of the driver. */
import { EngineError } from '../../engine/core/errors.ts';
import { type DriverCommand, helpText, parseDriver } from '../driver-options.ts';
import { EXCHANGE_SHARES, type ExchangeShare, type FaultKind, faultsOf } from './plan.ts';
import { SABOTAGES } from './sabotage.ts';
import { SCENARIO_NAMES, type Scenario, scenariosOf } from './scenario.ts';

export interface TortureOptions {
  readonly rounds: number;
  readonly seed: number;
  /** In one cluster. */
  readonly brokers: number;
  readonly kinds: readonly FaultKind[];
  readonly enginesMax: number;
  readonly exchange: ExchangeShare;
  readonly isKept: boolean;
  readonly sabotage: string | undefined;
  /** Long rounds instead of drawn ones. */
  readonly scenarios: readonly Scenario[] | undefined;
  /** How long their faults last, instead of their own time. */
  readonly seconds: number | undefined;
}

const ROUNDS = 20;
const ROUNDS_MAX = 100_000;
const SEED_LIMIT = 2 ** 31;
const ENGINES_MAX = 3;
const SECONDS_MAX = 3600;
/** With two, nothing would be acknowledged while one is away. */
const BROKERS = ['1', '3'];

const COMMAND: DriverCommand = {
  usage: 'npm run torture --',
  doc: 'Real engines on a Kafka and a Postgres of its own, broken at random; what comes out is compared with what must (docs/torture.md).',
  options: {
    rounds: { value: 'N', doc: `rounds, ${ROUNDS} unless given` },
    seed: { value: 'S', doc: 'of the first round; with --rounds 1 that round is repeated' },
    brokers: { value: BROKERS.join('|'), doc: 'brokers of its Kafka, 1 unless given; KAFKA_LANE says which lane the engines take' },
    only: { value: 'FAULT,...', doc: `none, or some of ${faultsOf(3).join(', ')}` },
    engines: { value: `1..${ENGINES_MAX}`, doc: `most engines at the start of a round, ${ENGINES_MAX} unless given` },
    exchange: { value: EXCHANGE_SHARES.join('|'), doc: 'which rounds have an exchange; some: one in four' },
    keep: { doc: 'keep schemas, topics, logs and folders of servers' },
    scenario: { value: 'NAME', doc: `long rounds instead: all, or one of ${SCENARIO_NAMES.join(', ')}` },
    seconds: { value: 'N', doc: "how long a scenario's fault lasts, instead of its own time" },
    sabotage: { value: 'NAME', doc: `put a bug in; exits with 0 when it is found: ${SABOTAGES.map(({ name }) => name).join(', ')}` },
  },
};

export function tortureHelp(): string {
  return helpText(COMMAND);
}

/**
 * @returns undefined when help is asked for
 * @throws EngineError USAGE
 */
export function parseOptions(args: readonly string[], drawSeed: () => number): TortureOptions | undefined {
  const { texts, flags } = parseDriver('torture', COMMAND, args);
  if (flags.has('help')) return undefined;
  const brokers = brokersOf(texts['brokers']);
  return {
    rounds: wholeNumber('rounds', texts['rounds'], [1, ROUNDS_MAX]) ?? ROUNDS,
    seed: wholeNumber('seed', texts['seed'], [0, SEED_LIMIT - 1]) ?? drawSeed() % SEED_LIMIT,
    brokers,
    kinds: kindsOf(texts['only'], brokers),
    enginesMax: wholeNumber('engines', texts['engines'], [1, ENGINES_MAX]) ?? ENGINES_MAX,
    exchange: shareOf(texts['exchange']),
    isKept: flags.has('keep'),
    sabotage: texts['sabotage'],
    scenarios: texts['scenario'] === undefined ? undefined : scenariosOf(texts['scenario']),
    seconds: wholeNumber('seconds', texts['seconds'], [1, SECONDS_MAX]),
  };
}

function brokersOf(text = '1'): number {
  if (BROKERS.includes(text)) return Number(text);
  throw new EngineError('USAGE', `--brokers '${text}': expected ${BROKERS.join(' or ')}`);
}

function wholeNumber(name: string, text: string | undefined, [least, most]: readonly [number, number]): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new EngineError('USAGE', `--${name} '${text}': expected a whole number, ${least} to ${most}`);
}

function kindsOf(only: string | undefined, brokers: number): readonly FaultKind[] {
  const kinds = faultsOf(brokers);
  if (only === undefined) return kinds;
  if (only === 'none') return [];
  return only.split(',').map((name) => {
    const kind = kinds.find((known) => known === name.trim());
    if (kind) return kind;
    throw new EngineError('USAGE', `--only '${name}': expected none, or with --brokers ${brokers} some of ${kinds.join(', ')}`);
  });
}

function shareOf(text: string | undefined): ExchangeShare {
  const share = EXCHANGE_SHARES.find((known) => known === (text ?? 'some'));
  if (share !== undefined) return share;
  throw new EngineError('USAGE', `--exchange '${text}': expected one of ${EXCHANGE_SHARES.join(', ')}`);
}
