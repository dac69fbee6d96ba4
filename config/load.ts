/** Settings of a run: environment over `.env` over defaults, checked all at once. */
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { wrongAccess } from './kafka-access.ts';
import { type Config, KNOBS, type Knob, type KnobValue } from './knobs.ts';
import { nearestChoice, nearestName } from './nearest.ts';
import { wrongStages } from './stage-rules.ts';

export type Origin = 'flag' | 'environment' | '.env' | 'default';

export interface LoadedConfig {
  readonly config: Config;
  readonly origins: ReadonlyMap<string, Origin>;
}

export interface ConfigSources {
  /** Settings given on the command line, by knob name. */
  readonly flags?: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The text of `.env`, if there is one. */
  readonly envFile?: string;
}

/** Every fault found, one line each. */
export class KnobsInvalid extends Error {
  readonly code = 'KNOBS_INVALID';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`settings refused:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
    this.name = 'KnobsInvalid';
    this.faults = faults;
  }
}

/** Names that are ours by their beginning: a misspelt one is a fault even when no knob is near. */
const OWN_PREFIXES = ['SIM_', 'TICKWRIGHT_'];

const knobs: readonly Knob[] = KNOBS;

/**
 * Validates settings.
 * @throws KnobsInvalid with every fault: unknown names with the nearest knob, wrong values with their limits, broken relations.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const fromFile: Record<string, string | undefined> = sources.envFile === undefined ? {} : parseEnv(sources.envFile);
  const layers: readonly (readonly [Origin, Readonly<Record<string, string | undefined>>])[] = [
    ['flag', sources.flags ?? {}],
    ['environment', sources.environment],
    ['.env', fromFile],
  ];
  const faults = [...unknownNames(fromFile, true), ...unknownNames(sources.environment, false), ...unknownNames(sources.flags ?? {}, true)];
  const origins = new Map<string, Origin>();
  const values: Record<string, KnobValue> = {};
  for (const knob of knobs) {
    const found = findValue(knob, layers);
    origins.set(knob.name, found?.origin ?? 'default');
    const parsed = schemaOf(knob).safeParse(found?.text ?? knob.fallback);
    if (parsed.success) values[knob.name] = parsed.data;
    else faults.push(`${found?.name ?? knob.name} ${quote(knob, found?.text)}: expected ${expectation(knob, found?.text)}`);
  }
  faults.push(...wrongTexts(values));
  if (faults.length === 0) faults.push(...brokenRelations(values as Config), ...wrongStages(values as Config, origins));
  if (faults.length > 0) throw new KnobsInvalid(faults);
  return { config: values as Config, origins };
}

/** Reads `.env` of the working folder, if there is one, and the process environment. */
export function loadProcessConfig(flags: Readonly<Record<string, string>> = {}): LoadedConfig {
  return loadConfig({ flags, environment: process.env, ...(existsSync('.env') ? { envFile: readFileSync('.env', 'utf8') } : {}) });
}

function findValue(knob: Knob, layers: readonly (readonly [Origin, Readonly<Record<string, string | undefined>>])[]) {
  for (const [origin, layer] of layers) {
    for (const name of [knob.name, ...(knob.aliases ?? [])]) {
      const text = layer[name];
      if (text !== undefined && text !== '') return { name, text, origin };
    }
  }
  return undefined;
}

function schemaOf(knob: Knob): z.ZodType<KnobValue> {
  if (knob.choices) return z.enum(knob.choices as [string, ...string[]]);
  if (knob.kind === 'text' || knob.kind === 'secret') return z.string();
  let number = z.coerce
    .number()
    .min(knob.min ?? 0)
    .max(knob.max ?? Number.MAX_SAFE_INTEGER);
  if (knob.kind === 'integer') number = number.int();
  return knob.isPowerOfTwo ? number.refine((value) => Number.isInteger(Math.log2(value))) : number;
}

function expectation(knob: Knob, given: string | undefined): string {
  if (knob.choices) {
    const near = given === undefined ? undefined : nearestChoice(given, knob.choices);
    return `one of ${knob.choices.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`;
  }
  const kind = knob.isPowerOfTwo ? 'a power of two' : knob.kind === 'integer' ? 'a whole number' : 'a number';
  return `${kind}, ${knob.min} to ${knob.max}`;
}

function quote(knob: Knob, text: string | undefined): string {
  return knob.kind === 'secret' ? '(hidden)' : `'${text ?? knob.fallback}'`;
}

function unknownNames(layer: Readonly<Record<string, string | undefined>>, isOurs: boolean): string[] {
  const known = new Set(knobs.flatMap((knob) => [knob.name, ...(knob.aliases ?? [])]));
  const faults: string[] = [];
  for (const name of Object.keys(layer)) {
    if (known.has(name)) continue;
    const near = nearestName(name, known);
    if (isOurs || near !== undefined || OWN_PREFIXES.some((prefix) => name.startsWith(prefix))) {
      faults.push(`${name}: no such knob${near === undefined ? '' : `; did you mean ${near}?`}`);
    }
  }
  return faults;
}

/** Faults of single texts, which a schema of their kind lets pass. */
function wrongTexts({ PG_SCHEMA, TOPIC_PREFIX, REPLAY_SPEED, POSTGRES_URL }: Readonly<Record<string, KnobValue>>): string[] {
  const faults: string[] = [];
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(String(PG_SCHEMA))) {
    faults.push(`PG_SCHEMA '${PG_SCHEMA}': expected lower case letters, digits and _, at most 63, not starting with a digit`);
  }
  if (!/^[A-Za-z0-9._-]{0,100}$/.test(String(TOPIC_PREFIX))) {
    faults.push(`TOPIC_PREFIX '${TOPIC_PREFIX}': expected letters, digits, '.', '_' and '-', at most 100`);
  }
  if (REPLAY_SPEED !== 'max' && !(Number(REPLAY_SPEED) > 0 && Number(REPLAY_SPEED) <= 1e6)) {
    faults.push(`REPLAY_SPEED '${REPLAY_SPEED}': expected max, or a number above 0, at most 1000000`);
  }
  if (!/^$|^(postgres|postgresql|socket):|^\//.test(String(POSTGRES_URL))) {
    faults.push('POSTGRES_URL (hidden): expected postgres://user:password@host:port/database');
  }
  return faults;
}

function brokenRelations(config: Config): string[] {
  const faults: string[] = [];
  if (config.SIM_VOL_MIN > config.SIM_VOL_MAX) {
    faults.push(`SIM_VOL_MIN ${config.SIM_VOL_MIN}: expected at most SIM_VOL_MAX, ${config.SIM_VOL_MAX}`);
  }
  if (config.SOURCE === 'kafka' && config.KAFKA === 'off') faults.push('SOURCE kafka: needs Kafka; KAFKA is off');
  faults.push(...wrongIngest(config), ...wrongAccess(config));
  const openBuckets = config.SYMBOLS_MAX * (config.LATENESS_MS / 1000 + 20);
  if (openBuckets > 8_000_000) {
    faults.push(
      `SYMBOLS_MAX ${config.SYMBOLS_MAX} with LATENESS_MS ${config.LATENESS_MS}: ${Math.ceil(openBuckets)} open buckets a shard, at most 8000000`,
    );
  }
  return faults;
}

/** What a source cannot do with its ticks. */
function wrongIngest({ INGEST_MODE, PUBLISH_TICKS, SOURCE, KAFKA, KAFKA_BROKER, STAGES }: Config): string[] {
  const faults: string[] = [];
  if (INGEST_MODE === 'log-first') {
    const why = 'ticks in the log have to survive a crash';
    if (SOURCE !== 'sim') faults.push(`INGEST_MODE log-first: for SOURCE sim; ${SOURCE} can be read again as it is`);
    if (KAFKA === 'off') faults.push(`INGEST_MODE log-first: needs Kafka, KAFKA is off: ${why}`);
    if (KAFKA_BROKER === '') faults.push(`INGEST_MODE log-first: needs KAFKA_BROKER, the embedded mock cluster is volatile: ${why}`);
  }
  if (PUBLISH_TICKS !== 'off') {
    if (SOURCE !== 'sim' && STAGES !== 'ingest')
      faults.push(`PUBLISH_TICKS ${PUBLISH_TICKS}: for SOURCE sim; ${SOURCE} has its ticks elsewhere`);
    if (KAFKA === 'off') faults.push(`PUBLISH_TICKS ${PUBLISH_TICKS}: needs Kafka, KAFKA is off`);
  }
  return faults;
}
