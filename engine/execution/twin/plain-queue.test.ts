/**
 * A plain queue by price and time, told apart from everything in `engine/execution/paper`: the exact model must do at least as well as that on every feed. It knows three
 * rules. An order stands behind what stands at its price when it comes. Lots of an order that stands behind it, or at a worse price, do not trade before its own. Its original's
 * trade is its own when nobody stands before it.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../../../config/load.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import { openBookFeed } from '../../ingest/book-feed/open.ts';
import { BOOK_ACTION, type BookBatch, type BookFeed, type BookMessage, createBookBatch, readMessage } from '../../market/book-message.ts';
import { parsePaperSettings } from '../paper/settings.ts';
import { type Candidate, isAddOf } from './candidates.ts';
import { runTwins } from './run.ts';
import { openSeededFlow } from './seeded-flow.ts';
import { judgeTwin, ON_TIME_NS, type TwinVerdict } from './twin-report.ts';

interface Resting {
  readonly side: number;
  priceTicks: number;
  lots: number;
  /** When it came to its place. */
  rank: number;
  /** Lots whose trade was told, and that the book still shows. */
  echoLots: number;
}

interface Waiting {
  readonly candidate: Candidate;
  rank: number;
  leavesLots: number;
  lastFillNs: bigint | undefined;
  isGone: boolean;
}

interface PlainQueue {
  apply(batch: BookBatch): void;
  verdicts(): TwinVerdict[];
}

/** Of one symbol. */
function createPlainQueue(candidates: readonly Candidate[]): PlainQueue {
  const resting = new Map<bigint, Resting>();
  const waiting: Waiting[] = candidates.map((candidate) => ({
    candidate,
    rank: -1,
    leavesLots: candidate.lots,
    lastFillNs: undefined,
    isGone: false,
  }));
  let rank = 0;

  /** Ids may come again. */
  const originalOf = ({ orderId, tsNs }: BookMessage): Waiting | undefined =>
    waiting.find(({ candidate, rank: came, isGone }) => candidate.id === orderId && came >= 0 && !isGone && tsNs <= candidate.endNs);

  const isFirst = ({ rank: own, candidate: { side, priceTicks } }: Waiting): boolean =>
    ![...resting.values()].some((order) => order.side === side && order.priceTicks === priceTicks && order.lots > 0 && order.rank < own);

  function give(twin: Waiting, lots: number, tsNs: bigint): void {
    if (twin.leavesLots === 0) return;
    twin.leavesLots -= Math.min(twin.leavesLots, lots);
    twin.lastFillNs = tsNs;
  }

  function traded(message: BookMessage): void {
    const { orderId, quantityLots, tsNs } = message;
    const own = originalOf(message);
    if (own !== undefined && isFirst(own)) give(own, quantityLots, tsNs);
    const maker: Pick<Resting, 'side' | 'priceTicks' | 'rank'> | undefined =
      own === undefined ? resting.get(orderId) : { ...own.candidate, rank: own.rank };
    if (maker === undefined) return;
    for (const twin of waiting) {
      if (twin === own || twin.rank < 0 || twin.isGone || twin.candidate.side !== maker.side) continue;
      const worse = maker.side === 0 ? twin.candidate.priceTicks - maker.priceTicks : maker.priceTicks - twin.candidate.priceTicks;
      if (worse > 0 || (worse === 0 && maker.rank > twin.rank)) give(twin, quantityLots, tsNs);
    }
  }

  function takeOff(id: bigint, lots: number): void {
    const order = resting.get(id);
    if (order === undefined) return;
    const echo = Math.min(order.echoLots, lots);
    order.echoLots -= echo;
    order.lots -= lots - echo;
    if (order.lots + order.echoLots <= 0) resting.delete(id);
  }

  function add(message: BookMessage, batch: BookBatch, index: number): void {
    const { orderId, side, priceTicks, quantityLots: lots } = message;
    const twin = waiting.find((each) => each.candidate.id === orderId && each.rank < 0 && isAddOf(each.candidate, batch, index));
    if (twin !== undefined) twin.rank = rank++;
    else resting.set(orderId, { side, priceTicks, lots, rank: rank++, echoLots: 0 });
  }

  function cancel(message: BookMessage): void {
    const twin = originalOf(message);
    if (twin === undefined) takeOff(message.orderId, message.quantityLots);
    else if (twin.candidate.fate === 'cancelled') twin.isGone = true;
  }

  function modify(message: BookMessage): void {
    const { orderId, side, priceTicks, quantityLots } = message;
    const order = resting.get(orderId);
    if (order === undefined) {
      // A twin stood for what an iceberg showed, and here is its next slice.
      const isNext = waiting.some(({ candidate, rank: came }) => candidate.id === orderId && came >= 0);
      if (isNext) resting.set(orderId, { side, priceTicks, lots: quantityLots, rank: rank++, echoLots: 0 });
      return;
    }
    if (order.priceTicks !== priceTicks || quantityLots > order.lots) order.rank = rank++;
    Object.assign(order, { priceTicks, lots: quantityLots, echoLots: 0 });
  }

  function replace(message: BookMessage): void {
    const side = resting.get(message.orderId)?.side ?? message.side;
    resting.delete(message.orderId);
    resting.set(message.newOrderId, { side, priceTicks: message.priceTicks, lots: message.quantityLots, rank: rank++, echoLots: 0 });
  }

  function fill(message: BookMessage): void {
    traded(message);
    const order = resting.get(message.orderId);
    if (order === undefined) return;
    order.lots -= message.quantityLots;
    order.echoLots += message.quantityLots;
  }

  return {
    apply(batch) {
      for (let index = 0; index < batch.count; index += 1) {
        const message = readMessage(batch, index);
        const { action } = message;
        if (action === BOOK_ACTION.add) add(message, batch, index);
        else if (action === BOOK_ACTION.cancel) cancel(message);
        else if (action === BOOK_ACTION.modify) modify(message);
        else if (action === BOOK_ACTION.replace) replace(message);
        else if (action === BOOK_ACTION.fill) fill(message);
        else if (action === BOOK_ACTION.execute) {
          traded(message);
          takeOff(message.orderId, message.quantityLots);
        } else if (action === BOOK_ACTION.clear) resting.clear();
      }
    },
    verdicts: () => waiting.map(judge),
  };
}

function judge({ candidate: { fate, endNs }, leavesLots, lastFillNs }: Waiting): TwinVerdict {
  if (fate === 'cancelled') return lastFillNs === undefined ? 'untouched' : leavesLots === 0 ? 'filledFalsely' : 'partlyFilledFalsely';
  if (lastFillNs === undefined || leavesLots > 0) return 'never';
  if (lastFillNs < endNs - ON_TIME_NS) return 'early';
  return lastFillNs > endNs + ON_TIME_NS ? 'late' : 'onTime';
}

interface Both {
  readonly plain: readonly TwinVerdict[];
  readonly exact: readonly TwinVerdict[];
}

async function compare(open: () => Promise<BookFeed>, orders: number, seed = 7): Promise<Both> {
  const { survey, runs } = await runTwins(open, { orders, seed, settings: [parsePaperSettings({})] });
  const queue = createPlainQueue(survey.candidates);
  const feed = await open();
  const batch = createBookBatch(4096);
  while ((await feed.read(batch)) > 0) queue.apply(batch);
  return { plain: queue.verdicts(), exact: runs[0]!.twins.map((twin) => judgeTwin(twin)) };
}

/** On time, too early, missed, and filled falsely. */
function counts(verdicts: readonly TwinVerdict[]): number[] {
  const count = (...of: TwinVerdict[]): number => verdicts.filter((verdict) => of.includes(verdict)).length;
  return [count('onTime'), count('early'), count('late', 'never'), count('filledFalsely', 'partlyFilledFalsely')];
}

const isRight = (verdict: TwinVerdict): boolean => verdict === 'onTime' || verdict === 'untouched';

const DATA = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR);
const LOBSTER = join(DATA, 'lobster/AAPL_2012-06-21_34200000_57600000_message_10.csv');
const hasLobster = existsSync(LOBSTER);

describe('the exact model beside a plain queue', () => {
  it.each(['executions', 'trades'] as const)('both are right about 600 of 600 where price and time decide, %s', async (style) => {
    const { plain, exact } = await compare(() => Promise.resolve(openSeededFlow({ seed: 7, commands: 6000, style })), 600);
    expect(counts(plain)).toEqual([300, 0, 0, 0]);
    expect(counts(exact)).toEqual([300, 0, 0, 0]);
  });

  it('where places are lost unseen it is right about every order that a plain queue is right about, and about more', async () => {
    const open = () => Promise.resolve(openSeededFlow({ seed: 1, commands: 20_000, style: 'trades', hasHiddenMoves: true }));
    const { plain, exact } = await compare(open, 4000, 1);
    const [onTime = 0, , missed = 0] = counts(plain);
    expect(onTime + missed).toBe(2000);
    expect(missed).toBeGreaterThan(20);
    expect(counts(exact)[0]).toBeGreaterThan(onTime);
    expect(plain.filter((verdict, index) => isRight(verdict) && !isRight(exact[index]!))).toEqual([]);
  });

  it.skipIf(!hasLobster)(`both are right about all of LOBSTER's sample${hasLobster ? '' : ' (skipped: DATA_DIR is absent)'}`, async () => {
    const { plain, exact } = await compare(() => openBookFeed([LOBSTER]), 600);
    expect(counts(plain)).toEqual([69, 0, 0, 0]);
    expect(counts(exact)).toEqual([69, 0, 0, 0]);
  });
});
