import { describe, expect, it } from 'vitest';
import { appendMessage, BOOK_ACTION, BOOK_FLAG, type BookFeed, type BookMessage } from '../../market/book-message.ts';
import { openSeededFlow } from '../twin/seeded-flow.ts';
import { runPaper } from './paper-run.ts';
import { parseRequestLines } from './request-lines.ts';
import { parsePaperSettings } from './settings.ts';

const SHARE_NANOS = 1_000_000_000;

/** A feed of one instrument with a tick of a cent. */
function feedOf(messages: readonly (Partial<BookMessage> & Pick<BookMessage, 'action' | 'tsNs'>)[]): BookFeed {
  let next = 0;
  return {
    name: 'written by hand',
    instruments: [{ symbol: 'AAPL', tickNanos: 10_000_000 }],
    refused: { offTick: 0, priceOutOfRange: 0, quantityOutOfRange: 0, malformed: 0 },
    ignored: 0,
    read(batch) {
      batch.count = 0;
      while (next < messages.length && appendMessage(batch, { flags: BOOK_FLAG.last, ...messages[next]! })) next += 1;
      return Promise.resolve(batch.count);
    },
    close: () => Promise.resolve(),
  };
}

const MARKET = [
  { tsNs: 1000n, action: BOOK_ACTION.add, side: 1, orderId: 1n, priceTicks: 10_002, quantityLots: 50 },
  { tsNs: 1000n, action: BOOK_ACTION.add, side: 0, orderId: 2n, priceTicks: 10_000, quantityLots: 30 },
  { tsNs: 5000n, action: BOOK_ACTION.add, side: 0, orderId: 3n, priceTicks: 10_000, quantityLots: 20 },
  { tsNs: 6000n, action: BOOK_ACTION.execute, side: 0, orderId: 2n, priceTicks: 10_000, quantityLots: 30 },
  { tsNs: 7000n, action: BOOK_ACTION.execute, side: 0, orderId: 3n, priceTicks: 10_000, quantityLots: 5 },
] as const;

async function play(requests: readonly object[], settings: object = {}): Promise<Record<string, unknown>[]> {
  const lines: string[] = [];
  await runPaper(feedOf(MARKET), {
    settings: parsePaperSettings(settings),
    requests: parseRequestLines(requests.map((request) => JSON.stringify(request)).join('\n')),
    lotNanos: SHARE_NANOS,
    say: (line) => lines.push(line),
  });
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('requests against a recorded market', () => {
  it('each answer comes with its reasons, and the report with the models, the fees and every order', async () => {
    const settings = { response: { kind: 'constant', ns: 40 }, fees: { kind: 'indiaEquity', product: 'intraday' } };
    const lines = await play(
      [
        { op: 'new', ts: '2000', id: 'maker', side: 'buy', price: '100.00', quantity: 10 },
        { op: 'new', ts: '2500', id: 'taker', side: 'buy', type: 'market', quantity: 100, timeInForce: 'ioc' },
        { op: 'replace', ts: '6500', id: 'maker', price: '100.00', quantity: 8 },
      ],
      settings,
    );
    expect(lines.slice(0, -1)).toMatchObject([
      { event: 'accepted', order: 'maker', ts: '2000', localTs: '2040', leaves: 10 },
      { event: 'accepted', order: 'taker', ts: '2500' },
      { event: 'fill', order: 'taker', price: '100.020000000', quantity: 50, liquidity: 'taker', cause: 'took', leaves: 50 },
      { event: 'cancelled', order: 'taker', reason: 30, reasonName: 'remainder' },
      { event: 'replaced', order: 'maker', leaves: 8 },
      {
        event: 'fill',
        order: 'maker',
        ts: '7000',
        price: '100.000000000',
        quantity: 5,
        liquidity: 'maker',
        cause: 'turn',
        aheadAtEntry: 30,
        ahead: 0,
        leaves: 3,
      },
    ]);
    // 50 x 100.02 = 5,001: brokerage 1.50, exchange 0.15, SEBI 0.01, stamp 0.15, GST 0.30; 5 x 100 = 500: 0.15, 0.02, 0.00, 0.02, 0.03.
    const { report } = lines.at(-1) as {
      report: { models: string; fees: object; settings: object; orders: { id: string; why: string[] }[] };
    };
    expect(report.fees).toEqual({ INR: '2.33' });
    expect(report.settings).toMatchObject(settings);
    expect(report.models).toContain('queue exact; latency feed 0 ns, entry 0 ns, response 40 ns');
    expect(report.orders.map(({ id }) => id)).toEqual(['maker', 'taker']);
    expect(report.orders[0]!.why[0]).toContain('30 lots ahead at entry, 0 lots now');
  });

  it('wrong ones are refused with their numbers, and the others go on', async () => {
    const order = { op: 'new', ts: '2000', side: 'buy', price: '100.00', quantity: 1 };
    const lines = await play([
      { ...order, id: 'a', symbol: 'MSFT' },
      { ...order, id: 'b', price: '100.001' },
      { ...order, id: 'c' },
      { ...order, id: 'c' },
      { ...order, id: 'd', quantity: 0 },
      { op: 'cancel', ts: '2100', id: 'nobody' },
      { op: 'cancel', ts: '2100', id: 'c' },
      { op: 'cancel', ts: '2200', id: 'c' },
    ]);
    expect(lines.slice(0, -1).map(({ event, order: name, reasonName }) => [event, name, reasonName])).toEqual([
      ['refused', 'a', 'unknownSymbol'],
      ['refused', 'b', 'offTick'],
      ['refused', 'c', 'duplicateId'],
      ['refused', 'd', 'quantityNotPositive'],
      ['refused', 'nobody', 'unknownOrder'],
      ['accepted', 'c', undefined],
      ['cancelled', 'c', 'requested'],
      ['refused', 'c', 'unknownOrder'],
    ]);
  });

  it('a file with faults is refused with every line of them', () => {
    const lines = ['{"op":"new","ts":"1","id":"a","side":"buy","quantity":1}', 'no json', '', '{"op":"cancel","ts":1,"id":"a"}'];
    expect(() => parseRequestLines(lines.join('\n'))).toThrow(
      /requests refused: line 1: price: a limit order needs one; line 2: .*; line 4: ts: /,
    );
  });

  it('the same requests and seed give the same answers, whatever the latency', async () => {
    const requests = parseRequestLines(
      Array.from({ length: 60 }, (_, place) =>
        JSON.stringify({
          op: 'new',
          ts: String(1_700_000_000_000_000_000n + BigInt(place) * 40_000_000n),
          id: `o${place}`,
          side: place % 2 === 0 ? 'buy' : 'sell',
          price: place % 2 === 0 ? '99.98' : '100.02',
          quantity: 3,
        }),
      ).join('\n'),
    );
    const run = async (seed: number): Promise<string[]> => {
      const lines: string[] = [];
      const entry = { kind: 'lognormal', medianNs: 3_000_000, sigma: 1, maxNs: 90_000_000 };
      const settings = parsePaperSettings({ entry, seed });
      const feed = openSeededFlow({ seed: 3, commands: 1000, style: 'trades' });
      await runPaper(feed, { settings, requests, lotNanos: SHARE_NANOS, say: (line) => lines.push(line) });
      return lines;
    };
    const first = await run(1);
    expect(first.filter((line) => line.includes('"event":"fill"')).length).toBeGreaterThan(10);
    expect(await run(1)).toEqual(first);
    expect(await run(2)).not.toEqual(first);
  });
});
