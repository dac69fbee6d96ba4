/** A matcher as its thread begins with it: set up, and with the orders in it that rested when the last epoch was committed. */
import { EVENT_KIND } from '../../schemas/order-records.ts';
import { EngineError } from '../core/errors.ts';
import type { BookInstrument, OrderCommand, OrderEvent, OwnerLimits, RestingOrder } from '../market/order-command.ts';
import { createMatcher } from './matcher.ts';
import type { MatcherCore } from './matcher-agent.ts';

/** What main gives the matcher's thread. */
export interface MatcherStart {
  readonly orderRing: SharedArrayBuffer;
  readonly eventRing: SharedArrayBuffer;
  /** One word that the thread counts up. */
  readonly heartbeat: SharedArrayBuffer;
  /** Empty looks at the order ring before the thread sleeps. */
  readonly looksBeforePark: number;
  readonly pools: MatcherPools;
  /** By symbol index. */
  readonly instruments: readonly BookInstrument[];
  readonly owners: readonly (readonly [owner: number, limits: OwnerLimits])[];
  /** `restore` commands, in the order of the books. */
  readonly restores: readonly OrderCommand[];
}

export interface MatcherPools {
  readonly symbols: number;
  readonly orders: number;
  readonly pages: number;
  readonly owners: number;
}

/** A matcher that can be set up. */
export interface MatcherSetup extends MatcherCore {
  configure(symbolIndex: number, instrument: BookInstrument): void;
  limit(owner: number, limits: OwnerLimits): void;
  apply(command: OrderCommand): OrderEvent[];
  list(symbolIndex: number): RestingOrder[];
}

/** Commands that the agent gives at once. */
const COMMAND_CAPACITY = 1;

/** @throws EngineError RESTORE_REFUSED, and those of `createMatcher` */
export function openMatcherCore(start: MatcherStart): MatcherCore {
  const matcher = createMatcher({ ...start.pools, commandCapacity: COMMAND_CAPACITY });
  setUpMatcher(matcher, start);
  return matcher;
}

/**
 * Sets a fresh matcher up.
 * @throws EngineError RESTORE_REFUSED when a stored order does not fit the books as they are configured now
 */
export function setUpMatcher(
  matcher: MatcherSetup,
  { instruments, owners, restores }: Pick<MatcherStart, 'instruments' | 'owners' | 'restores'>,
): void {
  for (const [symbolIndex, instrument] of instruments.entries()) matcher.configure(symbolIndex, instrument);
  for (const [owner, limits] of owners) matcher.limit(owner, limits);
  for (const command of restores) {
    const refused = matcher.apply(command).find(({ kind }) => kind === EVENT_KIND.rejected);
    if (refused === undefined) continue;
    throw new EngineError(
      'RESTORE_REFUSED',
      `order ${command.orderId} of symbol index ${command.symbolIndex}: refused for reason ${refused.reason}; BOOKS_FILE, ORDERS_MAX or PRICE_PAGES_MAX has changed`,
    );
  }
}
