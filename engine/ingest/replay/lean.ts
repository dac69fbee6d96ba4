/**
 * CSV files in the layout of QuantConnect's data folders: one symbol and one UTC day each, times in ms since midnight, with
 * `date_symbol_resolution_kind[_expiry].csv` as the name. Read are quote ticks, trade ticks of futures and 1 s trade bars.
 */
import { REFUSAL, TICK_KIND } from '../../../schemas/records.ts';
import { EngineError } from '../../core/errors.ts';
import type { FileName, LineParser, ParserOptions, ReplayFormat, Row, SymbolSpec } from './format.ts';
import { beginRow, createFieldCutter, type FieldCutter, setBar, setPrice, setQuantity, setQuote, setSymbol, setTimeFromMs } from './row.ts';

const DAY_SECONDS = 86_400;
const NAME = /^(\d{4})(\d\d)(\d\d)_([a-z0-9]+)_(tick|second|minute|hour|daily)_(quote|trade)(?:_(\d{6}))?\.csv$/i;

interface LeanName {
  readonly daySeconds: number;
  readonly symbol: string;
  readonly content: string;
}

/** Undefined for a name that is not of this kind. */
function parseName(name: FileName): LeanName | undefined {
  const match = NAME.exec(name.base);
  if (!match) return undefined;
  const [, year, month, day, symbol = '', resolution = '', kind = '', expiry] = match;
  const dayMs = Date.parse(`${year}-${month}-${day}T00:00:00Z`);
  if (Number.isNaN(dayMs)) return undefined;
  const content = `${resolution} ${kind}${expiry === undefined ? '' : ' expiry'}`.toLowerCase();
  return { daySeconds: dayMs / 1000, symbol: `${symbol.toUpperCase()}${expiry ?? ''}`, content };
}

type LeanSpec = Omit<SymbolSpec, 'symbol'> & {
  readonly name: string;
  readonly content: string;
  readonly expectation: string;
  readonly fieldCount: number;
  /** Fills a begun row from the cut line; returns 0 or a refusal code. */
  readonly fill: (row: Row, line: string, cutter: FieldCutter, lotDecimals: number) => number;
  readonly rowKind: (typeof TICK_KIND)['trade' | 'quote' | 'bar'];
};

function createFormat(spec: LeanSpec): ReplayFormat {
  return {
    name: spec.name,
    expectation: spec.expectation,
    detect: (name) => parseName(name)?.content === spec.content,
    createParser: (options) => createParser(spec, options),
  };
}

function createParser(spec: LeanSpec, options: ParserOptions): LineParser {
  const name = parseName(options.name);
  if (!name) throw new EngineError('REPLAY_NAME_INVALID', `${options.name.label}: ${spec.name} expects ${spec.expectation}`);
  const symbol = options.symbol ?? name.symbol;
  const cutter = createFieldCutter(spec.fieldCount);
  const { kind, priceDecimals, lotDecimals } = spec;
  return {
    headerLines: 0,
    parse(line, row) {
      if (!cutter.cut(line)) return REFUSAL.malformed;
      beginRow(row, spec.rowKind);
      if (!setTimeFromMs(row, name.daySeconds, line, cutter.fields[0]!)) return REFUSAL.malformed;
      if (row.seconds >= name.daySeconds + DAY_SECONDS) return REFUSAL.malformed;
      const ref = options.symbols.resolve({ symbol, kind, priceDecimals, lotDecimals });
      return setSymbol(row, ref) || spec.fill(row, line, cutter, ref.lotDecimals);
    },
  };
}

export const LEAN_QUOTE: ReplayFormat = createFormat({
  name: 'lean-quote',
  content: 'tick quote',
  expectation: 'a CSV named like 20140501_eurusd_tick_quote.csv with lines of ms,bid,ask',
  kind: 'quote',
  rowKind: TICK_KIND.quote,
  priceDecimals: 5,
  lotDecimals: 0,
  fieldCount: 3,
  fill: (row, line, { fields }) => (setQuote(row, line, fields[1]!, fields[2]!) ? 0 : REFUSAL.malformed),
});

export const LEAN_FUTURE: ReplayFormat = createFormat({
  name: 'lean-future',
  content: 'tick trade expiry',
  expectation: 'a CSV named like 20131007_gc_tick_trade_201312.csv with lines of ms,price,quantity,exchange,condition,suspicious',
  kind: 'trade',
  rowKind: TICK_KIND.trade,
  priceDecimals: 1,
  lotDecimals: 0,
  fieldCount: 6,
  fill: (row, line, { fields }, lotDecimals) =>
    setPrice(row, line, fields[1]!) ? setQuantity(row, line, fields[2]!, lotDecimals) : REFUSAL.malformed,
});

export const LEAN_BAR: ReplayFormat = createFormat({
  name: 'lean-bar',
  content: 'second trade',
  expectation: 'a CSV named like 20161007_btcusd_second_trade.csv with lines of ms,open,high,low,close,volume',
  kind: 'trade',
  rowKind: TICK_KIND.bar,
  priceDecimals: 2,
  lotDecimals: 8,
  fieldCount: 6,
  fill: (row, line, { fields }, lotDecimals) =>
    setBar(row, line, fields, 1) ? setQuantity(row, line, fields[5]!, lotDecimals) : REFUSAL.malformed,
});
