/**
 * Puts a bug into a copy of the compiled engine, to show that the driver finds it. The engine itself has no switch for such things: the
 * copy's JavaScript is changed at a named place, which must be there exactly once.
 */
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';

export interface Patch {
  /** Below `dist`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface Sabotage {
  readonly name: string;
  readonly doc: string;
  readonly patches: readonly Patch[];
}

export const SABOTAGES: readonly Sabotage[] = [];

/** @throws EngineError USAGE */
export function sabotageOf(name: string): Sabotage {
  const found = SABOTAGES.find((sabotage) => sabotage.name === name);
  if (found) return found;
  const names = SABOTAGES.map((sabotage) => sabotage.name).join(', ');
  throw new EngineError('USAGE', `--sabotage '${name}': expected one of ${names}`);
}

/**
 * Applies a patch to a text.
 * @throws EngineError SABOTAGE_STALE when the place is not there exactly once
 */
export function applyPatch(text: string, { file, find, replace }: Patch): string {
  const count = text.split(find).length - 1;
  if (count !== 1) {
    throw new EngineError('SABOTAGE_STALE', `dist/${file}: the place to change is there ${count} times, expected once: ${find}`);
  }
  return text.replace(find, () => replace);
}

/** Makes a copy of what the engine needs to run, with the bug in it; returns its folder. @throws EngineError SABOTAGE_STALE */
export function sabotagedRoot({ patches }: Sabotage, folder: string): string {
  const root = join(folder, 'sabotaged');
  mkdirSync(root);
  for (const name of ['dist', 'sql', 'config', 'package.json']) cpSync(join(PROJECT_ROOT, name), join(root, name), { recursive: true });
  symlinkSync(join(PROJECT_ROOT, 'node_modules'), join(root, 'node_modules'));
  for (const patch of patches) {
    const path = join(root, 'dist', patch.file);
    writeFileSync(path, applyPatch(readFileSync(path, 'utf8'), patch));
  }
  return root;
}
