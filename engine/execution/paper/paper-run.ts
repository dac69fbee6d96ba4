/** `npm run paper`: requests from a file against a recorded order-by-order market, each answer as a JSON line, and a report at the end. */
import { formatScaled, parseScaled } from '../../core/decimal.ts';
import { type BookFeed, createBookBatch, type FeedInstrument } from '../../market/book-message.ts';
import { createOrderExchange, type OrderPaperExchange, type PaperReport } from './exchange.ts';
import { explainFill, explainOrder, nameOfReason } from './explain.ts';
import type { World } from './market.ts';
import { PAPER_REASON, type PaperOrder, type PaperReason } from './paper-order.ts';
import type { RequestLine } from './request-lines.ts';
import { describeSettings, type PaperSettings } from './settings.ts';

export interface PaperRunOptions {
  readonly settings: PaperSettings;
  /** In order of time. */
  readonly requests: readonly RequestLine[];
  /** Units in a lot, in billionths: the multiplier of a future, 1,000,000,000 for a share. */
  readonly lotNanos: number;
  say(line: string): void;
}

const BATCH_MESSAGES = 4096;
const NANO_DIGITS = 9;
/** Long after any latency: what is still on its way at the end of the feed arrives. */
const AFTERWARDS_NS = 3_600_000_000_000n;

/** Plays a feed to its end. What is wrong with a request is told as a refusal with its number, and the others go on. */
export async function runPaper(feed: BookFeed, { settings, requests, lotNanos, say }: PaperRunOptions): Promise<void> {
  const fees = new Map<string, { minor: bigint; digits: number }>();
  const sender = createSender(feed.instruments, say);
  const exchange = createOrderExchange({
    settings,
    symbolOf: (index) => ({ tickNanos: feed.instruments[index]!.tickNanos, lotNanos }),
    onReport(report) {
      for (const { currency, minorDigits, minor } of report.fill?.fees ?? []) {
        fees.set(currency, { minor: (fees.get(currency)?.minor ?? 0n) + minor, digits: minorDigits });
      }
      say(lineOf(report, sender.nameOf(report.order), feed.instruments[report.order.symbolIndex]!));
    },
  });
  const world = exchange.openAccount();
  const lastNs = await play(feed, exchange, requests, (request) => sender.send(exchange, world, request));
  exchange.advance(lastNs + AFTERWARDS_NS);
  const totals = Object.fromEntries([...fees].map(([currency, { minor, digits }]) => [currency, formatScaled(minor, digits)]));
  const orders = sender.sent().map(([id, order]) => ({ id, why: [explainOrder(order, settings.model), ...order.fills.map(explainFill)] }));
  say(JSON.stringify({ report: { models: describeSettings(settings), settings, fees: totals, orders } }));
}

interface Sender {
  send(exchange: OrderPaperExchange, world: World, request: RequestLine): void;
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

  function sendNew(exchange: OrderPaperExchange, world: World, request: Extract<RequestLine, { op: 'new' }>): void {
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

/** Sends each request before the first message of a later time; returns the time of the last message or request. */
async function play(
  feed: BookFeed,
  exchange: OrderPaperExchange,
  requests: readonly RequestLine[],
  send: (request: RequestLine) => void,
): Promise<bigint> {
  const batch = createBookBatch(BATCH_MESSAGES);
  let next = 0;
  let lastNs = 0n;
  while ((await feed.read(batch)) > 0) {
    for (let index = 0; index < batch.count; index += 1) {
      lastNs = batch.tsNs[index]!;
      for (; next < requests.length && requests[next]!.ts < lastNs; next += 1) send(requests[next]!);
      exchange.apply(batch, index);
    }
  }
  for (; next < requests.length; next += 1) {
    send(requests[next]!);
    if (requests[next]!.ts > lastNs) lastNs = requests[next]!.ts;
  }
  return lastNs;
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
