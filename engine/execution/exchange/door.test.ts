import { describe, expect, it } from 'vitest';
import { testCatalogue } from '../../../test/order-requests.ts';
import { createManualClock } from '../../core/clock.ts';
import { createDoor } from './door.ts';
import { readEntry, type StampedRequest } from './entry.ts';
import type { OrderJournal } from './journal.ts';
import { isRefusal } from './refusal.ts';
import type { Reply } from './reply.ts';

const ORDER = '{"op":"new","symbol":"AAA","side":"BUY","qty":1,"price":100';
const NONE = { offset: 0n, tsNs: 0n };

/** A journal that keeps what it is given. */
function memoryJournal(capacity: number): OrderJournal & { readonly texts: string[] } {
  const texts: string[] = [];
  return {
    texts,
    identity: 'memory',
    get nextOffset() {
      return BigInt(texts.length);
    },
    waiting: 0,
    unsynced: 0,
    get isFull() {
      return texts.length >= capacity;
    },
    append: (text) => void texts.push(text),
    take: () => [],
    rewind: () => undefined,
    release: async () => undefined,
    trouble: () => '',
    failure: () => undefined,
    close: async () => undefined,
  };
}

function openDoor(capacity = 100) {
  const clock = createManualClock(1_700_000_000_000.25);
  const journal = memoryJournal(capacity);
  const door = createDoor({ catalogue: testCatalogue(), clock });
  door.open(journal, NONE);
  const replies: Reply[] = [];
  const send = (line: string): void => door.take(line, (reply) => replies.push(reply));
  const entry = (index: number): StampedRequest => {
    const read = readEntry({ offset: BigInt(index), text: journal.texts[index] ?? '' });
    if (isRefusal(read)) throw new Error(read.detail);
    return read;
  };
  return { clock, journal, door, replies, send, entry };
}

describe('the door', () => {
  it('answers a ping, and what it refuses, at once, with the id of the request', () => {
    const { journal, replies, send } = openDoor();
    send('{"op":"ping"}');
    send('{"op":"ping","id":"p"}');
    send('{"op":"exec","symbol":"ZZZ","side":"BUY","qty":1,"id":9}');
    send('no json');
    expect(replies).toMatchObject([
      { ok: true },
      { ok: true, id: 'p' },
      { ok: false, err: 'no_book', reason: 104, id: 9 },
      { ok: false, err: 'bad_json', reason: 105 },
    ]);
    expect(journal.texts).toEqual([]);
  });

  it('lets a request into the journal and answers it when that is said, once', () => {
    const { door, replies, send, entry } = openDoor();
    send(`${ORDER},"id":5,"strategy":"ALPHA"}`);
    expect(replies).toEqual([]);
    const { request, tsNs, stamp } = entry(0);
    expect(request).toMatchObject({ op: 'new', symbol: 'AAA', price: '100', strategy: 'ALPHA' });
    expect(tsNs).toBe(1_700_000_000_000_250_000n);
    door.reply('another process', { ok: true });
    door.reply(stamp, { ok: true });
    door.reply(stamp, { ok: true });
    expect(replies).toEqual([{ id: 5, ok: true }]);
    expect(door.pending).toBe(0);
  });

  it('gives times that only go forward, also behind those of an earlier session', () => {
    const { door, journal, send, entry } = openDoor();
    send(`${ORDER}}`);
    send(`${ORDER}}`);
    expect(entry(1).tsNs).toBe(entry(0).tsNs + 1n);
    door.open(journal, { offset: 0n, tsNs: 1_800_000_000_000_000_000n });
    send(`${ORDER}}`);
    expect(entry(2).tsNs).toBe(1_800_000_000_000_000_001n);
  });

  it('does not let a client choose its time or its stamp', () => {
    const { send, entry } = openDoor();
    send(`${ORDER},"ts_ns":"1","stamp":"mine"}`);
    expect(entry(0).tsNs).toBe(1_700_000_000_000_250_000n);
    expect(entry(0).stamp).not.toBe('mine');
  });

  it('is busy while the journal is full or shut, and refuses everything once it is to stop', () => {
    const { door, replies, send } = openDoor(1);
    send(`${ORDER}}`);
    send(`${ORDER}}`);
    door.shut();
    send(`${ORDER}}`);
    door.stop();
    send(`${ORDER}}`);
    expect(replies.map(({ err }) => err)).toEqual(['busy', 'busy', 'stopping']);
  });

  it('tells those whose outcome the next session cannot know, and answers the others in that', () => {
    const { door, journal, replies, send, entry } = openDoor();
    send(`${ORDER},"id":0}`);
    send(`${ORDER},"id":1}`);
    door.shut();
    door.open(journal, { offset: 1n, tsNs: 0n });
    expect(replies).toMatchObject([{ id: 0, err: 'unknown_outcome' }]);
    door.reply(entry(1).stamp, { ok: true });
    expect(replies[1]).toEqual({ id: 1, ok: true });
    send(`${ORDER},"id":2}`);
    door.giveUp();
    expect(replies[2]).toMatchObject({ id: 2, err: 'unknown_outcome' });
    expect(door.pending).toBe(0);
  });
});
