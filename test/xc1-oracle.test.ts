/** The plain book on the XC-1 flow: trades, quantity, hash, top and level counts as its generator expects. */
import { describe, expect, it } from 'vitest';
import { createBookOracle } from '../engine/market/book-oracle.ts';
import { FLOW_INSTRUMENT, generateFlow, isFlowThere, runFlow } from './xc1-flow.ts';

describe.skipIf(!isFlowThere)(`plain book on XC-1${isFlowThere ? '' : ' (skipped: ../shared/tools is not there)'}`, () => {
  it.each([7, 1, 2, 123456789])('gives what the generator expects for seed %i', (seed) => {
    const flow = generateFlow(20_000, seed);
    const book = createBookOracle({ symbols: 1, orders: 5000, pages: 64, owners: 1 });
    book.configure(0, FLOW_INSTRUMENT);
    expect(runFlow(book, flow)).toEqual(flow.expect);
    expect(flow.expect.trades).toBeGreaterThan(500);
  });
});
