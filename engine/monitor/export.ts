/** Writes the bars in Postgres as text: times in whole milliseconds, numbers as exact decimals. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Config } from '../../config/knobs.ts';
import { EngineError } from '../core/errors.ts';
import { type Connection, codeOf, quoteIdentifier, withConnection } from '../sinks/postgres/connection.ts';
import { openPostgres } from '../sinks/postgres/server.ts';
import { divideByPowerOfTen, plainDecimal } from './plain-decimal.ts';

export interface ExportOptions {
  readonly timeframe: string;
  readonly symbol?: string;
  readonly format: 'csv' | 'ndjson';
  readonly kind: 'trades' | 'quotes';
}

/** How the text of a column becomes the text of a field. */
type Shape = 'text' | 'decimal' | 'whole' | 'long' | 'lots';

interface ExportColumn {
  readonly name: string;
  readonly expression: string;
  readonly shape: Shape;
}

const ROWS_PER_FETCH = 5000;

const TIME: ExportColumn = { name: 'ts_ms', expression: '(extract(epoch from b.ts) * 1000)::bigint', shape: 'whole' };

/** Values that exceed 2^53 are strings in JSON; in CSV there is no difference. */
const ENDS: readonly ExportColumn[] = [...columns(['rev', 'late'], 'whole'), ...columns(['first_ns', 'last_ns'], 'long')];

const TRADES: readonly ExportColumn[] = [
  ...columns(['symbol'], 'text'),
  TIME,
  ...columns(['o', 'h', 'l', 'c'], 'decimal'),
  ...columns(['vol'], 'lots'),
  ...columns(['n_trades'], 'whole'),
  ...columns(['vwap'], 'decimal'),
  ...ENDS,
];

const QUOTES: readonly ExportColumn[] = [
  ...columns(['symbol'], 'text'),
  TIME,
  ...columns(['bid_o', 'bid_h', 'bid_l', 'bid_c', 'ask_o', 'ask_h', 'ask_l', 'ask_c'], 'decimal'),
  ...columns(['n'], 'whole'),
  ...ENDS,
];

function columns(names: readonly string[], shape: Shape): ExportColumn[] {
  return names.map((name) => ({ name, expression: `b.${name}`, shape }));
}

/**
 * Streams the bars of a timeframe to `out`, ordered by time and symbol. Uses the embedded server when no other is named, started if need be.
 * A reader that goes away (EPIPE, as with `| head`) ends it quietly.
 * @returns the exit code, 0
 * @throws EngineError EXPORT_TIMEFRAME, EXPORT_SYMBOL, EXPORT_INSTRUMENT, and those of opening the server
 */
export async function runExport(config: Config, options: ExportOptions, out: Writable): Promise<number> {
  const server = await openPostgres(config, (text) => process.stderr.write(`${text}\n`));
  let lost: Error | undefined;
  const onError = (error: Error): void => {
    lost = error;
  };
  out.on('error', onError);
  try {
    await withConnection(server.connectionString, config.PG_SCHEMA, (client) => streamBars(client, options, { out, lost: () => lost }));
  } finally {
    out.off('error', onError);
    await server.stop();
  }
  if (lost !== undefined && codeOf(lost) !== 'EPIPE') throw lost;
  return 0;
}

interface Target {
  readonly out: Writable;
  lost(): Error | undefined;
}

async function streamBars(client: Connection, options: ExportOptions, target: Target): Promise<void> {
  const shapes = options.kind === 'trades' ? TRADES : QUOTES;
  const table = `${options.kind === 'trades' ? 'bars' : 'quotes'}_${options.timeframe}`;
  await assertTable(client, table);
  if (options.symbol !== undefined) await assertSymbol(client, options.symbol);
  await client.query('begin isolation level repeatable read read only');
  const where = options.symbol === undefined ? '' : 'where b.symbol = $1';
  await client.query(
    `declare bars no scroll cursor for select i.lot_decimals::text, ${shapes.map(({ expression }) => `${expression}::text`).join(', ')}
     from ${quoteIdentifier(table)} b left join instruments i using (symbol) ${where} order by b.ts, b.symbol`,
    options.symbol === undefined ? [] : [options.symbol],
  );
  if (options.format === 'csv') await write(target, `${shapes.map(({ name }) => name).join(',')}\n`);
  const line = options.format === 'csv' ? csvLine : jsonLine;
  for (;;) {
    const { rows } = await client.query<(string | null)[]>({ text: `fetch ${ROWS_PER_FETCH} from bars`, rowMode: 'array' });
    if (rows.length === 0 || target.lost() !== undefined) return;
    await write(target, rows.map((row) => line(shapes, fieldsOf(shapes, row))).join(''));
  }
}

async function assertTable(client: Connection, table: string): Promise<void> {
  const { rows } = await client.query<{ found: boolean }>('select to_regclass($1) is not null as found', [quoteIdentifier(table)]);
  if (rows[0]?.found) return;
  throw new EngineError(
    'EXPORT_TIMEFRAME',
    `export: there is no table ${table}; run the engine with that timeframe in TIMEFRAMES, or check PG_SCHEMA`,
  );
}

async function assertSymbol(client: Connection, symbol: string): Promise<void> {
  const { rows } = await client.query('select 1 from instruments where symbol = $1', [symbol]);
  if (rows.length === 0)
    throw new EngineError('EXPORT_SYMBOL', `export: no bars of symbol '${symbol}'; table instruments names those that there are`);
}

/** Texts of the fields of a row; null stays null. */
function fieldsOf(shapes: readonly ExportColumn[], [lotDecimals, ...values]: (string | null)[]): (string | null)[] {
  return shapes.map(({ shape }, index) => {
    const value = values[index] ?? null;
    if (value === null) return null;
    if (shape === 'decimal') return plainDecimal(value);
    if (shape !== 'lots') return value;
    if (lotDecimals == null) {
      throw new EngineError('EXPORT_INSTRUMENT', `export: ${values[0]} is not in table instruments, so the size of its lots is unknown`);
    }
    return divideByPowerOfTen(value, Number(lotDecimals));
  });
}

function csvLine(_: readonly ExportColumn[], fields: readonly (string | null)[]): string {
  return `${fields.map((field) => (field === null ? '' : csvField(field))).join(',')}\n`;
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function jsonLine(shapes: readonly ExportColumn[], fields: readonly (string | null)[]): string {
  const members = shapes.map(({ name, shape }, index) => {
    const field = fields[index] ?? null;
    const isText = shape === 'text' || shape === 'long';
    return `"${name}":${field === null || !isText ? field : JSON.stringify(field)}`;
  });
  return `{${members.join(',')}}\n`;
}

/** Writes a piece and waits until there is room for the next, or the reader is gone. */
async function write({ out, lost }: Target, text: string): Promise<void> {
  if (lost() !== undefined || out.write(text)) return;
  // `close` and `error` end the wait too; what happened is looked up by the caller.
  await Promise.race([once(out, 'drain'), once(out, 'close')]).catch(() => undefined);
}
