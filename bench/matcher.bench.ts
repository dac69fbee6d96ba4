/**
 * The matcher on the XC-1 flow: against C++ books written for it, a typed-array twin and two books from npm; one command a call against batches;
 * a deep book; and owners with limits and self-match prevention against none. Every opponent must come to the same trades.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { createMatcher, type Matcher } from '../engine/kernel/matcher.ts';
import { OPEN_INSTRUMENT } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import { buildCpp } from './cpp.ts';
import { type BenchContext, median } from './harness.ts';
import { type FlowShape, type MatcherFlow, makeMatcherFlow, recordsOf } from './matcher-flow.ts';
import { type NpmBookName, type NpmRun, runNpmBook } from './twins/npm-book.ts';
import { createTypedBook } from './twins/typed-book.ts';

export const name = 'matcher';
export const isOnOneProcessor = true;

const SEED = 7;
/** Commands that are copied in and run at a time. */
const BATCH = 256;
/** Passes over the flow in a round; their median is the round's rate. */
const PASSES = 3;
/** A round is short, and whoever shares the machine slows one side down for seconds at a time. */
const ROUNDS = 21;
const OWNERS = 1001;
/** The npm books are too slow for the whole flow. */
const NPM_OPERATIONS = 30_000;

/** What a pass over the flow came to. */
interface Outcome {
  readonly rate: number;
  readonly trades: number;
  readonly lots: number;
  readonly hash: number;
  readonly resting: number;
}

interface KernelRun {
  readonly flow: MatcherFlow;
  readonly owners: number;
  readonly isOneByOne: boolean;
}

export async function run(context: BenchContext): Promise<void> {
  const operations = context.isQuick ? 200_000 : 1_000_000;
  const shallow = makeMatcherFlow({ name: 'XC-1', operations, resting: 1000, span: 1200 }, SEED);
  await compareFlow(context, shallow, { plain: 1, lean: 0.75 });
  await compareTwins(context, shallow);
  const batches = createKernelRun({ flow: shallow, owners: 1, isOneByOne: false });
  await compareRuns(context, 'matcher, XC-1, one command a call', 'batches of 256', {
    atLeast: 0.7,
    work: createKernelRun({ flow: shallow, owners: 1, isOneByOne: true }),
    against: batches,
  });
  await compareRuns(context, 'matcher, XC-1, owners with limits, self-match prevention', 'without', {
    atLeast: 0.7,
    work: createKernelRun({ flow: shallow, owners: OWNERS, isOneByOne: false }),
    against: batches,
  });
  const deep: FlowShape = { name: 'deep book', operations, resting: 200_000, span: 10_000 };
  await compareFlow(context, makeMatcherFlow(deep, SEED), { plain: 0.75 });
}

interface Targets {
  readonly plain: number;
  readonly lean?: number;
}

/** The kernel against both C++ books. */
async function compareFlow(context: BenchContext, flow: MatcherFlow, targets: Targets): Promise<void> {
  if (!context.hasCompiler) {
    context.log('  skipped: the comparison with C++ needs g++');
    return;
  }
  const work = createKernelRun({ flow, owners: 1, isOneByOne: false });
  const label = `matcher, ${flow.shape.name}`;
  await compareRuns(context, label, 'plain C++', { atLeast: targets.plain, work, against: createCppRun('matcher', flow), isSame: true });
  const lean = { work, against: createCppRun('matcher-lean', flow), isSame: true };
  await compareRuns(context, label, 'lean C++', targets.lean === undefined ? lean : { ...lean, atLeast: targets.lean });
}

async function compareTwins(context: BenchContext, flow: MatcherFlow): Promise<void> {
  const work = createKernelRun({ flow, owners: 1, isOneByOne: false });
  await compareRuns(context, 'matcher, XC-1', 'typed-array JS book', { atLeast: 3, work, against: () => runTwin(flow), isSame: true });
  const part = { ...flow, commands: flow.prefill + Math.min(NPM_OPERATIONS, flow.shape.operations) };
  const expected = depthAfter(part);
  for (const npm of ['nodejs-order-book', 'hft-limit-order-book'] as const) {
    await context.compare({
      work: 'matcher, XC-1',
      against: `npm ${npm}, ${part.commands - part.prefill} operations`,
      atLeast: 80,
      unit: 'operations/s',
      rounds: 5,
      run: { work: () => work().rate, against: () => checkedNpm(npm, part, expected) },
    });
  }
}

interface Runs {
  readonly atLeast?: number;
  readonly work: () => Outcome;
  readonly against: () => Outcome;
  /** Both must come to the same outcome. */
  readonly isSame?: boolean;
}

async function compareRuns(context: BenchContext, work: string, against: string, runs: Runs): Promise<void> {
  const expected = runs.work();
  const check = (who: string, outcome: Outcome): number => {
    const isSame =
      outcome.trades === expected.trades &&
      outcome.lots === expected.lots &&
      outcome.hash === expected.hash &&
      outcome.resting === expected.resting;
    if (isSame || !runs.isSame) return outcome.rate;
    throw new EngineError('BENCH_CHECKSUM', `${work}, ${who}: ${JSON.stringify(outcome)}, the matcher has ${JSON.stringify(expected)}`);
  };
  await context.compare({
    work,
    against,
    ...(runs.atLeast === undefined ? {} : { atLeast: runs.atLeast }),
    unit: 'operations/s',
    rounds: ROUNDS,
    run: { work: () => check('matcher', runs.work()), against: () => check(against, runs.against()) },
  });
}

/** A matcher that runs the flow, each batch copied in, and the sums of a first pass that reads its events. */
function createKernelRun({ flow, owners, isOneByOne }: KernelRun): () => Outcome {
  const records = recordsOf(flow, owners);
  const orders = Math.ceil(1.25 * flow.shape.resting);
  const matcher = createMatcher({ symbols: 1, orders, pages: 256, owners: owners + 1, commandCapacity: BATCH });
  matcher.setEventMask([L.EVENT_KIND_TRADE, L.EVENT_KIND_REJECTED]);
  const copyIn = (from: number, count: number): void => {
    matcher.commands.bytes.set(records.subarray(from * L.ORDER_COMMAND_SIZE, (from + count) * L.ORDER_COMMAND_SIZE));
  };
  const fill = (): void => {
    setUp(matcher, owners);
    for (let from = 0; from < flow.prefill; from += BATCH) {
      const count = Math.min(BATCH, flow.prefill - from);
      copyIn(from, count);
      matcher.run(count);
    }
  };
  const runBatch = (from: number): void => {
    const count = Math.min(BATCH, flow.commands - from);
    copyIn(from, count);
    if (!isOneByOne) matcher.run(count);
    else for (let index = 0; index < count; index += 1) matcher.run(1, index);
  };
  const sums = sumsOf(matcher, flow, { fill, copyIn });
  return () => {
    const rates = Array.from({ length: PASSES }, () => {
      fill();
      const fromUs = SYSTEM_CLOCK.monotonicUs();
      for (let from = flow.prefill; from < flow.commands; from += BATCH) runBatch(from);
      return ((flow.commands - flow.prefill) * 1e6) / (SYSTEM_CLOCK.monotonicUs() - fromUs);
    });
    return { ...sums, rate: median(rates) };
  };
}

function setUp(matcher: Matcher, owners: number): void {
  matcher.clear();
  matcher.configure(0, OPEN_INSTRUMENT);
  const limits = { isBlocked: false, maxOpenOrders: 1_000_000, maxOrderLots: 1_000_000, maxNotional: 1n << 60n };
  for (let owner = 1; owner < owners; owner += 1) matcher.limit(owner, limits);
}

interface Steps {
  fill(): void;
  copyIn(from: number, count: number): void;
}

function sumsOf(matcher: Matcher, flow: MatcherFlow, { fill, copyIn }: Steps): Omit<Outcome, 'rate'> {
  fill();
  const view = matcher.events.view;
  let [trades, lots, hash] = [0, 0, 0];
  for (let from = flow.prefill; from < flow.commands; from += BATCH) {
    const count = Math.min(BATCH, flow.commands - from);
    copyIn(from, count);
    if (matcher.run(count) < count) throw new EngineError('BENCH_CHECKSUM', `matcher: a batch at ${from} was cut short`);
    for (let at = 0; at < matcher.eventCount() * L.ORDER_EVENT_SIZE; at += L.ORDER_EVENT_SIZE) {
      if ((view.getInt32(at + L.ORDER_EVENT_KIND, true) & 0xff) !== L.EVENT_KIND_TRADE) continue;
      const quantity = view.getInt32(at + L.ORDER_EVENT_QUANTITY_LOTS, true);
      const maker = Number(view.getBigUint64(at + L.ORDER_EVENT_OTHER_ID, true));
      trades += 1;
      lots += quantity;
      hash = (Math.imul(hash, 31) + maker * 7 + quantity * 13 + view.getInt32(at + L.ORDER_EVENT_PRICE_TICKS, true)) | 0;
    }
  }
  return {
    trades,
    lots,
    hash,
    resting: matcher
      .levels(0, 0)
      .concat(matcher.levels(0, 1))
      .reduce((sum, { orders }) => sum + orders, 0),
  };
}

/** The flow goes to the C++ program as a file; its rate is the median of its own passes, after one to warm up. */
function createCppRun(program: string, flow: MatcherFlow): () => Outcome {
  const path = buildCpp(program);
  const file = join(PROJECT_ROOT, '.data/bench', `matcher-${flow.shape.resting}.bin`);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, new Uint8Array(flow.words.buffer, flow.words.byteOffset, flow.words.byteLength));
  return () => JSON.parse(execFileSync(path, [file, String(flow.prefill), String(PASSES)], { encoding: 'utf8' }));
}

function runTwin({ words, prefill, commands }: MatcherFlow): Outcome {
  const book = createTypedBook();
  book.run(words, 0, prefill);
  const fromUs = SYSTEM_CLOCK.monotonicUs();
  book.run(words, prefill, commands);
  const rate = ((commands - prefill) * 1e6) / (SYSTEM_CLOCK.monotonicUs() - fromUs);
  return { rate, trades: book.trades, lots: book.lots, hash: book.hash, resting: book.resting };
}

/** Prices and lots of both sides after the commands of a flow. */
function depthAfter(flow: MatcherFlow): string {
  const records = recordsOf(flow, 1);
  const matcher = createMatcher({ symbols: 1, orders: 1 << 14, pages: 64, owners: 1, commandCapacity: flow.commands });
  setUp(matcher, 1);
  matcher.commands.bytes.set(records);
  for (let done = 0; done < flow.commands; ) done += matcher.run(flow.commands - done, done);
  const rows = (side: 0 | 1): (readonly [number, number])[] =>
    matcher.levels(0, side).map(({ priceTicks, quantityLots }) => [priceTicks, Number(quantityLots)]);
  return describeDepth(rows(0), rows(1));
}

function describeDepth(bids: NpmRun['bids'], asks: NpmRun['asks']): string {
  const sorted = (rows: NpmRun['bids']): NpmRun['bids'] => [...rows].sort(([a], [b]) => a - b);
  return JSON.stringify([sorted(bids), sorted(asks)]);
}

function checkedNpm(npm: NpmBookName, part: MatcherFlow, expected: string): number {
  const { rate, bids, asks } = runNpmBook(npm, part, SYSTEM_CLOCK.monotonicUs);
  if (describeDepth(bids, asks) === expected) return rate;
  throw new EngineError('BENCH_CHECKSUM', `npm ${npm}: its book of ${bids.length} bids and ${asks.length} asks is not the matcher's`);
}
