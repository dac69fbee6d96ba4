/** The one form of what a measurement leaves in `perf_runs/`, and how it is written. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../engine/core/root.ts';

export const MANIFEST_SCHEMA = 1;

/** A ratio of two rates taken in alternating rounds of one run. */
export interface RatioEntry {
  readonly work: string;
  readonly against: string;
  /** Of both rates. */
  readonly unit: string;
  /** Rounds counted, warm-up left out. */
  readonly rounds: number;
  /** Median, lowest and highest round of work / against. */
  readonly ratio: number;
  readonly low: number;
  readonly high: number;
  /** Median rates, in `unit`. */
  readonly workRate: number;
  readonly againstRate: number;
  /** The ratio asked for, null when it is reported only; and whether the median reaches it. */
  readonly atLeast: number | null;
  readonly isReached: boolean | null;
}

/** Figures that are not a ratio. */
export interface ReportEntry {
  readonly name: string;
  readonly values: Readonly<Record<string, number | string>>;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly os: string;
  readonly node: string;
  readonly v8: string;
  /** Load averages over 1, 5 and 15 minutes before and after the run: what else the machine was doing. */
  readonly loadBefore: readonly number[];
  readonly loadAfter: readonly number[];
}

export interface Manifest {
  readonly schema: typeof MANIFEST_SCHEMA;
  /** What kind of run it was, such as `bench`. */
  readonly kind: string;
  /** UTC, ISO 8601. */
  readonly startedAt: string;
  readonly durationSec: number;
  /** The commit that was measured, and whether the working tree differed from it. */
  readonly commit: string;
  readonly isDirty: boolean;
  readonly isQuick: boolean;
  readonly machine: Machine;
  /** Versions of what was used: the dependencies, and the C++ compiler when there is one. */
  readonly versions: Readonly<Record<string, string>>;
  readonly ratios: readonly RatioEntry[];
  readonly reports: readonly ReportEntry[];
  /** Benches that did not run to their end, with the reason. */
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
}

/** What a run knows of itself when it starts. */
export type ManifestStart = Pick<Manifest, 'kind' | 'startedAt' | 'commit' | 'isDirty' | 'isQuick' | 'versions'> & {
  readonly loadBefore: readonly number[];
};

export function startManifest(kind: string, isQuick: boolean, startedAtMs: number): ManifestStart {
  return {
    kind,
    startedAt: new Date(startedAtMs).toISOString(),
    commit: runGit(['rev-parse', '--short=12', 'HEAD']) ?? 'unknown',
    isDirty: runGit(['status', '--porcelain']) !== '',
    isQuick,
    versions: readVersions(),
    loadBefore: loadavg(),
  };
}

export type ManifestEnd = Pick<Manifest, 'durationSec' | 'ratios' | 'reports' | 'failures'>;

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
  const time = manifest.startedAt.replace(/[-:]/g, '').replace(/\.\d+/, '');
  const path = join(folder, `${time}-${manifest.commit}-${manifest.kind}.json`);
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
  return path;
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
