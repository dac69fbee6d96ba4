/** A seeded flow of order requests as clients send them: every op and type, with names, owners, and some that are refused. */
import { createPrng } from '../engine/core/prng.ts';
import { type Catalogue, parseCatalogue } from '../engine/execution/exchange/catalogue.ts';

/** Books for tests: three symbols in different units, and one owner who may do little. */
export const BOOKS_JSON = JSON.stringify({
  books: [
    { symbol: 'AAA', priceDecimals: 2, tickStep: 5 },
    { symbol: 'BBB', priceDecimals: 0, lotStep: 10, minLots: 10, maxLots: 500, lowerTicks: 90, upperTicks: 110 },
    { symbol: 'CCC', priceDecimals: 4, phase: 'call' },
  ],
  owners: [{ owner: 3, maxOpenOrders: 5, maxOrderLots: 200 }],
});

export function testCatalogue(): Catalogue {
  return parseCatalogue(BOOKS_JSON, 'test books');
}

export type RequestJson = Readonly<Record<string, unknown>>;

const SYMBOLS = ['AAA', 'AAA', 'BBB', 'CCC'];
const TYPES = ['LMT', 'LMT', 'LMT', 'LMT', 'MKT', 'STP', 'STP_LMT', 'TRAIL', 'MTL'];
const FORCES = ['GTC', 'GTC', 'GTC', 'DAY', 'IOC', 'FOK'];
const SELF_MATCHES = ['allow', 'cancel_newest', 'cancel_oldest', 'cancel_both'];
const PHASES = ['continuous', 'continuous', 'call', 'halted'];

/** `count` requests; the names of their orders begin with `prefix`. The same arguments give the same requests. */
export function orderRequests({ seed, count, prefix = 'c' }: { seed: number; count: number; prefix?: string }): RequestJson[] {
  const prng = createPrng(seed);
  const below = (bound: number): number => prng.nextBelow(bound);
  const pick = <T>(values: readonly T[]): T => values[below(values.length)]!;
  const requests: RequestJson[] = [];
  let names = 0;

  const priceOf = (symbol: string): number => {
    const steps = below(9) - 4;
    if (symbol === 'AAA') return (10_000 + steps * 5) / 100;
    if (symbol === 'BBB') return 100 + steps;
    return (500_000 + steps) / 10_000;
  };
  const quantityOf = (symbol: string): number => (symbol === 'BBB' ? (1 + below(12)) * 10 : 1 + below(60));
  const anyName = (): string => `${prefix}${1 + below(Math.max(1, names))}`;

  const enter = (): RequestJson => {
    const symbol = pick(SYMBOLS);
    // Now and then a name is used twice.
    if (below(40) > 0) names += 1;
    const type = pick(TYPES);
    const isPlain = type === 'LMT';
    const qty = quantityOf(symbol);
    return {
      op: 'new',
      symbol,
      client_order_id: `${prefix}${names}`,
      side: pick(['BUY', 'SELL']),
      qty,
      order_type: type,
      ...(isPlain || type === 'STP_LMT' ? { price: priceOf(symbol) } : {}),
      ...(type === 'STP' || type === 'STP_LMT' ? { stop_price: priceOf(symbol) } : {}),
      ...(type === 'TRAIL' ? { trail: symbol === 'BBB' ? 2 : 0.05 } : {}),
      ...(isPlain ? { tif: pick(FORCES) } : {}),
      ...(isPlain && below(8) === 0 ? { post_only: true, tif: 'GTC' } : {}),
      ...(isPlain && below(10) === 0 ? { all_or_none: true, tif: 'GTC' } : {}),
      ...(isPlain && symbol === 'AAA' && below(5) === 0 ? { display_qty: 1 + below(qty), tif: 'GTC' } : {}),
      owner: below(4),
      self_match: pick(SELF_MATCHES),
      strategy: pick(['ALPHA', 'BETA']),
      risk_bucket: pick(['LOW', 'MED', 'HIGH']),
      reason: 'test',
      extra: { n: requests.length },
    };
  };

  const makers: readonly (readonly [weight: number, make: () => RequestJson])[] = [
    [60, enter],
    [8, () => ({ op: 'exec', symbol: pick(SYMBOLS), side: pick(['BUY', 'SELL']), qty: 10 * (1 + below(5)), ref_price: 1 })],
    [10, () => ({ op: 'cancel', client_order_id: anyName() })],
    [5, () => ({ op: 'reduce', client_order_id: anyName(), qty: 10 })],
    [6, () => ({ op: 'replace', client_order_id: anyName(), qty: quantityOf('AAA'), price: priceOf('AAA') })],
    [4, () => ({ op: 'move', client_order_id: anyName(), price: priceOf('AAA') })],
    [1, () => ({ op: 'mass_cancel', owner: 1 + below(3), ...(below(2) === 0 ? { symbol: pick(SYMBOLS) } : {}) })],
    [2, () => ({ op: 'phase', symbol: 'CCC', phase: pick(PHASES) })],
    [1, () => ({ op: 'band', symbol: 'BBB', lower: 90 - below(5), upper: 110 + below(5) })],
  ];
  const total = makers.reduce((sum, [weight]) => sum + weight, 0);
  while (requests.length < count) {
    let point = below(total);
    const [, make] = makers.find(([weight]) => {
      point -= weight;
      return point < 0;
    }) ?? [0, enter];
    requests.push(make());
  }
  return requests;
}
