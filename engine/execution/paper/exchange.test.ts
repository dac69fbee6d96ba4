import { describe, expect, it } from 'vitest';
import { BOOK_ACTION, BOOK_SIDE } from '../../market/book-message.ts';
import { explainFill, explainOrder } from './explain.ts';
import { createScript, filledLots } from './paper-harness.ts';
import { PAPER_REASON } from './paper-order.ts';

describe('an order in the real queue', () => {
  it('trades when those before it have traded or gone, and says how it came to that', () => {
    const script = createScript();
    script.add(1, 0, 100, 5);
    script.add(2, 0, 100, 3);
    const order = script.send({ quantityLots: 4 });
    script.add(3, 0, 100, 6);
    script.cancel(2, 3);
    script.tradeWith(0, 100, [[1, 5]]);
    expect(order.fills).toEqual([]);
    expect(order.queue).toMatchObject({ aheadAtEntryLots: 8, aheadLots: 0, withdrawnAheadLots: 3, tradedAtLots: 5 });
    script.tradeWith(0, 100, [[3, 3]]);
    expect(order.state).toBe('resting');
    script.tradeWith(0, 100, [[3, 3]]);
    expect(order.state).toBe('filled');
    expect(order.fills.map((fill) => [fill.quantityLots, fill.priceTicks, fill.liquidity, fill.cause])).toEqual([
      [3, 100, 'maker', 'turn'],
      [1, 100, 'maker', 'turn'],
    ]);
    expect(explainFill(order.fills[0]!)).toBe(
      '3 lots at 100 ticks, maker: its turn came; 8 lots ahead at entry, 0 lots then; 8 lots had traded at the price and 0 lots beyond it',
    );
  });

  it('one trade may end the queue before it and reach it too', () => {
    const script = createScript();
    script.add(1, 0, 100, 5);
    const order = script.send({ quantityLots: 4 });
    script.add(2, 0, 100, 6);
    script.tradeWith(0, 100, [
      [1, 5],
      [2, 3],
    ]);
    expect(filledLots(order)).toBe(3);
  });

  it('does not trade by a trade of nobody that is shown while somebody stands before it, and says so', () => {
    const script = createScript();
    script.add(1, 0, 100, 5);
    const order = script.send({ quantityLots: 4 });
    script.say({ action: BOOK_ACTION.trade, side: BOOK_SIDE.sell, priceTicks: 100, quantityLots: 2 });
    expect(order.fills).toEqual([]);
    expect(explainOrder(order, 'exact')).toBe(
      'resting, 0 of 4 lots filled: reached the venue 0 ns after it was sent; queue by exact: 5 lots ahead at entry, 5 lots now, 0 lots withdrawn ahead; ' +
        '2 lots traded at its price, 0 lots beyond it, 2 lots of them while others still stood before it',
    );
    script.cancel(1, 5);
    script.say({ action: BOOK_ACTION.trade, side: BOOK_SIDE.sell, priceTicks: 100, quantityLots: 2 });
    expect(filledLots(order)).toBe(2);
  });

  it('trades when an order behind it does: whoever took has come by its place, though somebody before it was passed over', () => {
    const script = createScript();
    script.add(1, 0, 100, 5);
    const order = script.send({ quantityLots: 4 });
    script.add(2, 0, 100, 6);
    script.execute(2, 2);
    expect(order.fills).toMatchObject([{ quantityLots: 2, cause: 'turn', aheadLots: 5 }]);
  });

  it('a real order that a twin stands for proves nothing by its own trade', () => {
    const script = createScript();
    script.add(1, 0, 100, 5);
    const twin = script.send({ quantityLots: 6 }, script.exchange.openAccount(2n));
    script.add(2, 0, 100, 6);
    script.execute(2, 2);
    expect(twin.fills).toEqual([]);
    script.cancel(1, 5);
    script.execute(2, 2);
    expect(filledLots(twin)).toBe(2);
  });

  it('a change that shows nothing loses a place once a later order has traded before it', () => {
    const script = createScript();
    script.add(1, 0, 100, 5);
    script.add(2, 0, 100, 3);
    const before = script.send({});
    script.say({ action: BOOK_ACTION.modify, orderId: 1n, side: BOOK_SIDE.buy, priceTicks: 100, quantityLots: 5 });
    const after = script.send({}, script.exchange.openAccount());
    expect([before, after].map((order) => order.queue.aheadLots)).toEqual([8, 8]);
    script.execute(2, 1);
    expect([before, after].map((order) => order.queue.aheadLots)).toEqual([2, 7]);
  });

  it('keeps its place when an order before it gets smaller, gains when that one is moved or grows', () => {
    for (const [lots, aheadLots] of [
      [2, 2],
      [9, 0],
    ] as const) {
      const script = createScript();
      script.add(1, 1, 105, 5);
      const order = script.send({ side: 1, priceTicks: 105 });
      script.say({ action: BOOK_ACTION.modify, orderId: 1n, side: BOOK_SIDE.sell, priceTicks: 105, quantityLots: lots });
      expect(order.queue.aheadLots).toBe(aheadLots);
    }
  });

  it('a modify that follows a fill is its echo, not a second loss', () => {
    const script = createScript();
    script.add(1, 0, 100, 10);
    const order = script.send({});
    script.say({ action: BOOK_ACTION.trade, side: BOOK_SIDE.sell, priceTicks: 100, quantityLots: 4 }, false);
    script.say({ action: BOOK_ACTION.fill, orderId: 1n, side: BOOK_SIDE.buy, priceTicks: 100, quantityLots: 4 }, false);
    script.say({ action: BOOK_ACTION.modify, orderId: 1n, side: BOOK_SIDE.buy, priceTicks: 100, quantityLots: 6 });
    expect(order.queue).toMatchObject({ aheadLots: 6, withdrawnAheadLots: 0 });
  });

  it('a trade that names nobody is of the orders that leave at its price in the same moment', () => {
    const script = createScript();
    script.add(1, 0, 100, 5);
    const order = script.send({ quantityLots: 4 });
    script.add(2, 0, 100, 6);
    script.say({ action: BOOK_ACTION.trade, side: BOOK_SIDE.sell, priceTicks: 100, quantityLots: 7 }, false);
    script.say({ action: BOOK_ACTION.cancel, orderId: 1n, side: BOOK_SIDE.buy, priceTicks: 100, quantityLots: 5 }, false);
    script.say({ action: BOOK_ACTION.modify, orderId: 2n, side: BOOK_SIDE.buy, priceTicks: 100, quantityLots: 4 });
    expect(filledLots(order)).toBe(2);
    expect(order.queue).toMatchObject({ aheadLots: 0, withdrawnAheadLots: 0 });
  });

  it('a trade through its price is its own up to what was traded there', () => {
    const script = createScript();
    script.add(1, 0, 99, 5);
    const order = script.send({ quantityLots: 4 });
    script.execute(1, 3);
    expect(order.fills).toMatchObject([{ quantityLots: 3, priceTicks: 100, cause: 'through' }]);
  });

  it('an order that comes to rest at its price trades with it, and its lots are gone for our next order', () => {
    const script = createScript();
    script.add(1, 1, 110, 5);
    const order = script.send({ quantityLots: 4 });
    script.add(2, 1, 100, 6);
    expect(order.fills).toMatchObject([{ quantityLots: 4, priceTicks: 100, liquidity: 'maker', cause: 'crossed' }]);
    const taker = script.send({ quantityLots: 10, timeInForce: 'ioc', priceTicks: 100 });
    expect(filledLots(taker)).toBe(2);
  });

  it('a book that is crossed by itself is in an auction: nothing is ours', () => {
    const script = createScript();
    script.add(1, 0, 105, 5);
    const order = script.send({ quantityLots: 4 });
    script.add(2, 1, 100, 6);
    expect(order.fills).toEqual([]);
  });
});

describe('an order that takes', () => {
  it('takes what is shown, best price first, each lot once', () => {
    const script = createScript();
    script.add(1, 1, 100, 2);
    script.add(2, 1, 100, 3);
    script.add(3, 1, 101, 4);
    const first = script.send({ type: 'market', quantityLots: 6, timeInForce: 'ioc' });
    expect(first.fills.map((fill) => [fill.priceTicks, fill.quantityLots, fill.cause])).toEqual([
      [100, 5, 'took'],
      [101, 1, 'took'],
    ]);
    const second = script.send({ type: 'market', quantityLots: 6, timeInForce: 'ioc' });
    expect(second.fills.map((fill) => [fill.priceTicks, fill.quantityLots])).toEqual([[101, 3]]);
    expect(second).toMatchObject({ state: 'cancelled', reason: PAPER_REASON.remainder });
    expect(explainOrder(second, 'exact')).toBe(
      'cancelled (30 remainder), 3 of 6 lots filled: reached the venue 0 ns after it was sent; it never waited in a queue',
    );
    expect(script.send({ type: 'market', timeInForce: 'ioc' })).toMatchObject({ state: 'cancelled', reason: PAPER_REASON.noLiquidity });
    // Another account has a market of its own; and what comes new is there for all.
    expect(filledLots(script.send({ type: 'market', quantityLots: 20, timeInForce: 'ioc' }, script.exchange.openAccount()))).toBe(9);
    script.add(4, 1, 102, 2);
    expect(filledLots(script.send({ type: 'market', quantityLots: 6, timeInForce: 'ioc' }))).toBe(2);
  });

  it('lots that were taken are forgotten once the market has lost as many', () => {
    const script = createScript();
    script.add(1, 1, 100, 10);
    script.send({ quantityLots: 4, timeInForce: 'ioc' });
    script.execute(1, 3);
    expect(script.exchange.market(0).available(script.world, 1, 100, 99)).toBe(6);
    script.execute(1, 3);
    expect(script.exchange.market(0).available(script.world, 1, 100, 99)).toBe(4);
  });

  it('rests with what is left, at the end of its queue', () => {
    const script = createScript();
    script.add(1, 1, 100, 2);
    const order = script.send({ quantityLots: 5 });
    expect(order).toMatchObject({ state: 'resting', leavesLots: 3, queue: { aheadAtEntryLots: 0 } });
  });

  it('fill or kill takes all or nothing; post-only never takes', () => {
    const script = createScript();
    script.add(1, 1, 100, 2);
    expect(script.send({ quantityLots: 3, timeInForce: 'fok' })).toMatchObject({
      fills: [],
      state: 'cancelled',
      reason: PAPER_REASON.unfilled,
    });
    expect(script.send({ isPostOnly: true })).toMatchObject({ state: 'refused', reason: PAPER_REASON.wouldTake });
    expect(script.send({ isPostOnly: true, priceTicks: 99 }).state).toBe('resting');
    expect(filledLots(script.send({ quantityLots: 2, timeInForce: 'fok' }))).toBe(2);
  });

  it('is refused when the market was last heard of too long ago', () => {
    const script = createScript({ staleAfterMs: 5 });
    script.add(1, 1, 100, 2);
    script.wait(6_000_000);
    expect(script.send({ timeInForce: 'ioc' })).toMatchObject({ state: 'refused', reason: PAPER_REASON.staleMarket });
    expect(script.send({ priceTicks: 99 }).state).toBe('resting');
    script.add(2, 1, 105, 1);
    expect(filledLots(script.send({ timeInForce: 'ioc' }))).toBe(1);
  });
});

describe('requests and answers', () => {
  it('take their time each way, and the market goes on meanwhile', () => {
    const script = createScript({
      entry: { kind: 'constant', ns: 5000 },
      response: { kind: 'constant', ns: 700 },
      feed: { kind: 'constant', ns: 30 },
    });
    script.add(1, 0, 100, 5);
    const order = script.send({});
    const sentNs = script.now();
    expect(order.state).toBe('sent');
    expect(script.exchange.seenNs(sentNs)).toBe(sentNs + 30n);
    script.add(2, 0, 100, 7);
    script.wait(10_000);
    script.add(3, 0, 100, 9);
    expect(order).toMatchObject({ state: 'resting', arrivedNs: sentNs + 5000n, queue: { aheadAtEntryLots: 12 } });
    expect(script.reports).toMatchObject([{ kind: 'accepted', tsNs: sentNs + 5000n, localNs: sentNs + 5700n }]);
    expect(explainOrder(order, 'exact')).toContain('reached the venue 5000 ns after it was sent');
  });

  it('a cancel can come too late', () => {
    const script = createScript({ entry: { kind: 'constant', ns: 5000 } });
    script.add(1, 1, 110, 1);
    const order = script.send({});
    script.wait(6000);
    script.add(2, 1, 111, 1);
    script.exchange.cancel(order, script.now());
    script.add(3, 1, 100, 1);
    script.wait(6000);
    script.add(4, 1, 112, 1);
    expect(order.state).toBe('filled');
    expect(script.reports.map((report) => report.kind)).toEqual(['accepted', 'fill', 'refused']);
    expect(script.reports[2]).toMatchObject({ reason: PAPER_REASON.unknownOrder });
  });

  it('arrive in the order they were sent, whatever latency they drew', () => {
    const script = createScript({
      entry: { kind: 'measured', samplesNs: [100, 9000, 40, 300] },
      response: { kind: 'uniform', minNs: 0, maxNs: 9000 },
      seed: 3,
    });
    script.add(1, 0, 90, 1);
    const orders = Array.from({ length: 40 }, () => script.send({}));
    script.wait(1_000_000);
    script.add(2, 0, 90, 1);
    const accepted = script.reports.filter((report) => report.kind === 'accepted');
    expect(accepted.map((report) => report.order.id)).toEqual(orders.map((order) => order.id));
    for (const [place, report] of accepted.entries()) expect(report.localNs >= (accepted[place - 1]?.localNs ?? 0n)).toBe(true);
  });

  it('a replacement keeps its place only at the same price with no more lots', () => {
    const script = createScript();
    script.add(1, 0, 100, 5);
    const order = script.send({ quantityLots: 4 });
    script.add(2, 0, 100, 6);
    script.exchange.replace(order, { priceTicks: 100, leavesLots: 2 }, script.now());
    script.exchange.advance(script.now());
    expect(order).toMatchObject({ leavesLots: 2, quantityLots: 2, queue: { aheadLots: 5 } });
    script.exchange.replace(order, { priceTicks: 100, leavesLots: 3 }, script.now());
    script.exchange.advance(script.now());
    expect(order).toMatchObject({ leavesLots: 3, quantityLots: 3, queue: { aheadLots: 11 } });
  });

  it('wrong requests are refused with a number and change nothing', () => {
    const script = createScript();
    script.add(1, 1, 100, 2);
    const reasonOf = (request: Parameters<typeof script.send>[0]) => script.send(request).reason;
    expect(reasonOf({ quantityLots: 0 })).toBe(PAPER_REASON.quantityNotPositive);
    expect(reasonOf({ quantityLots: 1.5 })).toBe(PAPER_REASON.malformed);
    expect(reasonOf({ quantityLots: 2 ** 31 })).toBe(PAPER_REASON.quantityTooLarge);
    expect(reasonOf({ priceTicks: 2 ** 30 })).toBe(PAPER_REASON.priceOutOfRange);
    expect(reasonOf({ isPostOnly: true, timeInForce: 'ioc' })).toBe(PAPER_REASON.unsupportedCombination);
    expect(script.exchange.market(0).available(script.world, 1, 100, 99)).toBe(2);
  });

  it('fills carry the fees of their account', () => {
    const script = createScript({ fees: { kind: 'indiaEquity', product: 'delivery' } });
    script.add(1, 1, 100_000, 100);
    const order = script.send({ priceTicks: 100_000, quantityLots: 100 });
    expect(order.fills[0]!.fees.map(({ name, minor }) => [name, minor])).toEqual([
      ['exchange', 307n],
      ['sebi', 10n],
      ['stt', 10_000n],
      ['stamp', 1500n],
      ['gst', 57n],
    ]);
  });
});
