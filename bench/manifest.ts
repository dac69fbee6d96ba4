/** The one form of what a measurement leaves in `perf_runs/`, how it is written and how it is read back. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineError, messageOf } from '../engine/core/errors.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { PERF_TEST } from './perf-test/report-model.ts';

/** What is written; files of schema 1, which had no part `perfTest`, are still read. */
export const MANIFEST_SCHEMA = 2;

/** A ratio of two rates: of a bench, taken in alternating rounds of one run; of a perf-test, of two groups of cells. */
export const RATIO_ENTRY = z
  .strictObject({
    work: z.string(),
    against: z.string(),
    /** Of both rates. */
    unit: z.string(),
    /** Rounds counted, warm-up left out; of a perf-test, the repeats of the side that has fewer. */
    rounds: z.int().min(0),
    /** Median of work / against, and the lowest and highest round; of a perf-test, the ends of its interval. */
    ratio: z.number(),
    low: z.number(),
    high: z.number(),
    /** Median rates, in `unit`. */
    workRate: z.number(),
    againstRate: z.number(),
    /** The ratio asked for, null when it is reported only; and whether the median reaches it. */
    atLeast: z.number().nullable(),
    isReached: z.boolean().nullable(),
  })
  .readonly();
export type RatioEntry = z.infer<typeof RATIO_ENTRY>;

/** Figures that are not a ratio. */
export const REPORT_ENTRY = z
  .strictObject({ name: z.string(), values: z.record(z.string(), z.union([z.number(), z.string()])).readonly() })
  .readonly();
export type ReportEntry = z.infer<typeof REPORT_ENTRY>;

const LOAD_AVERAGES = z.array(z.number()).length(3).readonly();

export const MACHINE = z
  .strictObject({
    cpu: z.string(),
    cores: z.int().min(1),
    memoryBytes: z.number(),
    os: z.string(),
    node: z.string(),
    v8: z.string(),
    /** Load averages over 1, 5 and 15 minutes before and after the run: what else the machine was doing. */
    loadBefore: LOAD_AVERAGES,
    loadAfter: LOAD_AVERAGES,
  })
  .readonly();
export type Machine = z.infer<typeof MACHINE>;

export const MANIFEST = z
  .strictObject({
    schema: z.union([z.literal(1), z.literal(MANIFEST_SCHEMA)]),
    /** What kind of run it was: `bench` or `perf-test`. */
    kind: z.string(),
    /** UTC, ISO 8601. */
    startedAt: z.iso.datetime(),
    durationSec: z.number(),
    /** The commit that was measured, and whether the working tree, kept measurements left out, differed from it. */
    commit: z.string(),
    isDirty: z.boolean(),
    isQuick: z.boolean(),
    machine: MACHINE,
    /** Versions of what was used: the dependencies, and the C++ compiler when there is one. */
    versions: z.record(z.string(), z.string()).readonly(),
    ratios: z.array(RATIO_ENTRY).readonly(),
    reports: z.array(REPORT_ENTRY).readonly(),
    /** Benches that did not run to their end, with the reason. */
    failures: z.array(z.strictObject({ name: z.string(), reason: z.string() }).readonly()).readonly(),
    /** Only of a perf-test. */
    perfTest: PERF_TEST.optional(),
  })
  .readonly();
export type Manifest = z.infer<typeof MANIFEST>;

/** What a run knows of itself when it starts. */
export type ManifestStart = Pick<Manifest, 'kind' | 'startedAt' | 'commit' | 'isDirty' | 'isQuick' | 'versions'> & {
  readonly loadBefore: readonly number[];
};

export function startManifest(kind: string, isQuick: boolean, startedAtMs: number): ManifestStart {
  return {
    kind,
    startedAt: new Date(startedAtMs).toISOString(),
    commit: runGit(['rev-parse', '--short=12', 'HEAD']) ?? 'unknown',
    isDirty: runGit(['status', '--porcelain', '--', '.', ':!perf_runs']) !== '',
    isQuick,
    versions: readVersions(),
    loadBefore: loadavg(),
  };
}

export type ManifestEnd = Pick<Manifest, 'durationSec' | 'ratios' | 'reports' | 'failures' | 'perfTest'>;

export function finishManifest(start: ManifestStart, end: ManifestEnd): Manifest {
  const { loadBefore, ...head } = start;
  const processors = cpus();
  const machine: Machine = {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    os: `${type()} ${release()}`,
    node: process.version,
    v8: process.versions.v8,
    loadBefore,
    loadAfter: loadavg(),
  };
  return { schema: MANIFEST_SCHEMA, ...head, machine, ...end };
}

/** Writes `<UTC>-<commit>-<kind>.json` and returns its path. */
export function writeManifest(manifest: Manifest, folder = join(PROJECT_ROOT, 'perf_runs')): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${nameManifest(manifest, manifest.kind)}.json`);
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
  return path;
}

/** `<UTC>-<commit>-<ending>`, to the second. */
export function nameManifest(manifest: Pick<Manifest, 'startedAt' | 'commit'>, ending: string): string {
  const time = manifest.startedAt.replace(/[-:]/g, '').replace(/\.\d+/, '');
  return `${time}-${manifest.commit}-${ending}`;
}

/**
 * Reads a manifest of any schema that there has been.
 * @throws EngineError MANIFEST_UNREADABLE when there is no JSON in the file, MANIFEST_INVALID with each field that is not as declared
 */
export function readManifest(path: string): Manifest {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    throw new EngineError('MANIFEST_UNREADABLE', `${path}: ${messageOf(thrown)}`, { cause: thrown });
  }
  return checkManifest(content, path);
}

/** @throws EngineError MANIFEST_INVALID naming `path` and each field that is not as declared */
export function checkManifest(content: unknown, path: string): Manifest {
  const read = MANIFEST.safeParse(content);
  if (read.success) return read.data;
  const faults = read.error.issues.map((issue) => `${describePath(issue.path)}: ${issue.message}`);
  throw new EngineError('MANIFEST_INVALID', `${path}: ${faults.slice(0, FAULTS_SHOWN).join('; ')}${moreOf(faults.length)}`);
}

const FAULTS_SHOWN = 5;

function moreOf(count: number): string {
  return count > FAULTS_SHOWN ? `; ${count - FAULTS_SHOWN} more` : '';
}

/** `perfTest.cells[3].queue`; the whole file when the path is empty. */
function describePath(path: readonly PropertyKey[]): string {
  const text = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('');
  return text === '' ? 'the file' : text.replace(/^\./, '');
}

function runGit(args: readonly string[]): string | undefined {
  return tryRun('git', args);
}

/** Trimmed standard output of a command; undefined when it is not there or fails. */
export function tryRun(command: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(command, args, { cwd: PROJECT_ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

function readVersions(): Record<string, string> {
  const versions: Record<string, string> = { node: process.versions.node };
  const compiler = tryRun('g++', ['-dumpfullversion']);
  if (compiler) versions['g++'] = compiler;
  const own: PackageFile = JSON.parse(readFileSync(join(PROJECT_ROOT, 'package.json'), 'utf8'));
  for (const name of [...Object.keys(own.dependencies ?? {}), ...Object.keys(own.optionalDependencies ?? {}), 'assemblyscript']) {
    const version = versionOf(name);
    if (version) versions[name] = version;
  }
  return versions;
}

interface PackageFile {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Installed version; undefined for an optional dependency that is not installed. */
function versionOf(name: string): string | undefined {
  try {
    const file: PackageFile = JSON.parse(readFileSync(join(PROJECT_ROOT, 'node_modules', name, 'package.json'), 'utf8'));
    return file.version;
  } catch {
    return undefined;
  }
}
