/** COPY rows of the encode kernel, taken in by a real PostgreSQL and read back. */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createBarEncoder } from '../../engine/kernel/encode.ts';
import { vwapOf } from '../../engine/kernel/encode-twin.ts';
import { allocateSymbols, openSymbols } from '../../engine/market/instruments.ts';
import { type Connection, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { copyChunks } from '../../engine/sinks/postgres/copy.ts';
import { BAR_SIZE } from '../../schemas/layout.gen.ts';
import { type Column, quoteBarColumns, tradeBarColumns } from '../../schemas/tables.ts';
import { anyBar, BAR_NAMES, BAR_TIMEFRAMES, type Bar, putBar } from '../bars.ts';
import { startServer, type TestServer } from './postgres-harness.ts';

const HEADER = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const TRAILER = Buffer.from([0xff, 0xff]);
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const RUN = 42;

let postgres: TestServer;
beforeAll(async () => {
  postgres = await startServer();
});
afterAll(() => postgres.close());

function setUp() {
  const symbols = openSymbols(allocateSymbols(BAR_NAMES.length));
  for (const [index, name] of BAR_NAMES.entries()) {
    symbols.write(index, { name, partition: 0, shard: 0, localIndex: index, priceDecimals: 2, lotDecimals: 0, isQuote: false });
  }
  return createBarEncoder(symbols, BAR_TIMEFRAMES);
}

/** Makes a temporary table of these columns, copies into it, and reads every row back as text, doubles in their shortest form. */
async function copyAndRead(client: Connection, columns: readonly Column[], rows: Uint8Array): Promise<(string | null)[][]> {
  const list = columns.map(({ name, type }) => `${name} ${type}`).join(', ');
  await client.query(`create temporary table copied (n_row serial, ${list})`);
  const names = columns.map(({ name }) => name).join(', ');
  await copyChunks(client, `copy copied (${names}) from stdin (format binary)`, [HEADER, Buffer.from(rows), TRAILER]);
  const read = columns.map(({ name, type }) => (type === 'timestamptz' ? `extract(epoch from ${name})::bigint::text` : `${name}::text`));
  const result = await client.query<(string | null)[]>({ text: `select ${read.join(', ')} from copied order by n_row`, rowMode: 'array' });
  await client.query('drop table copied');
  return result.rows;
}

function expectedRow(bar: Bar, vwap: number | null): (string | number | null)[] {
  const [open, close, high, low, askOpen, askClose, askHigh, askLow] = bar.prices;
  const [count, revision, late] = bar.counts.map(String);
  const key = [BAR_NAMES[bar.symbolIndex]!, String(bar.tsSeconds)];
  const tail = [String(bar.firstNs), String(bar.lastNs), String(RUN)];
  if (bar.isQuote) return [...key, open!, high!, low!, close!, askOpen!, askHigh!, askLow!, askClose!, count!, revision!, late!, ...tail];
  const notional = bar.isNotionalUnknown ? null : String(bar.notional);
  return [...key, open!, high!, low!, close!, String(bar.volumeLots), count!, revision!, late!, vwap, notional, ...tail];
}

/** Text of a double column to a number; other columns stay text. */
function parseRow(columns: readonly Column[], row: readonly (string | null)[]): (string | number | null)[] {
  return row.map((value, index) => (value !== null && columns[index]?.type === 'double precision' ? Number(value) : value));
}

it('PostgreSQL takes every kind of row as it is meant', async () => {
  const encoder = setUp();
  await withConnection(postgres.server.connectionString, undefined, async (client) => {
    await client.query("set timezone to 'UTC'");
    const bars = fc.sample(anyBar, { numRuns: 2000, seed: SEED });
    for (const [i, bar] of bars.entries()) putBar(encoder, i, bar);
    const vwaps = bars.map((_, i) => vwapOf(encoder, encoder.inputI32Index + (i * BAR_SIZE) / 4));
    for (const [timeframeIndex, timeframe] of BAR_TIMEFRAMES.entries()) {
      for (const isQuote of [false, true]) {
        const columns = isQuote ? quoteBarColumns() : tradeBarColumns(timeframe);
        const rows = await copyAndRead(client, columns, encoder.copyRows(bars.length, timeframeIndex, isQuote, RUN));
        const expected = bars.flatMap((bar, i) =>
          bar.timeframeIndex === timeframeIndex && bar.isQuote === isQuote ? [expectedRow(bar, vwaps[i] ?? null)] : [],
        );
        expect(expected.length).toBeGreaterThan(50);
        expect(
          rows.map((row) => parseRow(columns, row)),
          `${timeframe}, quotes: ${isQuote}, SEED=${SEED}`,
        ).toEqual(expected);
      }
    }
  });
});
