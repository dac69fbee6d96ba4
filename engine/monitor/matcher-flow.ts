/**
 * `npm run matcher -- --flow FILE`: sends the commands of an XC-1 file through the matcher and prints what came of them as one JSON line.
 *
 * A line of the file is `{"op":0,"id":1,"side":0,"px":49990,"qty":12}`: op 0 a GTC limit order, 1 an immediate-or-cancel one, 2 a cancel (op and id
 * only), 3 a move to another price. Side 0 buys, 1 sells.
 */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import * as L from '../../schemas/order-layout.gen.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { createMatcher, type Matcher } from '../kernel/matcher.ts';
import { attributesOf, newCommand, OPEN_INSTRUMENT, type OrderCommand, writeCommand } from '../market/order-command.ts';

/** Of all trades of the flow; best prices are left out when a side is empty. */
export interface FlowOutcome {
  readonly trades: number;
  readonly allTrades: number;
  readonly qty: number;
  /** For each trade `hash = (hash x 31 + maker id x 7 + quantity x 13 + price)` in 32 bits, signed. */
  readonly hash: number;
  readonly resting: number;
  readonly bestBid?: number;
  readonly bestAsk?: number;
  /** Prices with orders: bids, asks. */
  readonly levels: readonly [number, number];
}

export interface FlowResult {
  readonly outcome: FlowOutcome;
  readonly refused: number;
}

const BATCH = 4096;
const ORDERS_MAX = 1 << 20;
const PAGES_MAX = 4096;
const OP_CANCEL = 2;
const OP_MOVE = 3;
const OP_IMMEDIATE = 1;

const id = z.int().min(1);
const int32 = z.int().min(-0x80000000).max(0x7fffffff);
const order = { id, side: z.union([z.literal(0), z.literal(1)]), px: int32, qty: int32 };
const LINE = z.discriminatedUnion('op', [
  z.object({ op: z.literal(0), ...order }),
  z.object({ op: z.literal(OP_IMMEDIATE), ...order }),
  z.object({ op: z.literal(OP_CANCEL), id }),
  z.object({ op: z.literal(OP_MOVE), id, px: int32 }),
]);
type FlowLine = z.infer<typeof LINE>;

/** Prints the outcome; refusals, which an XC-1 flow has none of, go to standard error. Returns the exit code. */
export async function runMatcherFlow(file: string): Promise<number> {
  const { outcome, refused } = await matchFlow(file);
  if (refused > 0) console.error(`${file}: ${refused} commands were refused`);
  console.log(JSON.stringify(outcome));
  return 0;
}

/** @throws EngineError FLOW_LINE, FLOW_ABSENT */
export async function matchFlow(file: string): Promise<FlowResult> {
  const book = createFlowBook();
  let lineNumber = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
      lineNumber += 1;
      if (line.trim() !== '') book.send(commandOf(parseLine(line, `${file}:${lineNumber}`)));
    }
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError('FLOW_ABSENT', `flow ${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
  return book.finish();
}

function parseLine(line: string, where: string): FlowLine {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new EngineError('FLOW_LINE', `${where}: '${line.slice(0, 80)}': expected JSON`, { cause });
  }
  const parsed = LINE.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new EngineError('FLOW_LINE', `${where}: ${issue?.path.join('.') || 'line'} of '${line.slice(0, 80)}': ${issue?.message}`);
}

/** The command of a line. A move keeps its quantity. */
export function commandOf(line: FlowLine): OrderCommand {
  const orderId = BigInt(line.id);
  if (line.op === OP_CANCEL) return newCommand({ kind: L.COMMAND_KIND_CANCEL, orderId });
  if (line.op === OP_MOVE) return newCommand({ kind: L.COMMAND_KIND_MOVE, orderId, priceTicks: line.px });
  const timeInForce = line.op === OP_IMMEDIATE ? L.TIME_IN_FORCE_IOC : L.TIME_IN_FORCE_GTC;
  return newCommand({ orderId, priceTicks: line.px, quantityLots: line.qty, attributes: attributesOf({ side: line.side, timeInForce }) });
}

interface FlowBook {
  send(command: OrderCommand): void;
  finish(): FlowResult;
}

function createFlowBook(): FlowBook {
  const matcher = createMatcher({ symbols: 1, orders: ORDERS_MAX, pages: PAGES_MAX, owners: 1, commandCapacity: BATCH });
  matcher.configure(0, OPEN_INSTRUMENT);
  matcher.setEventMask([L.EVENT_KIND_TRADE, L.EVENT_KIND_REJECTED]);
  const counts = { trades: 0, qty: 0, hash: 0, refused: 0 };
  let waiting = 0;
  const flush = (): void => {
    for (let done = 0; done < waiting; ) {
      done += matcher.run(waiting - done, done);
      for (let index = 0; index < matcher.eventCount(); index += 1) countEvent(matcher.events.view, index * L.ORDER_EVENT_SIZE, counts);
    }
    waiting = 0;
  };
  return {
    send(command) {
      writeCommand(matcher.commands.view, waiting * L.ORDER_COMMAND_SIZE, command);
      waiting += 1;
      if (waiting === BATCH) flush();
    },
    finish() {
      flush();
      return { outcome: outcomeOf(matcher, counts), refused: counts.refused };
    },
  };
}

interface FlowCounts {
  trades: number;
  qty: number;
  hash: number;
  refused: number;
}

function countEvent(view: DataView, at: number, counts: FlowCounts): void {
  if ((view.getInt32(at + L.ORDER_EVENT_KIND, true) & 0xff) !== L.EVENT_KIND_TRADE) {
    counts.refused += 1;
    return;
  }
  const lots = view.getInt32(at + L.ORDER_EVENT_QUANTITY_LOTS, true);
  const price = view.getInt32(at + L.ORDER_EVENT_PRICE_TICKS, true);
  const makerId = Number(view.getBigUint64(at + L.ORDER_EVENT_OTHER_ID, true));
  counts.trades += 1;
  counts.qty += lots;
  counts.hash = (Math.imul(counts.hash, 31) + makerId * 7 + lots * 13 + price) | 0;
}

function outcomeOf(matcher: Matcher, { trades, qty, hash }: FlowCounts): FlowOutcome {
  const [bids, asks] = [matcher.levels(0, 0), matcher.levels(0, 1)];
  const best = { bestBid: bids[0]?.priceTicks, bestAsk: asks[0]?.priceTicks };
  return {
    trades,
    allTrades: trades,
    qty,
    hash,
    resting: [...bids, ...asks].reduce((sum, level) => sum + level.orders, 0),
    ...(best.bestBid === undefined ? {} : { bestBid: best.bestBid }),
    ...(best.bestAsk === undefined ? {} : { bestAsk: best.bestAsk }),
    levels: [bids.length, asks.length],
  };
}
