/** The comparison that `npm run torture` rests on: it finds nothing in what is right, and whatever is wrong. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseTimeframes } from '../engine/market/timeframes.ts';
import { acceptedText, compare, type Found, type FoundMessage } from './torture/compare.ts';
import { type Expected, expectOf, type TopicMessage } from './torture/expected.ts';
import { type FeedShape, makeFeed } from './torture/feed.ts';
import { POISON_KINDS } from './torture/poison.ts';

const BASE_NS = 1_700_000_100_000_000_000n;
const SHAPE: FeedShape = {
  seed: 5,
  partitions: 3,
  tradeSymbols: 12,
  quoteSymbols: 4,
  ticks: 3000,
  baseNs: BASE_NS,
  spanSec: 200,
  latenessMs: 500,
  amendSec: 60,
  poisonOneIn: 20,
};
const SEMANTICS = { timeframes: parseTimeframes('1s,1m,3m'), latenessMs: 500, amendSec: 60, latestNs: BASE_NS + 3_600_000_000_000n };

function digest(shape: FeedShape): string {
  const hash = createHash('sha256');
  for (const { partition, value, isPacked, poison } of makeFeed(shape)) {
    hash.update(`${partition} ${isPacked} ${poison} ${value?.length}`).update(value ?? '');
  }
  return hash.digest('hex');
}

/** The messages of a feed as their topic would hold them. */
function asTopic(shape: FeedShape): Map<number, TopicMessage[]> {
  const partitions = new Map<number, TopicMessage[]>(Array.from({ length: shape.partitions }, (_, partition) => [partition, []]));
  for (const { partition, value, isPacked } of makeFeed(shape)) {
    const list = partitions.get(partition)!;
    list.push({ offset: BigInt(list.length), value, isPacked });
  }
  return partitions;
}

interface Mutable extends Found {
  rows: { key: string; revision: number; text: string }[];
  open: [string, string][];
  openWhole: [string, string][];
  lateTicks: string[];
  messages: FoundMessage[];
  letters: [string, string][];
  partitions: Found['partitions'][number][];
}

/** What an engine without a fault leaves behind. */
function perfect(expected: Expected): Mutable {
  const all = [...expected.bars].flatMap(([key, revisions]) => revisions.map((revision, index) => ({ key, revision: index, ...revision })));
  return {
    rows: [...expected.bars].map(([key, revisions]) => ({ key, revision: revisions.length - 1, text: revisions.at(-1)!.row })),
    open: [...expected.open],
    openWhole: [...expected.openWhole],
    lateTicks: [...expected.lateTicks],
    letters: [...expected.letters],
    instruments: [...expected.instruments],
    partitions: [...expected.partitions].map(([partition, entry]) => ({ partition, ...entry, accepted: acceptedText(entry) })),
    messages: all
      .sort((left, right) => left.order - right.order)
      .flatMap(({ key, revision, message }, offset): FoundMessage[] =>
        message === undefined
          ? []
          : [{ key, revision, text: message, series: key.split(' ').slice(0, 2).join(' '), place: `bars@${offset}` }],
      ),
  };
}

const expected = expectOf(asTopic(SHAPE), SEMANTICS);

/** What the comparison says of a result in which something was changed. */
function differencesOf(change: (found: Mutable) => void): string[] {
  const found = perfect(expected);
  change(found);
  return compare(expected, found).differences.map(({ what }) => what);
}

function amended(found: Mutable): FoundMessage {
  const message = found.messages.find(({ revision }) => revision === 1);
  if (!message) throw new Error('the stream amends no bar');
  return message;
}

describe('torture: the comparison', () => {
  it('finds nothing where nothing is wrong, in a stream that has everything', () => {
    expect(differencesOf(() => undefined)).toEqual([]);
    expect(expected.bars.size).toBeGreaterThan(1000);
    expect(expected.open.size).toBeGreaterThan(20);
    expect(expected.lateTicks.length).toBeGreaterThan(5);
    expect([...expected.bars.keys()].some((key) => key.startsWith('1m Q'))).toBe(true);
    expect([...expected.bars.values()].some((revisions) => revisions.length > 2)).toBe(true);
  });

  it('finds a missing, a doubled and a changed row', () => {
    const { key } = perfect(expected).rows[3]!;
    expect(differencesOf((found) => found.rows.splice(3, 1))).toEqual([`row ${key}`]);
    expect(differencesOf((found) => found.rows.push(found.rows[3]!))).toEqual([`row ${key} again`]);
    const changed = (found: Mutable): unknown =>
      found.rows.splice(3, 1, { ...found.rows[3]!, text: found.rows[3]!.text.replace('o ', 'o 1') });
    expect(differencesOf(changed)).toEqual([`row ${key}`]);
    const revised = (found: Mutable): unknown => found.rows.splice(3, 1, { ...found.rows[3]!, revision: 9 });
    expect(differencesOf(revised)).toEqual([`row ${key}`]);
  });

  it('finds a row that should not be', () => {
    const extra = { key: '1s T0 1', revision: 0, text: 'o 1' };
    expect(differencesOf((found) => found.rows.push(extra))).toEqual(['row 1s T0 1']);
  });

  it('finds a message that comes twice, never, changed, or without the one before it', () => {
    const { key } = amended(perfect(expected));
    expect(differencesOf((found) => found.messages.push({ ...amended(found), place: 'later' }))).toEqual([`message ${key} rev 1 again`]);
    const first = (found: Mutable): number => found.messages.findIndex((message) => message.key === key && message.revision === 0);
    const missing = differencesOf((found) => found.messages.splice(first(found), 1));
    expect(missing).toEqual([`message ${key} rev 1 out of order`, `message ${key} rev 0`]);
    const changed = (found: Mutable): unknown => found.messages.splice(first(found), 1, { ...found.messages[first(found)]!, text: 'o 1' });
    expect(differencesOf(changed)).toEqual([`message ${key} rev 0`]);
  });

  it('finds revisions and bars that change places', () => {
    const swap = (found: Mutable, left: number, right: number): void => {
      [found.messages[left], found.messages[right]] = [found.messages[right]!, found.messages[left]!];
    };
    const { key } = amended(perfect(expected));
    const revisions = differencesOf((found) => {
      const places = [0, 1].map((revision) => found.messages.findIndex((message) => message.key === key && message.revision === revision));
      swap(found, places[0]!, places[1]!);
    });
    expect(revisions).toContain(`message ${key} rev 1 out of order`);
    const bars = differencesOf((found) => {
      const isFinal = ({ key, revision }: FoundMessage): boolean => expected.bars.get(key)?.[revision]?.isAmendment === false;
      const first = found.messages.findIndex(isFinal);
      const { series } = found.messages[first]!;
      const next = found.messages.findIndex((message, index) => index > first && message.series === series && isFinal(message));
      swap(found, first, next);
    });
    expect(bars.some((what) => what.endsWith('out of order'))).toBe(true);
  });

  it('finds faults of open state, late ticks, letters, offsets, watermarks, sums and instruments', () => {
    expect(differencesOf((found) => found.open.pop())).toHaveLength(1);
    expect(differencesOf((found) => found.openWhole.pop())).toHaveLength(1);
    expect(differencesOf((found) => found.open.push(['1s T0 1', 'o 1']))).toEqual(['open_state 1s T0 1']);
    expect(differencesOf((found) => found.lateTicks.pop())).toEqual(['late_ticks']);
    expect(differencesOf((found) => found.lateTicks.push(found.lateTicks[0]!))).toEqual(['late_ticks']);
    const [letter] = perfect(expected).letters[0]!;
    expect(differencesOf((found) => found.letters.push(found.letters[0]!))).toEqual([`dlq ${letter} again`]);
    expect(differencesOf((found) => found.letters.shift())).toEqual([`dlq ${letter}`]);
    expect(differencesOf((found) => found.letters.splice(0, 1, [letter, 'malformed eA==']))).toEqual([`dlq ${letter}`]);
    const first = (found: Mutable, change: object): unknown => found.partitions.splice(0, 1, { ...found.partitions[0]!, ...change });
    expect(differencesOf((found) => first(found, { nextOffset: 1n }))).toEqual(['source_offsets partition 0 next_offset']);
    expect(differencesOf((found) => first(found, { watermarkNs: undefined }))).toEqual(['source_offsets partition 0 watermark_ns']);
    expect(differencesOf((found) => first(found, { accepted: '0 lots' }))).toEqual(['source_offsets partition 0 accepted']);
    expect(differencesOf((found) => found.partitions.pop())).toHaveLength(3);
    expect(differencesOf((found) => Object.assign(found, { instruments: found.instruments.slice(1) }))).toHaveLength(1);
  });
});

describe('torture: the stream', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(digest(SHAPE)).toBe(digest(SHAPE));
    expect(digest({ ...SHAPE, seed: 6 })).not.toBe(digest(SHAPE));
  });

  it('has poison of every kind, each refused for its reason and nothing else refused', () => {
    const feed = makeFeed({ ...SHAPE, ticks: 20_000, poisonOneIn: 5 });
    expect(new Set(feed.map(({ poison }) => poison)).size).toBe(POISON_KINDS.length + 1);
    const offsets = new Map<number, number>();
    const wanted = feed.flatMap(({ partition, poison }) => {
      const offset = offsets.get(partition) ?? 0;
      offsets.set(partition, offset + 1);
      const kind = POISON_KINDS.find(({ name }) => name === poison);
      return kind ? [`${partition} ${offset} ${kind.recordIndex} ${kind.reason}`] : [];
    });
    const partitions = new Map<number, TopicMessage[]>();
    for (const { partition, value, isPacked } of feed) {
      const list = partitions.get(partition) ?? [];
      list.push({ offset: BigInt(list.length), value, isPacked });
      partitions.set(partition, list);
    }
    const letters = [...expectOf(partitions, SEMANTICS).letters].map(([key, text]) => `${key} ${text.split(' ')[0]}`);
    expect(letters.sort()).toEqual(wanted.sort());
  });
});
