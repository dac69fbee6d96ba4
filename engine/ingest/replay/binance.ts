/**
 * Raw Binance websocket frames: local receive time in ns, a space, and the frame `{"stream":..,"data":{..}}`. Trades become
 * ticks at their trade time `T`; every other frame is understood and carries no tick.
 */
import { REFUSAL, TICK_KIND } from '../../../schemas/records.ts';
import { IGNORED, type LineParser, type ParserOptions, type ReplayFormat } from './format.ts';
import { beginRow, type Field, isSymbolName, setPrice, setQuantity, setSymbol, setTimeFromEpochMs } from './row.ts';

const FIRST_LINE = /^\d{16,19} \{/;
const TRADE = '"e":"trade"';
const PRICE_DECIMALS = 8;
const LOT_DECIMALS = 8;

export const BINANCE: ReplayFormat = {
  name: 'binance',
  expectation: 'lines of local ns, a space and a websocket frame {"stream":..,"data":{..}}',
  detect: (_name, firstLine) => FIRST_LINE.test(firstLine),
  createParser,
};

function createParser(options: ParserOptions): LineParser {
  const field: Field = { start: 0, end: 0 };
  return {
    headerLines: 0,
    parse(line, row) {
      const data = line.indexOf(TRADE);
      if (data === -1) return isFrame(line) ? IGNORED : REFUSAL.malformed;
      if (!isFrame(line)) return REFUSAL.malformed;
      if (!findText(line, data, '"s":"', field)) return REFUSAL.malformed;
      const symbol = line.slice(field.start, field.end);
      if (!isSymbolName(symbol)) return REFUSAL.malformed;
      beginRow(row, TICK_KIND.trade);
      if (!findNumber(line, data, '"T":', field) || !setTimeFromEpochMs(row, line, field)) return REFUSAL.malformed;
      if (!findText(line, data, '"p":"', field) || !setPrice(row, line, field)) return REFUSAL.malformed;
      if (!findText(line, data, '"q":"', field)) return REFUSAL.malformed;
      const ref = options.symbols.resolve({ symbol, kind: 'trade', priceDecimals: PRICE_DECIMALS, lotDecimals: LOT_DECIMALS });
      return setSymbol(row, ref) || setQuantity(row, line, field, ref.lotDecimals);
    },
  };
}

/** A line as the recorder writes it, complete to the closing brace. */
function isFrame(line: string): boolean {
  return FIRST_LINE.test(line) && line.endsWith('}');
}

/** Finds the string value after `key`, which includes the opening quote. */
function findText(line: string, from: number, key: string, field: Field): boolean {
  const at = line.indexOf(key, from);
  if (at === -1) return false;
  field.start = at + key.length;
  field.end = line.indexOf('"', field.start);
  return field.end !== -1;
}

function findNumber(line: string, from: number, key: string, field: Field): boolean {
  const at = line.indexOf(key, from);
  if (at === -1) return false;
  field.start = at + key.length;
  field.end = field.start;
  while (line.charCodeAt(field.end) >= 48 && line.charCodeAt(field.end) <= 57) field.end += 1;
  return field.end > field.start;
}
