/** Bad input on the wire: each is refused with its number, and the books are as before. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../engine/core/clock.ts';
import { createLogger } from '../../engine/core/log.ts';
import { type ExchangeHost, openExchangeHost } from '../../engine/runtime/exchange-host.ts';
import { quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { migrate } from '../../engine/sinks/postgres/migrate.ts';
import { BOOKS_JSON } from '../order-requests.ts';
import { readTables, type Tables } from './exchange-harness.ts';
import { configWith, startServer, type TestServer } from './postgres-harness.ts';

const schema = `t_exchange_refusals_${process.pid}`;
let testServer: TestServer;
let folder: string;
let host: ExchangeHost;
const said: string[] = [];

beforeAll(async () => {
  testServer = await startServer();
  folder = mkdtempSync(join(tmpdir(), 'tickwright-refusals-'));
  writeFileSync(join(folder, 'books.json'), BOOKS_JSON);
  const { connectionString } = testServer.server;
  await migrate(connectionString, schema, []);
  host = await openExchangeHost({
    config: configWith({
      MATCHER: 'on',
      MATCHER_HOST: '0.0.0.0',
      MATCHER_PORT: 0,
      STATE_DIR: folder,
      BOOKS_FILE: join(folder, 'books.json'),
    }),
    database: { connectionString, schema },
    kafka: undefined,
    run: 1,
    clock: SYSTEM_CLOCK,
    pause: SYSTEM_PAUSE,
    log: createLogger('silent', '-'),
    say: (line) => said.push(line),
  });
  // Two orders that rest, one that is done, and one behind which a stop waits.
  for (const request of [
    { client_order_id: 'bid', side: 'BUY', qty: 5, price: 99 },
    { client_order_id: 'ask', side: 'SELL', qty: 5, price: 101 },
    { client_order_id: 'done', side: 'BUY', qty: 2, price: 101 },
    { client_order_id: 'stop', side: 'BUY', qty: 1, order_type: 'STP', stop_price: 105 },
  ]) {
    expect(await sendLine(JSON.stringify({ op: 'new', symbol: 'AAA', ...request }))).toMatchObject({ ok: true });
  }
});
afterAll(async () => {
  await host.close();
  rmSync(folder, { recursive: true, force: true });
  await withConnection(testServer.server.connectionString, undefined, (client) =>
    client.query(`drop schema ${quoteIdentifier(schema)} cascade`),
  );
  await testServer.close();
});

/** One line on a connection of its own, as bytes or text; what comes back. */
async function sendLine(line: string | Buffer): Promise<Record<string, unknown>> {
  const socket = connect({ port: host.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write(line);
  socket.write('\n');
  const reply = await text(socket);
  socket.end();
  // A cast: the reply of the exchange, of which single members are looked at.
  return JSON.parse(reply) as Record<string, unknown>;
}

const tables = (): Promise<Tables> => readTables(testServer.server.connectionString, schema);
const order = (changes: object): string => JSON.stringify({ op: 'new', symbol: 'AAA', side: 'BUY', qty: 1, price: 100, ...changes });
const about = (op: string, changes: object): string => JSON.stringify({ op, ...changes });

describe('bad input on the wire', () => {
  it.each<[what: string, line: string | Buffer, reason: number, word: string]>([
    ['an unknown symbol', order({ symbol: 'ZZZ' }), 104, 'no_book'],
    ['an exec of an unknown symbol', about('exec', { symbol: 'ZZZ', side: 'BUY', qty: 1 }), 104, 'no_book'],
    ['a duplicate id of an order that rests', order({ client_order_id: 'bid' }), 107, 'duplicate_client_order_id'],
    ['a duplicate id of an order that is done', order({ client_order_id: 'done' }), 107, 'duplicate_client_order_id'],
    ['a quantity of zero', order({ qty: 0 }), 8, 'quantity_not_positive'],
    ['a negative quantity', order({ qty: -5 }), 8, 'quantity_not_positive'],
    ['an exec of a negative quantity', about('exec', { symbol: 'AAA', side: 'SELL', qty: -1 }), 8, 'quantity_not_positive'],
    ['a part of a lot', order({ qty: 0.5 }), 103, 'bad_args'],
    ['a quantity that is text', order({ qty: '5' }), 103, 'bad_args'],
    ['a price between ticks', order({ price: 100.001 }), 13, 'off_tick'],
    ['a price between the steps of its book', order({ price: 100.01 }), 13, 'off_tick'],
    ['a quantity that overflows', order({ qty: 2 ** 53 }), 9, 'quantity_too_large'],
    ['a quantity beyond the greatest', order({ qty: 2 ** 30 + 1 }), 9, 'quantity_too_large'],
    ['a quantity of digits without end', `{"op":"new","symbol":"AAA","side":"BUY","qty":${'9'.repeat(400)},"price":100}`, 103, 'bad_args'],
    ['a price that overflows', order({ price: 1e300 }), 12, 'price_out_of_range'],
    ['a negative price that overflows', order({ price: -1e15 }), 12, 'price_out_of_range'],
    ['an expiry that overflows', order({ tif: 'GTD', valid_until: 1e18 }), 103, 'bad_args'],
    ['an order_id that overflows', about('cancel', { order_id: '99999999999999999999' }), 103, 'bad_args'],
    ['a cancel of an order that is done', about('cancel', { client_order_id: 'done' }), 26, 'unknown_order'],
    ['a cancel of an order that never was', about('cancel', { order_id: 4_000_000 }), 26, 'unknown_order'],
    ['a cancel of nothing', about('cancel', {}), 103, 'bad_args'],
    ['a reduce of an order that is done', about('reduce', { client_order_id: 'done', qty: 1 }), 26, 'unknown_order'],
    ['a reduce by zero', about('reduce', { client_order_id: 'bid', qty: 0 }), 8, 'quantity_not_positive'],
    ['a replace to a price between ticks', about('replace', { client_order_id: 'bid', qty: 5, price: 99.01 }), 13, 'off_tick'],
    ['a move of an order that is done', about('move', { client_order_id: 'done', price: 100 }), 26, 'unknown_order'],
    ['a move of a stop', about('move', { client_order_id: 'stop', price: 100 }), 4, 'unsupported_combination'],
    ['no JSON', 'cancel everything', 105, 'bad_json'],
    ['half of an object', '{"op":"new"', 105, 'bad_json'],
    ['a list', '[1,2]', 105, 'bad_json'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00, 0x80]), 105, 'bad_json'],
    ['an object nested too deep', `{"op":"new","extra":${'['.repeat(40)}${']'.repeat(40)}}`, 105, 'bad_json'],
    ['a line without an op', '{}', 101, 'missing_op'],
    ['an unknown op', '{"op":"steal"}', 102, 'unknown_op'],
    ['a line that is too long', `{"op":"ping","x":"${'x'.repeat(65_536)}"}`, 106, 'line_too_long'],
  ])('refuses %s, and leaves the books as they were', async (_what, line, reason, word) => {
    const before = await tables();
    expect(await sendLine(line)).toMatchObject({ ok: false, reason, err: word });
    const after = await tables();
    expect(after.books).toEqual(before.books);
    expect(after.fills).toEqual(before.fills);
    expect(after.orders.filter((row) => !row.includes(' REJECTED '))).toEqual(before.orders.filter((row) => !row.includes(' REJECTED ')));
  });

  it('goes on after all of it', async () => {
    expect(await sendLine(about('exec', { symbol: 'AAA', side: 'BUY', qty: 1 }))).toMatchObject({
      ok: true,
      fills: [{ qty: 1, price: 101 }],
    });
  });

  it('says at the start and in the health that others can reach the port, as it listens on every address', () => {
    const warning = `orders are taken from whoever reaches 0.0.0.0:${host.port}, without authentication`;
    expect(said.join('\n')).toContain(`WARNING: ${warning}`);
    expect(host.health()).toMatchObject([{ name: 'exchange', isUp: true, detail: expect.stringContaining(warning) }]);
  });
});
