/** What a feed shows and what nobody can know from it: said in every report, so that a figure is not believed beyond its ground. */
import type { DepthKind } from '../../market/depth-message.ts';
import type { QueueModel } from './settings.ts';

/** What the market is known by. `bareQuotes`: best prices without sizes. */
export type Ground = 'orders' | 'bareQuotes' | DepthKind;

const SHOWS: Readonly<Record<Ground, string>> = {
  orders: 'every order and every trade',
  levels: 'the size of every price level, and trades; who stands where within a level is not shown',
  quotes: 'the best price and size of each side, and trades',
  bareQuotes: 'the best price of each side, without sizes',
  trades: 'trades alone',
};

const ALWAYS = 'how the market would have answered to our orders';
const UNKNOWN: Readonly<Record<Ground, readonly string[]>> = {
  orders: ['hidden orders that stand before ours'],
  levels: [
    'whose lots were withdrawn from a level, before ours or behind: the queue model assumes it',
    'what came and went within one message of sizes, and when within it a fill was due: it is told at its end',
    'levels beyond those of the snapshot, until a message names them',
  ],
  quotes: [
    'sizes behind the best price: an order there has no place in a queue until its price is the best one, and then all that is shown counts as before it',
    'whose lots were withdrawn: the queue model assumes it',
  ],
  bareQuotes: [
    'any size: an order that reaches the quote of the other side is filled whole at it',
    'the queue: an order that waits is filled when the other side comes to its price, or by trades where the feed has them, after assumedAheadLots',
  ],
  trades: [
    'the queue: assumedAheadLots must trade at the price first',
    'the quotes: nothing can be taken, market orders are cancelled, and a limit order trades at its own price once a trade reaches it',
    'which side waited, where the feed does not say: a trade then counts for both',
  ],
};

/** The model that is taken when none is asked for: the one that promises least of those that fit. */
export const DEFAULT_MODEL: Readonly<Record<Ground, QueueModel>> = {
  orders: 'exact',
  levels: 'behind',
  quotes: 'behind',
  bareQuotes: 'assumed',
  trades: 'assumed',
};

export function shownBy(ground: Ground): { readonly ground: Ground; readonly shows: string } {
  return { ground, shows: SHOWS[ground] };
}

export function cannotKnow(ground: Ground): readonly string[] {
  return [...UNKNOWN[ground], ALWAYS];
}
