/** The matcher kernel against the plain book: the same commands give the same events, and the same books after every command. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMatcher, type Matcher } from '../engine/kernel/matcher.ts';
import { createBookOracle } from '../engine/market/book-oracle.ts';
import { runs, SEED } from './bar-arbitraries.ts';
import { anySession, type BookSession, honestSession, setUp } from './order-arbitraries.ts';
import { makeFlow } from './order-flow.ts';

const matchers = new Map<string, Matcher>();

/** An empty matcher for a session; one a shape, as each has a memory of its own. */
function matcherFor({ shape }: BookSession): Matcher {
  const key = JSON.stringify(shape);
  const matcher = matchers.get(key) ?? createMatcher({ ...shape, commandCapacity: 1024 });
  matchers.set(key, matcher);
  matcher.clear();
  return matcher;
}

/** Drives both; `listOneIn` commands the whole books are compared, and the events always. */
function compare(session: BookSession, listOneIn: number): void {
  const oracle = createBookOracle(session.shape);
  const matcher = matcherFor(session);
  setUp(oracle, session);
  setUp(matcher, session);
  for (const [index, command] of session.commands.entries()) {
    const expected = oracle.apply(command);
    const events = matcher.apply(command);
    expect(events, `events of command ${index}`).toEqual(expected);
    if (index % listOneIn !== 0) continue;
    for (const [symbolIndex, instrument] of session.instruments.entries()) {
      if (!instrument) continue;
      expect(matcher.list(symbolIndex), `orders of symbol ${symbolIndex} after command ${index}`).toEqual(oracle.list(symbolIndex));
      for (const side of [0, 1] as const) {
        expect(matcher.levels(symbolIndex, side), `levels after command ${index}`).toEqual(oracle.levels(symbolIndex, side));
      }
      expect(matcher.lastTicks(symbolIndex), `last price after command ${index}`).toBe(oracle.lastTicks(symbolIndex));
    }
  }
}

describe('matcher kernel', () => {
  it('agrees with the plain book on every event and every order, whatever is sent to it', { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(anySession, (session) => compare(session, 1)),
      runs(250),
    );
  });

  it('agrees with the plain book on honest orders in pools that may run out', { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(honestSession, (session) => compare(session, 1)),
      runs(250),
    );
  });

  it.each([1, 2, 3].map((seed) => (SEED ?? 0) + seed))(
    'agrees with the plain book on a flow like a market’s, seed %i',
    { timeout: 300_000 },
    (seed) => {
      compare(makeFlow(seed, 20_000), 500);
    },
  );
});
