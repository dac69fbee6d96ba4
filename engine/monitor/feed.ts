/** `npm run feed -- FILE...`: replays order-by-order files, says what they hold, and with --predict how well the matcher foretells their trades. */
import { SYSTEM_CLOCK } from '../core/clock.ts';
import { formatScaled } from '../core/decimal.ts';
import { EngineError } from '../core/errors.ts';
import { isDepthFile, openBookFeed } from '../ingest/book-feed/open.ts';
import type { BookFeedOptions } from '../ingest/book-feed/options.ts';
import { createMatcher } from '../kernel/matcher.ts';
import {
  BOOK_ACTION,
  BOOK_ACTION_NAMES,
  BOOK_SIDE,
  type BookBatch,
  type BookFeed,
  createBookBatch,
  type FeedInstrument,
  NO_PRICE,
  readMessage,
} from '../market/book-message.ts';
import { createFeedBook, type FeedBook, type SymbolBook } from '../market/feed-book.ts';
import { depthLines, replayDepth } from './feed-depth.ts';
import { createPredictor, type Prediction } from './feed-predict.ts';

export interface FeedRunOptions extends BookFeedOptions {
  readonly predict?: boolean;
  /** One JSON object instead of text. */
  readonly json?: boolean;
  /** Live orders, pages of 512 ticks and symbols that a prediction has room for. */
  readonly orders?: string;
  readonly pages?: string;
  readonly symbols?: string;
}

const BATCH_MESSAGES = 8192;
const SYMBOLS_SHOWN = 20;
const NS_PER_MS = 1_000_000n;
const DEFAULTS = { orders: 262_144, pages: 4096, symbols: 64 } as const;
const COUNT_MAX = 4_194_304;

/** One side of a book in the report. Prices are decimal text, null when the side is empty. */
export interface SideReport {
  readonly orders: number;
  readonly levels: number;
  readonly lots: number;
  readonly best: string | null;
}

export interface SymbolReport {
  readonly symbol: string;
  readonly tick: string;
  readonly resting: number;
  readonly bids: SideReport;
  readonly asks: SideReport;
  readonly faults: SymbolBook['faults'];
  readonly fromUnknownSize: number;
}

export interface FeedReport {
  readonly format: string;
  readonly messages: number;
  readonly actions: Readonly<Record<string, number>>;
  readonly tradedLots: number;
  readonly refused: BookFeed['refused'];
  readonly ignored: number;
  readonly firstNs: string | null;
  readonly lastNs: string | null;
  readonly messagesPerSecond: number;
  readonly symbols: readonly SymbolReport[];
  readonly prediction: Prediction | null;
}

/**
 * Replays the files and prints the report.
 * @returns the exit code, 0
 * @throws EngineError FEED_FILE, FEED_FORMAT, FEED_OPTION, FEED_PREDICT
 */
export async function runFeed(files: readonly string[], options: FeedRunOptions, say: (line: string) => void): Promise<number> {
  const [first] = files;
  if (options.format === 'binance' || (options.format === undefined && first !== undefined && (await isDepthFile(first)))) {
    const depth = await replayDepth(files);
    if (options.json) say(JSON.stringify(depth, null, 1));
    else for (const line of depthLines(depth)) say(line);
    return 0;
  }
  const report = await replayFeed(files, options);
  if (options.json) say(JSON.stringify(report, null, 1));
  else for (const line of linesOf(report)) say(line);
  return 0;
}

/** Replays the files; what `runFeed` prints. */
export async function replayFeed(files: readonly string[], options: FeedRunOptions = {}): Promise<FeedReport> {
  const feed = await openBookFeed(files, options);
  const book = createFeedBook();
  const batch = createBookBatch(BATCH_MESSAGES);
  const counts = createCounts();
  const predictor = options.predict ? createPredictor(createMatcher(matcherOptions(options))) : undefined;
  const startedUs = SYSTEM_CLOCK.monotonicUs();
  try {
    while ((await feed.read(batch)) > 0) {
      book.apply(batch);
      counts.take(batch);
      if (predictor) for (let index = 0; index < batch.count; index += 1) predictor.take(readMessage(batch, index));
    }
  } finally {
    await feed.close();
  }
  const seconds = Math.max(1, SYSTEM_CLOCK.monotonicUs() - startedUs) / 1e6;
  return {
    format: feed.name,
    ...counts.totals(),
    refused: { ...feed.refused },
    ignored: feed.ignored,
    messagesPerSecond: Math.round(counts.totals().messages / seconds),
    symbols: symbolReports(feed.instruments, book),
    prediction: predictor?.finish() ?? null,
  };
}

/** @throws EngineError FEED_OPTION */
function matcherOptions(options: FeedRunOptions): Parameters<typeof createMatcher>[0] {
  const count = (name: keyof typeof DEFAULTS): number => {
    const text = options[name] ?? String(DEFAULTS[name]);
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= COUNT_MAX) return value;
    throw new EngineError('FEED_OPTION', `--${name} '${text}': expected a whole number, 1 to ${COUNT_MAX}`);
  };
  return { symbols: count('symbols'), orders: count('orders'), pages: count('pages'), owners: 1, commandCapacity: 16 };
}

interface Counts {
  take(batch: BookBatch): void;
  totals(): Pick<FeedReport, 'messages' | 'actions' | 'tradedLots' | 'firstNs' | 'lastNs'>;
}

function createCounts(): Counts {
  const byAction = new Float64Array(BOOK_ACTION_NAMES.length + 1);
  let messages = 0;
  let tradedLots = 0;
  let firstNs: bigint | undefined;
  let lastNs: bigint | undefined;
  return {
    take(batch) {
      for (let index = 0; index < batch.count; index += 1) {
        const action = batch.action[index]!;
        byAction[action]! += 1;
        if (action === BOOK_ACTION.trade || action === BOOK_ACTION.execute) tradedLots += batch.quantityLots[index]!;
        const tsNs = batch.tsNs[index]!;
        if (firstNs === undefined || tsNs < firstNs) firstNs = tsNs;
        if (lastNs === undefined || tsNs > lastNs) lastNs = tsNs;
      }
      messages += batch.count;
    },
    totals: () => ({
      messages,
      actions: Object.fromEntries(BOOK_ACTION_NAMES.map((name, index) => [name, byAction[index + 1]!]).filter(([, count]) => count !== 0)),
      tradedLots,
      firstNs: firstNs?.toString() ?? null,
      lastNs: lastNs?.toString() ?? null,
    }),
  };
}

function symbolReports(instruments: readonly FeedInstrument[], book: FeedBook): SymbolReport[] {
  return instruments.map(({ symbol, tickNanos }, symbolIndex) => {
    const { orders, faults, fromUnknownSize, levels } = book.symbol(symbolIndex);
    const sideOf = (side: number): SideReport => {
      const all = levels(side);
      const total = (of: 'orderCount' | 'quantityLots'): number => all.reduce((sum, level) => sum + level[of], 0);
      const best = all[0]?.priceTicks;
      return {
        orders: total('orderCount'),
        levels: all.length,
        lots: total('quantityLots'),
        best: best === undefined ? null : priceText(best, tickNanos),
      };
    };
    const [bids, asks] = [sideOf(BOOK_SIDE.buy), sideOf(BOOK_SIDE.sell)];
    return { symbol, tick: priceText(1, tickNanos), resting: orders.size, bids, asks, faults: { ...faults }, fromUnknownSize };
  });
}

/** A price in ticks as a decimal without superfluous zeros, two decimals at least. */
export function priceText(ticks: number, tickNanos: number): string {
  if (ticks === NO_PRICE) return '';
  return formatScaled(BigInt(ticks) * BigInt(tickNanos), 9).replace(/0{1,7}$/, '');
}

function linesOf(report: FeedReport): string[] {
  const pairs = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .filter(([, count]) => count !== 0)
      .map(([name, count]) => `${name} ${count.toLocaleString('en')}`)
      .join(', ') || 'none';
  const lines = [
    `${report.format}: ${report.messages.toLocaleString('en')} messages, ${report.messagesPerSecond.toLocaleString('en')} a second`,
    `  actions   ${pairs(report.actions)}`,
    `  traded    ${report.tradedLots.toLocaleString('en')} lots`,
    `  time      ${timeText(report.firstNs)} to ${timeText(report.lastNs)}`,
    `  refused   ${pairs(report.refused)}; passed over ${report.ignored.toLocaleString('en')}`,
  ];
  if (report.refused.offTick > 0) lines.push('            off tick: the book lacks these; a finer --tick-size keeps them');
  for (const symbol of report.symbols.slice(0, SYMBOLS_SHOWN)) lines.push(...symbolLines(symbol, pairs));
  if (report.symbols.length > SYMBOLS_SHOWN)
    lines.push(`  and ${report.symbols.length - SYMBOLS_SHOWN} symbols more; --symbol NAME shows one, --json all`);
  if (report.prediction) lines.push(...predictionLines(report.prediction));
  return lines;
}

function symbolLines(report: SymbolReport, pairs: (counts: Readonly<Record<string, number>>) => string): string[] {
  const sideText = ({ orders, levels, lots, best }: SideReport): string =>
    `${orders.toLocaleString('en')} orders, ${levels.toLocaleString('en')} levels, ${lots.toLocaleString('en')} lots, best ${best ?? 'none'}`;
  return [
    `${report.symbol}, tick ${report.tick}: ${report.resting.toLocaleString('en')} orders rest`,
    `  bids      ${sideText(report.bids)}`,
    `  asks      ${sideText(report.asks)}`,
    `  did not fit: ${pairs(report.faults)}; taken from sizes with no known order: ${report.fromUnknownSize.toLocaleString('en')}`,
  ];
}

function predictionLines(prediction: Prediction): string[] {
  const share = (part: number, whole: number): string =>
    `${part.toLocaleString('en')} of ${whole.toLocaleString('en')}${whole === 0 ? '' : ` (${((100 * part) / whole).toFixed(2)} %)`}`;
  return [
    'prediction',
    `  trade events foretold exactly   ${share(prediction.exactEvents, prediction.events)}`,
    `  lots of the right maker         ${share(prediction.exactLots, prediction.lots)}`,
    ...Object.entries(prediction.misses)
      .filter(([, { events }]) => events > 0)
      .map(
        ([reason, { events, lots }]) =>
          `  missed, ${reason.padEnd(14)} ${events.toLocaleString('en')} events, ${lots.toLocaleString('en')} lots`,
      ),
    `  levels put right afterwards     ${prediction.corrected.toLocaleString('en')}`,
  ];
}

/** Nanoseconds since the epoch as UTC, to the nanosecond. */
function timeText(ns: string | null): string {
  if (ns === null) return 'none';
  const value = BigInt(ns);
  const seconds = new Date(Number(value / NS_PER_MS)).toISOString().slice(0, 19);
  return `${seconds}.${(value % 1_000_000_000n).toString().padStart(9, '0')}Z`;
}
