import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SYSTEM_PAUSE } from '../../core/clock.ts';
import { type FileJournalOptions, openFileJournal } from './file-journal.ts';
import type { OrderJournal } from './journal.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tickwright-journal-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (options: Partial<FileJournalOptions> = {}): Promise<OrderJournal> =>
  openFileJournal({ folder, from: 0n, identity: undefined, ...options });

async function settled(journal: OrderJournal): Promise<void> {
  while (journal.unsynced > 0 && journal.failure() === undefined) await SYSTEM_PAUSE(0);
}

async function filled(count: number, options: Partial<FileJournalOptions> = {}): Promise<OrderJournal> {
  const journal = await open(options);
  for (let index = 0; index < count; index += 1) {
    journal.append(`entry ${journal.nextOffset}`, 'AAA');
    if (index % 7 === 0) await settled(journal);
  }
  await settled(journal);
  return journal;
}

const lastFile = (): string =>
  join(
    folder,
    readdirSync(folder)
      .filter((name) => name.endsWith('.log'))
      .toSorted()
      .at(-1) ?? '',
  );

describe('the order journal in files', () => {
  it('gives entries only once they are durable, in order, once', async () => {
    const journal = await open();
    journal.append('a', 'AAA');
    journal.append('b', 'AAA');
    expect(journal.take(10, 1e6)).toEqual([]);
    expect(journal.unsynced).toBe(2);
    await settled(journal);
    expect(
      readFileSync(lastFile(), 'utf8')
        .split('\n')
        .slice(1, 3)
        .map((line) => line.slice(9)),
    ).toEqual(['a', 'b']);
    expect(journal.take(1, 1e6)).toEqual([{ offset: 0n, text: 'a' }]);
    expect(journal.take(10, 1e6)).toEqual([{ offset: 1n, text: 'b' }]);
    expect(journal.take(10, 1e6)).toEqual([]);
    await journal.close();
  });

  it('goes on after a restart with what the database has not got, under the same offsets', async () => {
    const first = await filled(20);
    const { identity } = first;
    await first.close();
    const second = await open({ from: 13n, identity });
    expect(second.take(100, 1e6).map(({ offset, text }) => `${offset} ${text}`)).toEqual(
      [13, 14, 15, 16, 17, 18, 19].map((offset) => `${offset} entry ${offset}`),
    );
    second.append('entry 20', 'AAA');
    await settled(second);
    expect(second.take(1, 1e6)).toEqual([{ offset: 20n, text: 'entry 20' }]);
    await second.close();
  });

  it('gives again what was taken and not released', async () => {
    const journal = await filled(10);
    journal.take(8, 1e6);
    await journal.release(3n);
    journal.rewind(3n);
    expect(journal.take(2, 1e6).map(({ offset }) => offset)).toEqual([3n, 4n]);
    expect(() => journal.rewind(2n)).toThrow(/offset 2 is not kept/);
    expect(() => journal.rewind(6n)).toThrow(/offset 6 is not kept/);
    await journal.close();
  });

  it.each([1, 5, 9, 10])('cuts off a group that was lost in the middle, %i bytes before its end', async (bytes) => {
    const journal = await filled(5);
    await journal.close();
    const size = readFileSync(lastFile()).length;
    truncateSync(lastFile(), size - bytes);
    const cuts: number[] = [];
    const again = await open({ onCut: (_file, cut) => cuts.push(cut) });
    expect(again.nextOffset).toBe(4n);
    expect(cuts.length).toBe(1);
    again.append('another', 'AAA');
    await settled(again);
    await again.close();
    const third = await open();
    expect(third.take(10, 1e6).map(({ text }) => text)).toEqual(['entry 0', 'entry 1', 'entry 2', 'entry 3', 'another']);
    await third.close();
  });

  it('cuts off what does not match its checksum', async () => {
    const journal = await filled(3);
    await journal.close();
    appendFileSync(lastFile(), '00000000 entry 3\n');
    const again = await open();
    expect(again.nextOffset).toBe(3n);
    await again.close();
  });

  it('begins another file when one is full, and removes those that are released', async () => {
    const journal = await filled(40, { segmentBytes: 200 });
    const files = (): string[] => readdirSync(folder).filter((name) => name.endsWith('.log'));
    const before = files().length;
    expect(before).toBeGreaterThan(3);
    journal.take(30, 1e6);
    await journal.release(30n);
    expect(files().length).toBeLessThan(before);
    await journal.close();
    const again = await open({ from: 30n, identity: journal.identity });
    expect(again.take(100, 1e6).map(({ offset }) => Number(offset))).toEqual([30, 31, 32, 33, 34, 35, 36, 37, 38, 39]);
    await again.close();
  });

  it('takes no more than may wait', async () => {
    const journal = await filled(4, { capacity: 4 });
    expect(journal.isFull).toBe(true);
    journal.take(1, 1e6);
    expect(journal.isFull).toBe(false);
    await journal.close();
  });

  it('takes no more text than may wait, and gives only so much at once', async () => {
    const journal = await open({ characters: 30 });
    for (const text of ['a'.repeat(10), 'b'.repeat(10), 'c'.repeat(10)]) {
      expect(journal.isFull).toBe(false);
      journal.append(text, 'AAA');
    }
    expect(journal.isFull).toBe(true);
    await settled(journal);
    expect(journal.take(10, 15).map(({ text }) => text[0])).toEqual(['a', 'b']);
    expect(journal.take(10, 5).map(({ text }) => text[0])).toEqual(['c']);
    expect(journal.isFull).toBe(true);
    await journal.release(1n);
    expect(journal.isFull).toBe(false);
    await journal.close();
  });

  it('begins where the database is when it is new', async () => {
    const journal = await open({ from: 1000n, identity: '24420bd6-3708-43c9-bd4f-c153d3f4d054' });
    expect(journal.nextOffset).toBe(1000n);
    await journal.close();
  });

  it('refuses files of another journal, files that end early, and files that begin late', async () => {
    const journal = await filled(5);
    await journal.close();
    await expect(open({ identity: '24420bd6-3708-43c9-bd4f-c153d3f4d054' })).rejects.toMatchObject({ code: 'JOURNAL_OTHER' });
    await expect(open({ from: 6n, identity: journal.identity })).rejects.toMatchObject({ code: 'JOURNAL_BEHIND' });
    const late = await open({ from: 5n, identity: journal.identity });
    await late.close();
    rmSync(lastFile());
    const moved = await open({ from: 9n });
    await moved.close();
    await expect(open({ from: 3n })).rejects.toMatchObject({ code: 'JOURNAL_INVALID' });
  });

  it('refuses a folder that another process appends to, and takes one over that a kill has left', async () => {
    writeFileSync(join(folder, 'lock'), String(process.ppid));
    await expect(open()).rejects.toMatchObject({ code: 'JOURNAL_TAKEN' });
    // Above the largest process id there may be.
    writeFileSync(join(folder, 'lock'), '4194399');
    const journal = await open();
    await journal.close();
    expect(readdirSync(folder)).not.toContain('lock');
  });

  it('stops taking requests when it cannot write', async () => {
    const journal = await filled(1, { segmentBytes: 1 });
    rmSync(folder, { recursive: true, force: true });
    journal.append('lost', 'AAA');
    while (journal.failure() === undefined) await SYSTEM_PAUSE(0);
    expect(journal.failure()).toMatchObject({ code: 'JOURNAL_FAILED' });
    expect(journal.isFull).toBe(true);
    expect(journal.take(10, 1e6).map(({ text }) => text)).toEqual(['entry 0']);
    await journal.close();
  });
});
