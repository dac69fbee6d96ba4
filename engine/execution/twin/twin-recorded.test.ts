import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../../../config/load.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import { openBookFeed } from '../../ingest/book-feed/open.ts';
import { runTwinCommand } from './command.ts';

const DATA = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR);
const LOBSTER = join(DATA, 'lobster/AAPL_2012-06-21_34200000_57600000_message_10.csv');
const ES = join(DATA, 'dbn/es-2024-05-08-two-seconds.mbo.dbn.zst');
const FLAGS = { orders: '600', seed: '7', explain: '10' };

async function say(files: string[], flags: object): Promise<{ lines: string[]; code: number }> {
  const lines: string[] = [];
  const code = await runTwinCommand(files, { ...FLAGS, ...flags }, (line) => lines.push(line));
  return { lines, code };
}

const isThere = existsSync(LOBSTER) && existsSync(ES);

describe.skipIf(!isThere)(`twins on recorded feeds${isThere ? '' : ' (skipped: DATA_DIR is absent)'}`, () => {
  it('LOBSTER: every order that was filled is filled on time, none that was cancelled is filled', async () => {
    const { lines, code } = await say([LOBSTER], {});
    expect(code).toBe(0);
    expect(lines.slice(0, 3)).toEqual([
      'feed      999 messages; never changed: 69 orders filled whole, 361 cancelled whole',
      'twins     69 of filled orders, 300 of cancelled orders',
      '          asked for 600: the feed has no more of filled orders',
    ]);
    expect(lines.at(-2)).toBe('filled    within 1 ms 100.0 %, too early 0.0 %, missed 0.0 % (0 late, 0 never), of 69');
    expect(lines.at(-1)).toBe('cancelled filled falsely 0.0 % (0 whole, 0 in part), of 300');
  });

  it('LOBSTER with the book before the first message: the sizes that stood there are ahead, and change nothing', async () => {
    const { lines } = await say([LOBSTER.replace('_message_', '_orderbook_'), LOBSTER], { json: true });
    expect(JSON.parse(lines[0]!)).toMatchObject({
      filledCount: 69,
      cancelledCount: 361,
      runs: [{ onTimeCount: 69, earlyCount: 0, falseCount: 0 }],
    });
  });

  it('LOBSTER without order ids: models that see sizes alone stand in the order of their assumptions', async () => {
    const { lines } = await say([LOBSTER], { model: 'all', json: true });
    const { runs } = JSON.parse(lines[0]!) as {
      runs: { settings: { model: string }; onTimeCount: number; earlyCount: number; falseCount: number }[];
    };
    expect(runs.map((run) => [run.settings.model, run.onTimeCount, run.earlyCount, run.falseCount])).toEqual([
      ['exact', 69, 0, 0],
      ['trades', 66, 0, 0],
      ['behind', 69, 0, 0],
      ['proportional', 69, 0, 0],
      ['ahead', 68, 1, 0],
      ['assumed', 66, 3, 5],
    ]);
  });

  it('two seconds of ES hold no order that came and was filled, and the report says so', async () => {
    const { lines } = await say([ES], {});
    expect(lines[0]).toBe('feed      13796 messages; never changed: 0 orders filled whole, 47 cancelled whole');
    expect(lines[2]).toBe('          asked for 600: the feed has no more of filled and cancelled orders');
    expect(lines.at(-1)).toBe('cancelled filled falsely 0.0 % (0 whole, 0 in part), of 47');
  });

  it('a snapshot file comes first, then what follows it', async () => {
    const feed = await openBookFeed([ES, ES]);
    expect(feed.name).toBe('dbn');
    await feed.close();
    // The second file begins with a snapshot of its own: the book is made anew, and the same orders come again.
    const { lines } = await say([ES, ES], {});
    expect(lines[0]).toBe('feed      27592 messages; never changed: 0 orders filled whole, 94 cancelled whole');
  });
});

describe('options of twin', () => {
  it('are refused with their limits', () => {
    expect(() => runTwinCommand([], { ...FLAGS }, () => undefined)).toThrow('twin: expected files or --seeded, one of the two');
    expect(() => runTwinCommand(['a'], { ...FLAGS, orders: '1' }, () => undefined)).toThrow(
      "--orders '1': expected a whole number, 2 to 1000000",
    );
    expect(() => runTwinCommand(['a'], { ...FLAGS, model: 'lucky' }, () => undefined)).toThrow(/paper settings refused: model/);
    expect(() => runTwinCommand(['a'], { ...FLAGS, settings: 'nowhere.json' }, () => undefined)).toThrow(/paper settings 'nowhere.json': /);
  });

  it('a seeded flow needs no file', async () => {
    const { lines, code } = await say([], { seeded: '3000', model: 'exact' });
    expect(code).toBe(0);
    expect(lines.at(-1)).toMatch(/^cancelled filled falsely 0\.0 %/);
  });
});
