/** `npm run paper`: requests from a file against a recorded market, each answer as a JSON line, and a report at the end. */
import { formatScaled, parseScaled } from '../../core/decimal.ts';
import { type BookFeed, createBookBatch, type FeedInstrument } from '../../market/book-message.ts';
import type { DepthFeed } from '../../market/depth-message.ts';
import { createDepthExchange, createOrderExchange, type PaperExchange, type PaperExchangeOptions, type PaperReport } from './exchange.ts';
import { explainFill, explainOrder, nameOfReason } from './explain.ts';
import { cannotKnow, shownBy } from './knowledge.ts';
import type { World } from './market.ts';
import { PAPER_REASON, type PaperOrder, type PaperReason } from './paper-order.ts';
import type { RequestLine } from './request-lines.ts';
import { describeSettings, type PaperSettings } from './settings.ts';
import { assertModelFits } from './venue.ts';

export interface DepthRunOptions {
  readonly settings: PaperSettings;
  /** In order of time. */
  readonly requests: readonly RequestLine[];
  say(line: string): void;
}

export interface PaperRunOptions extends DepthRunOptions {
  /** Units in a lot, in billionths: the multiplier of a future, 1,000,000,000 for a share. */
  readonly lotNanos: number;
}

const BATCH_MESSAGES = 4096;
const NANO_DIGITS = 9;
/** Long after any latency: what is still on its way at the end of the feed arrives. */
const AFTERWARDS_NS = 3_600_000_000_000n;

/** Plays an order-by-order feed to its end. What is wrong with a request is told as a refusal with its number, and the others go on. */
export async function runPaper(feed: BookFeed, { lotNanos, ...options }: PaperRunOptions): Promise<void> {
  const session = createSession(feed.instruments, options);
  const exchange = createOrderExchange({
    ...session.options,
    symbolOf: (index) => ({ tickNanos: feed.instruments[index]!.tickNanos, lotNanos }),
  });
  const batch = createBookBatch(BATCH_MESSAGES);
  const player = session.begin(exchange);
  while ((await feed.read(batch)) > 0) {
    for (let index = 0; index < batch.count; index += 1) {
      player.sendBefore(batch.tsNs[index]!);
      exchange.apply(batch, index);
    }
  }
  player.finish({ name: feed.name, refused: feed.refused, ...shownBy('orders'), cannotKnow: cannotKnow('orders') });
}

/**
 * Plays a feed of levels, quotes or trades to its end, as `runPaper` does.
 * @throws EngineError PAPER_MODEL when the model needs more than the feed shows
 */
export async function runDepthPaper(feed: DepthFeed, options: DepthRunOptions): Promise<void> {
  const { instruments, name, shows, hasSizes, refused } = feed;
  const kind = shows === 'quotes' && !hasSizes ? 'bareQuotes' : shows;
  assertModelFits(options.settings.model, kind);
  const session = createSession(instruments, options);
  const exchange = createDepthExchange(shows, { ...session.options, symbolOf: (index) => instruments[index]! });
  const player = session.begin(exchange);
  for await (const messages of feed.messages()) {
    for (const message of messages) {
      player.sendBefore(message.tsNs);
      exchange.apply(message);
    }
  }
  player.finish({
    name,
    refused,
    gaps: feed.gaps,
    units: instruments.map(({ symbol, tickNanos, lotNanos }) => ({
      symbol,
      tick: formatScaled(BigInt(tickNanos), NANO_DIGITS),
      lot: formatScaled(BigInt(lotNanos), NANO_DIGITS),
    })),
    ...shownBy(kind),
    cannotKnow: cannotKnow(kind),
  });
}

interface Player {
  /** Sends what was to be sent before a message of this time. */
  sendBefore(tsNs: bigint): void;
  /** Sends the rest, lets everything arrive, and says the report. @param feed what the report says of it */
  finish(feed: object): void;
}

interface Session {
  readonly options: Pick<PaperExchangeOptions, 'settings' | 'onReport'>;
  begin(exchange: PaperExchange): Player;
}

/** What playing has in common, whatever the feed. */
function createSession(instruments: readonly FeedInstrument[], { settings, requests, say }: DepthRunOptions): Session {
  const fees = new Map<string, { minor: bigint; digits: number }>();
  const sender = createSender(instruments, say);
  const onReport = (report: PaperReport): void => {
    for (const { currency, minorDigits, minor } of report.fill?.fees ?? []) {
      fees.set(currency, { minor: (fees.get(currency)?.minor ?? 0n) + minor, digits: minorDigits });
    }
    say(lineOf(report, sender.nameOf(report.order), instruments[report.order.symbolIndex]!));
  };
  return {
    options: { settings, onReport },
    begin(exchange) {
      const world = exchange.openAccount();
      let next = 0;
      let lastNs = 0n;
      return {
        sendBefore(tsNs) {
          lastNs = tsNs;
          for (; next < requests.length && requests[next]!.ts < tsNs; next += 1) sender.send(exchange, world, requests[next]!);
        },
        finish(feed) {
          for (; next < requests.length; next += 1) {
            sender.send(exchange, world, requests[next]!);
            if (requests[next]!.ts > lastNs) lastNs = requests[next]!.ts;
          }
          exchange.advance(lastNs + AFTERWARDS_NS);
          const totals = Object.fromEntries([...fees].map(([currency, { minor, digits }]) => [currency, formatScaled(minor, digits)]));
          const orders = sender
            .sent()
            .map(([id, order]) => ({ id, why: [explainOrder(order, settings.model), ...order.fills.map(explainFill)] }));
          say(JSON.stringify({ report: { models: describeSettings(settings), settings, feed, fees: totals, orders } }));
        },
      };
    },
  };
}

interface Sender {
  send(exchange: PaperExchange, world: World, request: RequestLine): void;
  nameOf(order: PaperOrder): string;
  /** Orders by their names, in the order they were sent. */
  sent(): [string, PaperOrder][];
}

/** Knows orders by the names that requests give them. */
function createSender(instruments: readonly FeedInstrument[], say: (line: string) => void): Sender {
  const orders = new Map<string, PaperOrder>();
  const names = new Map<PaperOrder, string>();
  /** Whose order is being sent: one that is refused at once is told of before it is known. */
  let sending = '';
  const refuse = ({ id, ts }: RequestLine, reason: PaperReason): void =>
    say(JSON.stringify({ event: 'refused', order: id, ts: String(ts), localTs: String(ts), reason, reasonName: nameOfReason(reason) }));

  function sendNew(exchange: PaperExchange, world: World, request: Extract<RequestLine, { op: 'new' }>): void {
    const { id, type, timeInForce, isPostOnly, quantity: quantityLots, price, symbol } = request;
    const symbolIndex = symbol === undefined ? 0 : instruments.findIndex((each) => each.symbol === symbol);
    const instrument = instruments[symbolIndex];
    const priceTicks = price === undefined || instrument === undefined ? 0 : ticksOf(price, instrument);
    if (instrument === undefined) refuse(request, PAPER_REASON.unknownSymbol);
    else if (orders.has(id)) refuse(request, PAPER_REASON.duplicateId);
    else if (priceTicks === undefined) refuse(request, PAPER_REASON.offTick);
    else {
      const side = request.side === 'buy' ? 0 : 1;
      sending = id;
      const order = exchange.submit(world, { symbolIndex, side, type, priceTicks, quantityLots, timeInForce, isPostOnly }, request.ts);
      orders.set(id, order);
      names.set(order, id);
    }
  }

  return {
    nameOf: (order) => names.get(order) ?? sending,
    sent: () => [...orders],
    send(exchange, world, request) {
      if (request.op === 'new') {
        sendNew(exchange, world, request);
        return;
      }
      const order = orders.get(request.id);
      const priceTicks = request.op === 'replace' && order !== undefined ? ticksOf(request.price, instruments[order.symbolIndex]!) : 0;
      if (order === undefined) refuse(request, PAPER_REASON.unknownOrder);
      else if (priceTicks === undefined) refuse(request, PAPER_REASON.offTick);
      else if (request.op === 'cancel') exchange.cancel(order, request.ts);
      else exchange.replace(order, { priceTicks, leavesLots: request.quantity }, request.ts);
    },
  };
}

/** Undefined when the price is not a whole number of ticks. */
function ticksOf(price: string, { tickNanos }: FeedInstrument): number | undefined {
  const ticks = parseScaled(price, { start: 0, end: price.length, decimals: NANO_DIGITS }) / tickNanos;
  return Number.isInteger(ticks) ? ticks : undefined;
}

function lineOf(report: PaperReport, id: string, instrument: FeedInstrument): string {
  const { kind, order, reason, fill, tsNs, localNs } = report;
  return JSON.stringify({
    event: kind,
    order: id,
    ts: String(tsNs),
    localTs: String(localNs),
    ...(reason === undefined ? {} : { reason, reasonName: nameOfReason(reason) }),
    ...(fill === undefined
      ? {}
      : {
          price: formatScaled(BigInt(fill.priceTicks) * BigInt(instrument.tickNanos), NANO_DIGITS),
          quantity: fill.quantityLots,
          liquidity: fill.liquidity,
          cause: fill.cause,
          aheadAtEntry: fill.aheadAtEntryLots ?? null,
          ahead: fill.aheadLots,
          fees: fill.fees.map(({ name, currency, minorDigits, minor }) => ({ name, currency, amount: formatScaled(minor, minorDigits) })),
        }),
    leaves: order.leavesLots,
  });
}
