/** The command line of the driver. */
import { parseArgs } from 'node:util';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { EXCHANGE_SHARES, type ExchangeShare, FAULTS, type FaultKind } from './plan.ts';
import { type Scenario, scenariosOf } from './scenario.ts';

export interface TortureOptions {
  readonly rounds: number;
  readonly seed: number;
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

/** @throws EngineError USAGE */
export function parseOptions(args: readonly string[], drawSeed: () => number): TortureOptions {
  const values = parse(args);
  return {
    rounds: wholeNumber('rounds', values.rounds, [1, ROUNDS_MAX]) ?? ROUNDS,
    seed: wholeNumber('seed', values.seed, [0, SEED_LIMIT - 1]) ?? drawSeed() % SEED_LIMIT,
    kinds: kindsOf(values.only),
    enginesMax: wholeNumber('engines', values.engines, [1, ENGINES_MAX]) ?? ENGINES_MAX,
    exchange: shareOf(values.exchange),
    isKept: values.keep ?? false,
    sabotage: values.sabotage,
    scenarios: values.scenario === undefined ? undefined : scenariosOf(values.scenario),
    seconds: wholeNumber('seconds', values.seconds, [1, SECONDS_MAX]),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        rounds: { type: 'string' },
        seed: { type: 'string' },
        only: { type: 'string' },
        engines: { type: 'string' },
        exchange: { type: 'string' },
        keep: { type: 'boolean' },
        sabotage: { type: 'string' },
        scenario: { type: 'string' },
        seconds: { type: 'string' },
      },
    }).values;
  } catch (cause) {
    throw new EngineError('USAGE', `torture: ${messageOf(cause)}`, { cause });
  }
}

function wholeNumber(name: string, text: string | undefined, [least, most]: readonly [number, number]): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new EngineError('USAGE', `--${name} '${text}': expected a whole number, ${least} to ${most}`);
}

function kindsOf(only: string | undefined): readonly FaultKind[] {
  if (only === undefined) return FAULTS;
  if (only === 'none') return [];
  return only.split(',').map((name) => {
    const kind = FAULTS.find((known) => known === name.trim());
    if (kind) return kind;
    throw new EngineError('USAGE', `--only '${name}': expected none, or some of ${FAULTS.join(', ')}`);
  });
}

function shareOf(text: string | undefined): ExchangeShare {
  const share = EXCHANGE_SHARES.find((known) => known === (text ?? 'some'));
  if (share !== undefined) return share;
  throw new EngineError('USAGE', `--exchange '${text}': expected one of ${EXCHANGE_SHARES.join(', ')}`);
}
