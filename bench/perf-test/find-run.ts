/** Finds a run by what a person types: a path, or the name of a run in `perf_runs/`. */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EngineError } from '../../engine/core/errors.ts';
import { readManifest } from '../manifest.ts';
import type { KeptRun } from './run-index.ts';

/** @throws EngineError RUN_UNKNOWN when there is no such run; those of `readManifest` */
export function findRun(text: string, folder: string): KeptRun {
  const candidates = [text, join(folder, text), join(folder, `${text}.json`)];
  for (const candidate of candidates) {
    if (!existsSync(candidate)) continue;
    if (statSync(candidate).isFile()) return { name: nameOf(candidate), path: candidate, manifest: readManifest(candidate) };
    const report = join(candidate, 'report.json');
    if (existsSync(report)) return { name: basename(candidate), path: report, manifest: readManifest(report) };
  }
  throw new EngineError('RUN_UNKNOWN', `${text}: expected a manifest, a folder with report.json, or the name of a run in ${folder}`);
}

function nameOf(path: string): string {
  const name = basename(path, '.json');
  return name === 'report' ? basename(dirname(path)) : name;
}
