/** The files a user has of a futures day: a snapshot, then the day, each a DBN file, the day in zstd. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DbnRecord, dbnHeader, dbnRecord } from '../../../test/feed-frames.ts';
import { BOOK_ACTION, BOOK_FLAG, type BookBatch, type BookMessage, createBookBatch, readMessage } from '../../market/book-message.ts';
import { createFeedBook } from '../../market/feed-book.ts';
import { runTwinCommand } from './command.ts';
import { openSeededFlow } from './seeded-flow.ts';

const INSTRUMENT = 5602;
const TICK = 250_000_000n;
const DBN_ACTION: Readonly<Record<number, string>> = {
  [BOOK_ACTION.add]: 'A',
  [BOOK_ACTION.cancel]: 'C',
  [BOOK_ACTION.modify]: 'M',
  [BOOK_ACTION.trade]: 'T',
  [BOOK_ACTION.fill]: 'F',
  [BOOK_ACTION.clear]: 'R',
};
const DBN_LAST = 128;
const DBN_SNAPSHOT = 32;
const hasZstd = spawnSync('zstd', ['--version']).status === 0;

function recordOf(message: BookMessage): DbnRecord {
  return {
    instrument: INSTRUMENT,
    tsNs: message.tsNs,
    orderId: message.orderId,
    price: BigInt(message.priceTicks) * TICK,
    size: message.quantityLots,
    flags: (message.flags & BOOK_FLAG.last ? DBN_LAST : 0) | (message.flags & BOOK_FLAG.snapshot ? DBN_SNAPSHOT : 0),
    action: DBN_ACTION[message.action]!,
    side: ['B', 'A', 'N'][message.side]!,
  };
}

function dbnFile(messages: readonly BookMessage[]): Buffer {
  const header = dbnHeader({ version: 1, symbols: { [INSTRUMENT]: 'ESM4' } });
  return Buffer.concat([header, ...messages.map((message) => dbnRecord(recordOf(message)))]);
}

/** The book after messages 0 to `end` - 1, as the venue's snapshot tells it: cleared, then each level in its order of time. */
function snapshotOf(batch: BookBatch, end: number): BookMessage[] {
  const book = createFeedBook();
  book.apply(batch, 0, end);
  const common = { tsNs: batch.tsNs[end - 1]!, newOrderId: 0n, symbolIndex: 0, flags: BOOK_FLAG.snapshot };
  const messages: BookMessage[] = [{ ...common, action: BOOK_ACTION.clear, side: 2, orderId: 0n, priceTicks: 0, quantityLots: 0 }];
  for (const side of [0, 1]) {
    for (const level of book.symbol(0).levels(side)) {
      for (let order = level.first; order !== undefined; order = order.after) {
        const { orderId, leavesLots: quantityLots } = order;
        messages.push({ ...common, action: BOOK_ACTION.add, side, orderId, priceTicks: level.priceTicks, quantityLots });
      }
    }
  }
  messages.push({ ...messages.pop()!, flags: BOOK_FLAG.snapshot | BOOK_FLAG.last });
  return messages;
}

describe(`twins from DBN files${hasZstd ? '' : ' (the day is not in zstd: the zstd program is absent)'}`, () => {
  let folder = '';
  let files: string[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'twin-'));
    const batch = createBookBatch(60_000);
    await openSeededFlow({ seed: 11, commands: 8000, style: 'trades' }).read(batch);
    let middle = 3000;
    while ((batch.flags[middle - 1]! & BOOK_FLAG.last) === 0) middle += 1;
    const snapshot = join(folder, 'snapshot.mbo.dbn');
    const day = join(folder, 'day.mbo.dbn');
    writeFileSync(snapshot, dbnFile(snapshotOf(batch, middle)));
    writeFileSync(day, dbnFile(Array.from({ length: batch.count - middle }, (_, place) => readMessage(batch, middle + place))));
    if (hasZstd) execFileSync('zstd', ['-q', '--rm', day]);
    files = [snapshot, hasZstd ? `${day}.zst` : day];
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('every twin does as its original did', async () => {
    const lines: string[] = [];
    await runTwinCommand(files, { orders: '600', seed: '7', explain: '0', json: true }, (line) => lines.push(line));
    expect(JSON.parse(lines[0]!)).toMatchObject({
      unknownCount: 0,
      runs: [{ filledCount: 300, onTimeCount: 300, earlyCount: 0, lateCount: 0, neverCount: 0, cancelledCount: 300, falseCount: 0 }],
    });
  });

  it('without the snapshot the orders that stood before are not known, and the report says so', async () => {
    const lines: string[] = [];
    await runTwinCommand(files.slice(1), { orders: '600', seed: '7', explain: '0' }, (line) => lines.push(line));
    expect(lines.some((line) => /\d+ messages name orders from before the recording/.test(line))).toBe(true);
  });
});
