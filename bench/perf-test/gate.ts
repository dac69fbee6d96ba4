/**
 * Holds the ratios of a run to those that were accepted on the same kind of machine. Ratios, never times: both sides of one were measured in one run, so a
 * slow hour of a shared machine falls on both. Worse is a ratio whose whole spread lies below the whole spread of the accepted one, by more than 5 %.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import type { Manifest, RatioEntry } from '../manifest.ts';
import type { Difference } from './compare-runs.ts';
import { judgeRun } from './judge-run.ts';
import { describeKind, type KeptRun, listRuns } from './run-index.ts';

/** Smaller differences of two medians are not called one, however narrow the spreads. */
export const LEAST_DIFFERENCE = 0.05;
/** Of fewer rounds a spread says nothing. */
const ROUNDS_MIN = 3;
const ACCEPTED_FILE = 'accepted.json';

const ACCEPTED = z.strictObject({
  /** Names of runs in the order in which they were accepted. */
  accepted: z.array(z.string()),
});

export interface GatedRatio {
  readonly entry: RatioEntry;
  /** The same ratio in the last accepted run of this kind and machine that has it; undefined when none has. */
  readonly accepted: { readonly run: string; readonly entry: RatioEntry } | undefined;
  readonly difference: Difference | 'new';
}

export interface GatedRun {
  readonly run: KeptRun;
  readonly ratios: readonly GatedRatio[];
  /** What makes the gate fail besides ratios that are worse. */
  readonly faults: readonly string[];
}

/** The newest run of each kind, quick looks left out, against what was accepted. */
export function gateRuns(folder: string): GatedRun[] {
  const runs = listRuns(folder);
  const names = readAccepted(folder);
  const accepted = names.flatMap((name) => runs.find((run) => run.name === name) ?? []);
  const lost = names.filter((name) => !runs.some((run) => run.name === name));
  if (lost.length > 0) throw new EngineError('ACCEPTED_MISSING', `${join(folder, ACCEPTED_FILE)}: no run ${lost.join(', ')} in ${folder}`);
  return newestRuns(runs).map((run) => gateRun(run, accepted));
}

/** Newest run of each kind that there is something to say of: no quick look, and with ratios or faults. */
export function newestRuns(runs: readonly KeptRun[]): KeptRun[] {
  const newest = new Map<string, KeptRun>();
  for (const run of runs) {
    const hasSomething = run.manifest.ratios.length > 0 || listFaults(run.manifest).length > 0;
    if (!run.manifest.isQuick && hasSomething) newest.set(describeKind(run.manifest), run);
  }
  return [...newest.values()];
}

/** @param accepted in the order in which they were accepted, of any kind and machine */
export function gateRun(run: KeptRun, accepted: readonly KeptRun[]): GatedRun {
  const alike = accepted.filter(({ manifest }) => isAlike(manifest, run.manifest));
  return { run, ratios: matchRatios(run.manifest.ratios, alike), faults: listFaults(run.manifest) };
}

/** Each ratio beside the same one of the last of the earlier runs that has it. */
export function matchRatios(entries: readonly RatioEntry[], earlier: readonly KeptRun[]): GatedRatio[] {
  const latestFirst = [...earlier].reverse();
  return entries.map((entry): GatedRatio => {
    for (const { name, manifest } of latestFirst) {
      const old = manifest.ratios.find((other) => keyOfRatio(other) === keyOfRatio(entry));
      if (old !== undefined) return { entry, accepted: { run: name, entry: old }, difference: compareRatios(old, entry) };
    }
    return { entry, accepted: undefined, difference: 'new' };
  });
}

/** A ratio is more when it is better. */
export function compareRatios(before: RatioEntry, after: RatioEntry): Difference {
  if (Math.min(before.rounds, after.rounds) < ROUNDS_MIN) return 'noise';
  const isFar = Math.abs(after.ratio / before.ratio - 1) > LEAST_DIFFERENCE;
  if (isFar && after.high < before.low) return 'worse';
  return isFar && after.low > before.high ? 'better' : 'noise';
}

/**
 * Takes runs as accepted, the newest of each kind unless names are given, and returns the names of those that were not yet.
 * @throws EngineError RUN_UNKNOWN for a name that no run has; RUN_NOT_ACCEPTABLE for a quick look, a run of a changed tree, with failures, void or incomplete
 */
export function acceptRuns(folder: string, wanted: readonly string[] = []): string[] {
  const names = readAccepted(folder);
  const runs = listRuns(folder);
  const unknown = wanted.filter((name) => !runs.some((run) => run.name === name));
  if (unknown.length > 0) throw new EngineError('RUN_UNKNOWN', `${unknown.join(', ')}: expected names of runs in ${folder}`);
  const chosen = wanted.length === 0 ? newestRuns(runs) : wanted.flatMap((name) => runs.find((run) => run.name === name) ?? []);
  const fresh = chosen.filter(({ name }) => !names.includes(name));
  for (const { name, manifest } of fresh) {
    const faults = [
      ...(manifest.isDirty ? ['it measured a tree that no commit holds'] : []),
      ...(manifest.isQuick ? ['it is a quick look'] : []),
      ...listFaults(manifest),
    ];
    if (faults.length > 0) throw new EngineError('RUN_NOT_ACCEPTABLE', `${name}: ${faults.join('; ')}`);
  }
  const accepted = [...names, ...fresh.map(({ name }) => name)];
  if (fresh.length > 0) writeFileSync(join(folder, ACCEPTED_FILE), `${JSON.stringify({ accepted }, null, 2)}\n`);
  return fresh.map(({ name }) => name);
}

/** @throws EngineError ACCEPTED_INVALID when the file is not as declared */
export function readAccepted(folder: string): readonly string[] {
  const path = join(folder, ACCEPTED_FILE);
  if (!existsSync(path)) return [];
  try {
    return ACCEPTED.parse(JSON.parse(readFileSync(path, 'utf8'))).accepted;
  } catch (thrown) {
    throw new EngineError('ACCEPTED_INVALID', `${path}: expected {"accepted": [names of runs]}: ${messageOf(thrown)}`, { cause: thrown });
  }
}

function listFaults(manifest: Manifest): string[] {
  if (manifest.perfTest === undefined) return manifest.failures.map(({ name, reason }) => `${name} failed: ${reason}`);
  const { state, headline } = judgeRun(manifest.perfTest, manifest.failures);
  return state === 'right' ? [] : [headline];
}

/** The same kind of run on the same kind of machine. */
function isAlike(a: Manifest, b: Manifest): boolean {
  return describeKind(a) === describeKind(b) && a.machine.cpu === b.machine.cpu && a.machine.cores === b.machine.cores;
}

function keyOfRatio({ work, against, unit }: RatioEntry): string {
  return JSON.stringify([work, against, unit]);
}
