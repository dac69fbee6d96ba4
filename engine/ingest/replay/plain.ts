/** The engine's own forms: CSV with a header line, and NDJSON of tick objects as in the `ticks` topic. */
import { REFUSAL, TICK_KIND } from '../../../schemas/records.ts';
import { EngineError } from '../../core/errors.ts';
import type { LineParser, ParserOptions, ReplayFormat } from './format.ts';
import { scalarFields } from './json-fields.ts';
import { beginRow, createFieldCutter, isSymbolName, setPrice, setQuantity, setQuote, setSymbol, setTimeFromNanos } from './row.ts';

const DECIMALS = { priceDecimals: 2, lotDecimals: 0 };
const TRADE_HEADER = 'symbol,ts_ns,price,quantity';
const QUOTE_HEADER = 'symbol,ts_ns,bid,ask';

/** The header with the symbol column left out, for files of one symbol that the user names. */
const withoutSymbol = (header: string): string => header.slice('symbol,'.length);

export const PLAIN_CSV: ReplayFormat = {
  name: 'csv',
  expectation: `a header line ${TRADE_HEADER} or ${QUOTE_HEADER}`,
  detect: (_name, firstLine) => [TRADE_HEADER, QUOTE_HEADER, withoutSymbol(TRADE_HEADER), withoutSymbol(QUOTE_HEADER)].includes(firstLine),
  createParser: createCsvParser,
};

export const PLAIN_NDJSON: ReplayFormat = {
  name: 'ndjson',
  expectation: 'lines of {"symbol":..,"event_ts":ns,"ltp":price,"vol":quantity}',
  detect: (_name, firstLine) => firstLine.startsWith('{') && firstLine.includes('"event_ts"'),
  createParser: createNdjsonParser,
};

function createCsvParser(options: ParserOptions): LineParser {
  const { firstLine, name } = options;
  const isQuote = firstLine === QUOTE_HEADER || firstLine === withoutSymbol(QUOTE_HEADER);
  const hasSymbol = firstLine.startsWith('symbol,');
  if (!PLAIN_CSV.detect(name, firstLine)) {
    throw new EngineError(
      'REPLAY_HEADER_INVALID',
      `${name.label}: its first line is '${firstLine.slice(0, 80)}', expected ${PLAIN_CSV.expectation}`,
    );
  }
  if (!hasSymbol && options.symbol === undefined) {
    throw new EngineError('REPLAY_SYMBOL_MISSING', `${name.label}: no symbol column, and no symbol was given for its lines`);
  }
  const shift = hasSymbol ? 1 : 0;
  const cutter = createFieldCutter(3 + shift);
  return {
    headerLines: 1,
    parse(line, row) {
      if (!cutter.cut(line)) return REFUSAL.malformed;
      const { fields } = cutter;
      const symbol = hasSymbol ? line.slice(0, fields[0]!.end) : (options.symbol ?? '');
      if (!isSymbolName(symbol)) return REFUSAL.malformed;
      const [time, left, right] = [fields[shift]!, fields[shift + 1]!, fields[shift + 2]!];
      beginRow(row, isQuote ? TICK_KIND.quote : TICK_KIND.trade);
      if (!setTimeFromNanos(row, line.slice(time.start, time.end))) return REFUSAL.malformed;
      if (!(isQuote ? setQuote(row, line, left, right) : setPrice(row, line, left))) return REFUSAL.malformed;
      const ref = options.symbols.resolve({ ...DECIMALS, symbol, kind: isQuote ? 'quote' : 'trade' });
      return setSymbol(row, ref) || (isQuote ? 0 : setQuantity(row, line, right, ref.lotDecimals));
    },
  };
}

function createNdjsonParser(options: ParserOptions): LineParser {
  return {
    headerLines: 0,
    parse(line, row) {
      const fields = scalarFields(line);
      const symbol = fields?.get('symbol');
      const time = fields?.get('event_ts');
      const price = fields?.get('ltp');
      const quantity = fields?.get('vol');
      if (!symbol?.isString || !time || !price || !quantity || price.isString || quantity.isString) return REFUSAL.malformed;
      if (!isSymbolName(symbol.text)) return REFUSAL.malformed;
      beginRow(row, TICK_KIND.trade);
      if (!setTimeFromNanos(row, time.text)) return REFUSAL.malformed;
      if (!setPrice(row, price.text, { start: 0, end: price.text.length })) return REFUSAL.malformed;
      const ref = options.symbols.resolve({ ...DECIMALS, symbol: symbol.text, kind: 'trade' });
      return setSymbol(row, ref) || setQuantity(row, quantity.text, { start: 0, end: quantity.text.length }, ref.lotDecimals);
    },
  };
}
