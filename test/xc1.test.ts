/** The XC-1 flow: trades, quantity, hash, top and level counts as its generator expects. */
import { describe, expect, it } from 'vitest';
import { OPEN_INSTRUMENT } from '../engine/market/order-command.ts';
import { BOOKS } from './books.ts';
import { generateFlow, isFlowThere, runFlow } from './xc1-flow.ts';

const POOLS = { symbols: 1, orders: 5000, pages: 64, owners: 1 };
const COUNT = 20_000;

describe.skipIf(!isFlowThere).each(BOOKS)(`XC-1 on the %s${isFlowThere ? '' : ' (skipped: ../shared/tools is not there)'}`, (_, create) => {
  it.each([7, 1, 2, 123456789])('gives what the generator expects for seed %i', (seed) => {
    const flow = generateFlow(COUNT, seed);
    const book = create(POOLS);
    book.configure(0, OPEN_INSTRUMENT);
    expect(runFlow(book, flow)).toEqual(flow.expect);
    expect(flow.expect.trades).toBeGreaterThan(500);
  });
});
