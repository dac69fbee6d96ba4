/** Recorded ticks (the formats of a replay) as messages of trades, or of quotes without sizes. */
import { TICK_ASK_F64, TICK_KIND_I32, TICK_PRICE_F64, TICK_QUANTITY_LOTS, TICK_SYMBOL_INDEX_I32 } from '../../../schemas/layout.gen.ts';
import { ORDER_LIMIT } from '../../../schemas/order-records.ts';
import { TICK_KIND } from '../../../schemas/records.ts';
import { SYSTEM_PAUSE } from '../../core/clock.ts';
import { EngineError } from '../../core/errors.ts';
import type { DepthFeed, DepthInstrument, DepthMessage, DepthRefusals } from '../../market/depth-message.ts';
import { parseTickSize } from '../book-feed/options.ts';
import type { Row, SymbolTable } from '../replay/format.ts';
import { type MergedRows, openMerged } from '../replay/merged.ts';
import type { DepthFeedOptions } from './frames.ts';

const NANO_DIGITS = 9;
const WAIT_MS = 1;
const NS_PER_SECOND = 1_000_000_000n;
/** A price may be so far from a tick, in ticks: prices are doubles. */
const TICK_TOLERANCE = 1e-3;
/** A quote without sizes is good for any order. */
const ANY_LOTS = ORDER_LIMIT.quantityMax;

/**
 * Reads the files once to learn which instruments they hold and of what kind they are.
 * @throws EngineError REPLAY_*, FEED_OPTION, FEED_FORMAT when they hold bars, or nothing
 */
export async function openTickFeed(files: readonly string[], format: string | undefined, options: DepthFeedOptions): Promise<DepthFeed> {
  const instruments: DepthInstrument[] = [];
  const found = { quotes: 0, trades: 0 };
  for await (const { i32 } of rowsOf(files, format, { instruments, options })) {
    const kind = i32[TICK_KIND_I32];
    if (kind === TICK_KIND.bar)
      throw new EngineError('FEED_FORMAT', `${files.join(', ')}: bars do not tell what traded when; expected ticks`);
    found[kind === TICK_KIND.quote ? 'quotes' : 'trades'] += 1;
  }
  if (instruments.length === 0) throw new EngineError('FEED_FORMAT', `${files.join(', ')}: no tick of ${options.symbol ?? 'any symbol'}`);
  const refused: DepthRefusals = { malformed: 0, offTick: 0, offLot: 0 };
  return {
    name: 'ticks',
    shows: found.quotes > 0 ? 'quotes' : 'trades',
    hasSizes: false,
    instruments,
    refused,
    gaps: 0,
    messages: () => tell(rowsOf(files, format, { instruments: [], options, refused }), instruments, refused),
  };
}

/** Ticks of one time and symbol are one moment. */
async function* tell(
  rows: AsyncGenerator<Row, undefined>,
  instruments: readonly DepthInstrument[],
  refused: DepthRefusals,
): AsyncGenerator<readonly DepthMessage[], undefined> {
  const openNs = new Map<number, bigint>();
  for await (const row of rows) {
    const symbolIndex = row.i32[TICK_SYMBOL_INDEX_I32]!;
    const tsNs = BigInt(row.seconds) * NS_PER_SECOND + BigInt(row.nanos);
    const before = openNs.get(symbolIndex);
    if (before !== undefined && before < tsNs) yield [{ kind: 'settle', symbolIndex, tsNs: before }];
    openNs.set(symbolIndex, tsNs);
    yield [...messagesOf(row, { symbolIndex, tsNs }, instruments[symbolIndex]!, refused)];
  }
  yield [...openNs].map(([symbolIndex, tsNs]) => ({ kind: 'settle', symbolIndex, tsNs }));
  return undefined;
}

function* messagesOf(
  { i32, f64 }: Row,
  at: Pick<DepthMessage, 'symbolIndex' | 'tsNs'>,
  { tickNanos }: DepthInstrument,
  refused: DepthRefusals,
): Generator<DepthMessage> {
  const ticksOf = (price: number): number | undefined => {
    const exact = (price * 1e9) / tickNanos;
    const ticks = Math.round(exact);
    if (Math.abs(exact - ticks) <= TICK_TOLERANCE && Math.abs(ticks) <= ORDER_LIMIT.priceMax) return ticks;
    refused.offTick += 1;
    return undefined;
  };
  if (i32[TICK_KIND_I32] === TICK_KIND.quote) {
    const [bid, ask] = [ticksOf(f64[TICK_PRICE_F64]!), ticksOf(f64[TICK_ASK_F64]!)];
    if (bid !== undefined) yield { ...at, kind: 'quote', side: 0, priceTicks: bid, lots: ANY_LOTS };
    if (ask !== undefined) yield { ...at, kind: 'quote', side: 1, priceTicks: ask, lots: ANY_LOTS };
    return;
  }
  const priceTicks = ticksOf(f64[TICK_PRICE_F64]!);
  const lots = Number(new BigInt64Array(i32.buffer, i32.byteOffset + TICK_QUANTITY_LOTS, 1)[0]!);
  // Some vendors print a price without a quantity: nothing traded.
  if (priceTicks !== undefined && lots > 0) yield { ...at, kind: 'trade', side: undefined, priceTicks, lots };
}

interface RowParts {
  /** Instruments are appended as they come, in the order of the lines. */
  readonly instruments: DepthInstrument[];
  readonly options: DepthFeedOptions;
  readonly refused?: DepthRefusals;
}

/** Rows of the symbol that is wanted, in the order of the merge. A row is good until the next one. */
async function* rowsOf(files: readonly string[], format: string | undefined, parts: RowParts): AsyncGenerator<Row, undefined> {
  const { instruments, options, refused } = parts;
  const symbols = createTable(instruments, options);
  const rows = await openMerged({ files, symbols, format, symbol: undefined });
  try {
    while (await isReady(rows)) {
      const { row, refusal } = rows.head;
      if (refusal !== 0) {
        if (refused !== undefined && refusal !== UNWANTED) refused.malformed += 1;
      } else yield row;
      rows.advance();
    }
  } finally {
    rows.close();
  }
  return undefined;
}

/** Waits for the next row; false at the end. */
async function isReady(rows: MergedRows): Promise<boolean> {
  for (;;) {
    rows.refresh();
    if (rows.failure !== undefined) throw rows.failure;
    if (rows.state === 'ready') return true;
    if (rows.state === 'ended') return false;
    await SYSTEM_PAUSE(WAIT_MS);
  }
}

/** Code of a symbol that is not wanted: the parser gives it back for each of its lines. */
const UNWANTED = 0x7fff;

function createTable(instruments: DepthInstrument[], { symbol: only, tickSize, lotSize }: DepthFeedOptions): SymbolTable {
  const known = new Map<string, { readonly index: number; readonly lotDecimals: number }>();
  return {
    resolve({ symbol, priceDecimals, lotDecimals }) {
      const found = known.get(symbol);
      if (found !== undefined) return found;
      const isWanted = only === undefined || only === symbol;
      const ref = { index: isWanted ? instruments.length : -UNWANTED, lotDecimals };
      known.set(symbol, ref);
      if (isWanted) {
        instruments.push({
          symbol,
          tickNanos: tickSize === undefined ? 10 ** (NANO_DIGITS - priceDecimals) : parseTickSize(tickSize),
          lotNanos: lotSize === undefined ? 10 ** (NANO_DIGITS - lotDecimals) : parseTickSize(lotSize),
        });
      }
      return ref;
    },
  };
}
