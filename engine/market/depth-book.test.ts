import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPrng } from '../core/prng.ts';
import {
  createDepthBook,
  DEPTH_NUMBERING,
  type DepthBook,
  type DepthDifference,
  type DepthNumbering,
  type DepthSnapshot,
} from './depth-book.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);

/** A venue's stream: differences that join, and the whole book after each of them. */
function createVenue(numbering: DepthNumbering, prng = createPrng(seed)): { next(): DepthDifference; snapshot(): DepthSnapshot } {
  const sides = [new Map<number, number>(), new Map<number, number>()] as const;
  let lastId = 100;
  const change = (side: Map<number, number>, base: number): [number, number][] =>
    Array.from({ length: prng.nextBelow(4) }, () => {
      const price = base + prng.nextBelow(20);
      const quantity = prng.nextBelow(5);
      if (quantity === 0) side.delete(price);
      else side.set(price, quantity);
      return [price, quantity];
    });
  return {
    next() {
      const previousId = lastId;
      // Futures leave numbers out between differences; spot does not.
      const firstId = lastId + 1 + (numbering === DEPTH_NUMBERING.futures ? prng.nextBelow(3) : 0);
      lastId = firstId + prng.nextBelow(4);
      const levels = { bids: change(sides[0], 100), asks: change(sides[1], 120) };
      return { firstId, lastId, ...levels, ...(numbering === DEPTH_NUMBERING.futures ? { previousId } : {}) };
    },
    snapshot: () => ({ lastId, bids: [...sides[0]], asks: [...sides[1]] }),
  };
}

function expectBook(book: DepthBook, { lastId, bids, asks }: DepthSnapshot): void {
  const listed = (side: number): [number, number][] => book.levels(side).map(({ price, quantity }) => [price, quantity]);
  expect(book.lastId).toBe(lastId);
  expect(listed(0)).toEqual([...bids].sort(([left], [right]) => right - left));
  expect(listed(1)).toEqual([...asks].sort(([left], [right]) => left - right));
  expect([book.levelCount(0), book.levelCount(1)]).toEqual([bids.length, asks.length]);
}

describe.each(Object.values(DEPTH_NUMBERING))('depth book, %s numbering', (numbering) => {
  it('follows the venue from a snapshot that arrives among the differences', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 20 }), (venueSeed, before, between) => {
        const venue = createVenue(numbering, createPrng(venueSeed));
        const book = createDepthBook({ numbering, bufferCapacity: 64 });
        for (let count = 0; count < before; count += 1) expect(book.difference(venue.next())).toBe('buffered');
        const snapshot = venue.snapshot();
        for (let count = 0; count < between; count += 1) book.difference(venue.next());
        expect(book.snapshot(snapshot)).toBe(true);
        expectBook(book, venue.snapshot());
        for (let count = 0; count < 20; count += 1) {
          const difference = venue.next();
          expect(book.difference(difference)).toBe('applied');
          expect(book.difference(difference)).toBe('old');
          expectBook(book, venue.snapshot());
        }
      }),
      { seed },
    );
  });

  it('empties at a gap, counts it, and is whole again with the next snapshot', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 4 }), (venueSeed, lostCount) => {
        const venue = createVenue(numbering, createPrng(venueSeed));
        const book = createDepthBook({ numbering, bufferCapacity: 64 });
        book.difference(venue.next());
        const early = venue.snapshot();
        expect(book.snapshot(early)).toBe(true);
        expect(book.difference(venue.next())).toBe('applied');
        for (let count = 0; count < lostCount; count += 1) venue.next();
        expect(book.difference(venue.next())).toBe('gap');
        expect([book.state, book.lastId, book.best(0), book.best(1)]).toEqual(['waiting', 0, undefined, undefined]);
        // The snapshot from before the gap does not help.
        expect(book.snapshot(early)).toBe(false);
        expect(book.difference(venue.next())).toBe('buffered');
        expect(book.snapshot(venue.snapshot())).toBe(true);
        expectBook(book, venue.snapshot());
        expect(book.counts).toMatchObject({ gaps: 1, resyncs: 2, refusedSnapshots: 1, overflowed: 0 });
      }),
      { seed },
    );
  });

  it('keeps the newest differences when the buffer is full, and then needs a newer snapshot', () => {
    const venue = createVenue(numbering);
    const book = createDepthBook({ numbering, bufferCapacity: 3 });
    book.difference(venue.next());
    const early = venue.snapshot();
    for (let count = 0; count < 5; count += 1) book.difference(venue.next());
    expect(book.counts.overflowed).toBe(3);
    expect(book.snapshot(early)).toBe(false);
    expect(book.snapshot(venue.snapshot())).toBe(true);
    expectBook(book, venue.snapshot());
  });

  it('refuses a snapshot that is older than the live book', () => {
    const venue = createVenue(numbering);
    const book = createDepthBook({ numbering, bufferCapacity: 3 });
    venue.next();
    const early = venue.snapshot();
    expect(book.snapshot(early)).toBe(true);
    book.difference(venue.next());
    expect(book.snapshot(early)).toBe(false);
    expectBook(book, venue.snapshot());
  });
});
