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

const TABLES = 'engine/sinks/postgres/tables.js';
const TRANSACTION = 'engine/sinks/postgres/epoch-transaction.js';
const STORE_OFFSETS = 'await storeOffsets(client, context, work.message, work.databaseEpoch);';

/** The database is given a moment where the bug opens a gap: a real one would be as wide now and then, and a round is short. */
export const SABOTAGES: readonly Sabotage[] = [
  {
    name: 'additive-upsert',
    doc: 'a row that is written again has its volume added to what was there',
    patches: [
      {
        file: TABLES,
        // What is looked for is text of a template, not one.
        find: ['`$', '{name} = excluded.$', '{name}`'].join(''),
        replace: "name === 'vol' ? 'vol = ' + table + '.vol + excluded.vol' : name + ' = excluded.' + name",
      },
    ],
  },
  {
    name: 'commit-before-flush',
    doc: 'offsets are committed in a transaction of their own, before the bars',
    patches: [
      { file: TRANSACTION, find: STORE_OFFSETS, replace: '' },
      {
        file: TRANSACTION,
        find: 'const symbolsStored = await storeInstruments(',
        replace: `${STORE_OFFSETS} await client.query('commit'); await client.query('select pg_sleep(0.05)'); await client.query('begin');
    const symbolsStored = await storeInstruments(`,
      },
    ],
  },
  {
    name: 'publish-before-commit',
    doc: 'an epoch counts as committed, and is published, before the database has committed it',
    patches: [
      {
        file: TRANSACTION,
        find: "await client.query('commit');",
        replace: `for (const text of ['select pg_sleep(0.2)', 'commit']) void client.query(text).catch(() => undefined);`,
      },
    ],
  },
];

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
