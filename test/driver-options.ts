/** Options of a driver as one table: what they are parsed by is what `--help` prints. */
import { parseArgs } from 'node:util';
import { EngineError, messageOf } from '../engine/core/errors.ts';

export interface DriverOption {
  /** What stands after the name, as `N`; an option without one takes no value. */
  readonly value?: string;
  readonly doc: string;
}

export interface DriverCommand {
  /** As it is typed: `npm run sim --`. */
  readonly usage: string;
  readonly doc: string;
  readonly options: Readonly<Record<string, DriverOption>>;
}

export interface DriverValues {
  /** Texts of the options that were given, by name. */
  readonly texts: Readonly<Record<string, string | undefined>>;
  /** Names of those without a value. */
  readonly flags: ReadonlySet<string>;
}

const HELP: DriverOption = { doc: 'print this and end' };
const GAP = '  ';

/** @throws EngineError USAGE */
export function parseDriver(name: string, { options }: DriverCommand, args: readonly string[]): DriverValues {
  try {
    const kinds = Object.entries({ ...options, help: HELP }).map(
      ([option, { value }]) => [option, { type: value === undefined ? 'boolean' : 'string' }] as const,
    );
    const { values } = parseArgs({ args: [...args], options: Object.fromEntries(kinds) });
    const given = Object.entries(values);
    return {
      texts: Object.fromEntries(given.flatMap(([option, value]) => (typeof value === 'string' ? [[option, value]] : []))),
      flags: new Set(given.flatMap(([option, value]) => (value === true ? [option] : []))),
    };
  } catch (cause) {
    throw new EngineError('USAGE', `${name}: ${messageOf(cause)}; --help lists the options`, { cause });
  }
}

/** One line for each option. */
export function helpText({ usage, doc, options }: DriverCommand): string {
  const rows = Object.entries({ ...options, help: HELP }).map(([option, { value, doc: meaning }]) => ({
    left: `--${option}${value === undefined ? '' : ` ${value}`}`,
    meaning,
  }));
  const width = Math.max(...rows.map(({ left }) => left.length));
  const lines = rows.map(({ left, meaning }) => `${GAP}${left.padEnd(width)}${GAP}${meaning}`);
  return [`usage: ${usage} [options]`, doc, '', ...lines].join('\n');
}
