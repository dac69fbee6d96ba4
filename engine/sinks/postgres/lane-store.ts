/** What a session asks of the database about its lanes. */
import type { OutboxRow } from '../messages.ts';
import type { LaneChoice } from './lane-choice.ts';
import { type ClaimRequest, claimLanes, dropOutbox, type LaneClaim, ownedLanes, readOutbox, releaseLanes } from './lanes.ts';
import type { Database } from './runs.ts';

/** As the functions of `lanes.ts`, of one database. */
export interface LaneStore {
  claim(request: LaneChoice & Pick<ClaimRequest, 'run' | 'timeframes' | 'transactionalIdOf'>): Promise<LaneClaim>;
  owned(owner: { readonly source: string; readonly token: bigint; readonly lanes: readonly number[] }): Promise<readonly number[]>;
  readOutbox(choice: { readonly source: string; readonly lanes: readonly number[] }): Promise<OutboxRow[]>;
  dropOutbox(request: { readonly source: string; readonly token: bigint; readonly upTo: ReadonlyMap<number, number> }): Promise<void>;
  release(owner: { readonly source: string; readonly token: bigint }): Promise<void>;
}

export function createLaneStore(database: Database): LaneStore {
  return {
    claim: (request) => claimLanes({ ...database, ...request }),
    owned: (owner) => ownedLanes({ ...database, ...owner }),
    readOutbox: (choice) => readOutbox({ ...database, ...choice }),
    dropOutbox: (request) => dropOutbox({ ...database, ...request }),
    release: (owner) => releaseLanes({ ...database, ...owner }),
  };
}
