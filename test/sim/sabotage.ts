/** Bugs that can be put into the simulated world or its seams, to show that the simulation finds them. */
import { EngineError } from '../../engine/core/errors.ts';
import type { BrokerBugs } from './broker.ts';
import type { CommitterBugs } from './committer.ts';
import type { DatabaseBugs } from './database.ts';

export interface Bugs extends CommitterBugs, BrokerBugs, DatabaseBugs {
  /** Rows that are there are added to. */
  readonly isAdditive: boolean;
}

export const NO_BUGS: Bugs = {
  isAdditive: false,
  offsetsFirst: false,
  saysCommittedEarly: false,
  losesTouched: false,
  markersApart: false,
};

export const SABOTAGES: Readonly<Record<string, Bugs>> = {
  'additive-upsert': { ...NO_BUGS, isAdditive: true },
  'offsets-before-data': { ...NO_BUGS, offsetsFirst: true },
  'publish-before-commit': { ...NO_BUGS, saysCommittedEarly: true },
  'lost-touched-symbol': { ...NO_BUGS, losesTouched: true },
  'marker-apart': { ...NO_BUGS, markersApart: true },
};

/** @throws EngineError USAGE */
export function bugsOf(name: string | undefined): Bugs {
  if (name === undefined) return NO_BUGS;
  const found = SABOTAGES[name];
  if (found) return found;
  throw new EngineError('USAGE', `--sabotage '${name}': expected one of ${Object.keys(SABOTAGES).join(', ')}`);
}
