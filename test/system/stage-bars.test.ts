/** What a stage keeps, in a real database: written with an epoch, forgotten, read in pages. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BarRecord, writeBar } from '../../engine/market/ring-record.ts';
import { type Connection, connect, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { migrate } from '../../engine/sinks/postgres/migrate.ts';
import { createRecordList, type RecordList } from '../../engine/sinks/postgres/record-list.ts';
import { readStageBars, storeStageBars } from '../../engine/sinks/postgres/stage-bars.ts';
import { STAGE_OUT_KIND } from '../../schemas/records.ts';

const POSTGRES = process.env['POSTGRES_URL'] ?? '';
const NS = 1_000_000_000n;
const SYMBOLS = ['A\\B', 'C'];
const SCHEMA = `t${process.pid}_stage_bars`;
const LANES = { source: 'kafka.bars1m', lanes: [0, 1], isLaned: true };

function listOf(records: readonly Partial<BarRecord>[]): RecordList {
  const list = createRecordList();
  const words = new Int32Array(32);
  for (const record of records) {
    writeBar(new DataView(words.buffer), 0, { ...BLANK, ...record });
    list.append(words, 0, 1);
  }
  return list;
}

const BLANK: BarRecord = {
  ...{
    kind: STAGE_OUT_KIND.barInput,
    symbolIndex: 0,
    tsStartNs: 0n,
    firstNs: 0n,
    lastNs: 0n,
    tradeCount: 3,
    lateCount: 1,
    timeframeIndex: 0,
  },
  ...{
    revision: 0,
    open: 10.25,
    close: 10.5,
    high: 11,
    low: 10,
    volumeLots: 7n,
    notional: 7070n,
    priceScale: 100,
    flags: 0,
    missedMask: 0,
  },
  ...{ askOpen: 0, askClose: 0, askHigh: 0, askLow: 0, partition: 0, instrumentKind: 0 },
};

function inputAt(sec: bigint, change: Partial<BarRecord> = {}): Partial<BarRecord> {
  return { tsStartNs: sec * NS, firstNs: sec * NS + 1n, lastNs: sec * NS + 999_999_999n, ...change };
}

describe.skipIf(POSTGRES === '')(POSTGRES === '' ? 'POSTGRES_URL is not set: no real database to test with' : 'stage_bars', () => {
  let client: Connection;
  beforeAll(async () => {
    await migrate(POSTGRES, SCHEMA, []);
    client = await connect(POSTGRES, SCHEMA);
  });
  afterAll(async () => {
    await client.end();
    await withConnection(POSTGRES, undefined, (other) => other.query(`drop schema ${SCHEMA} cascade`));
  });

  async function store(inputs: readonly Partial<BarRecord>[], forgets: readonly Partial<BarRecord>[] = []): Promise<void> {
    const entryOf = (index: number) => ({
      ...{ name: SYMBOLS[index] ?? '', partition: index, shard: 0, localIndex: index, priceDecimals: 2, lotDecimals: 0, isQuote: false },
    });
    await client.query('begin');
    await storeStageBars(client, { source: LANES.source, entryOf }, { inputs: listOf(inputs), forgets: listOf(forgets) });
    await client.query('commit');
  }

  async function read(lanes = LANES.lanes): Promise<[string, number[]][]> {
    const found = await readStageBars(client, { ...LANES, lanes });
    return found.map(({ symbol, bars }) => [symbol, [...bars()].map(({ tsSec }) => tsSec)]);
  }

  it('gives back every value of a bar, and of two revisions the higher one', async () => {
    await store([inputAt(1_700_000_000n), inputAt(1_700_000_000n, { revision: 2, volumeLots: 9n, flags: 1 })]);
    await store([inputAt(1_700_000_001n, { symbolIndex: 1 })]);
    const [first, second] = await readStageBars(client, LANES);
    expect(first).toMatchObject({ symbol: 'A\\B', partition: 0, priceDecimals: 2, lotDecimals: 0 });
    const values = {
      open: 10.25,
      high: 11,
      low: 10,
      close: 10.5,
      tradeCount: 3,
      lateCount: 1,
      firstOffsetNs: 1,
      lastOffsetNs: 999_999_999,
    };
    expect([...(first?.bars() ?? [])]).toEqual([{ ...values, tsSec: 1_700_000_000, revision: 2, volumeLots: 9, notional: Number.NaN }]);
    expect([...(second?.bars() ?? [])]).toEqual([{ ...values, tsSec: 1_700_000_001, revision: 0, volumeLots: 7, notional: 7070 }]);
    expect(await read([1])).toEqual([['C', [1_700_000_001]]]);
  });

  it('forgets what is before a time, of the symbol alone', async () => {
    await store([2n, 3n, 4n].map((more) => inputAt(1_700_000_000n + more)));
    await store([inputAt(1_700_000_005n)], [{ kind: STAGE_OUT_KIND.barForget, tsStartNs: 1_700_000_003n * NS }]);
    expect(await read()).toEqual([
      ['A\\B', [1_700_000_003, 1_700_000_004, 1_700_000_005]],
      ['C', [1_700_000_001]],
    ]);
  });

  it('reads more than one page', async () => {
    const count = 45_000;
    await store(Array.from({ length: count }, (_, index) => inputAt(1_800_000_000n + BigInt(index), { symbolIndex: index % 2 })));
    const found = await read();
    expect(found.map(([symbol, bars]) => [symbol, bars.length])).toEqual([
      ['A\\B', 3 + count / 2],
      ['C', 1 + count / 2],
    ]);
    expect(found[0]?.[1].every((tsSec, index, all) => index === 0 || tsSec > (all[index - 1] ?? 0))).toBe(true);
  }, 60_000);
});
