/** The recorded matching scenarios: every event as worked out by hand. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../config/load.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { attributesOf, newCommand, SELL } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import { DESK_POOLS, type RuleBook } from './book-desk.ts';
import { linesOf } from './book-text.ts';
import { BOOKS } from './books.ts';
import { SCENARIO_EVENTS } from './scenario-events.ts';
import { runScenario } from './scenario-runner.ts';

const folder = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR, 'matching-scenarios');
const isThere = existsSync(folder);
const textOf = (number: string): string => readFileSync(join(folder, `scenario-${number}.txt`), 'utf8');
const sell10 = newCommand({ orderId: 90n, priceTicks: 100, quantityLots: 10, attributes: attributesOf({ side: SELL }) });

describe.skipIf(!isThere).each(BOOKS)(`matching scenarios on the %s${isThere ? '' : ' (skipped: no recorded data)'}`, (_, create) => {
  const open = (): RuleBook => create(DESK_POOLS);

  it.each(Object.keys(SCENARIO_EVENTS))('scenario %s gives what the rules say', (number) => {
    expect(runScenario(open(), textOf(number))).toEqual(SCENARIO_EVENTS[number]);
  });

  it('after scenario 01 there is no book, after 02 a closed one', () => {
    const [never, closed] = [open(), open()];
    runScenario(never, textOf('01'));
    runScenario(closed, textOf('02'));
    expect(linesOf(never.apply(sell10))).toEqual(['rejected 90: unknownSymbol']);
    expect(linesOf(closed.apply(sell10))).toEqual(['rejected 90: sessionClosed']);
  });

  it('after scenario 08 the all-or-none orders stand in order of arrival', () => {
    const book = open();
    runScenario(book, textOf('08'));
    expect(book.list(0).map(({ orderId, book: name, side }) => `${name} ${side} ${orderId}`)).toEqual([
      'displayed 1 7',
      'allOrNone 0 1',
      'allOrNone 0 6',
      'allOrNone 1 2',
      'allOrNone 1 4',
    ]);
  });

  it('after scenario 13 a trailing stop is placed from the last price, and a higher trade takes it along', () => {
    const book = open();
    runScenario(book, textOf('13'));
    const trailing = attributesOf({ side: SELL, type: L.ORDER_TYPE_TRAILING_STOP });
    const stop = newCommand({ orderId: 4n, quantityLots: 100, trailTicks: 10, attributes: trailing });
    expect(linesOf(book.apply(stop))).toEqual(['accepted 4: sell 100 from 20']);
    book.apply(newCommand({ orderId: 6n, quantityLots: 5, priceTicks: 45 }));
    book.apply(newCommand({ orderId: 7n, quantityLots: 5, priceTicks: 45, attributes: attributesOf({ side: SELL }) }));
    expect(book.list(0).find((order) => order.orderId === 4n)?.stopTicks).toBe(35);
  });
});
