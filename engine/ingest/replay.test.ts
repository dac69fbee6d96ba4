import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REFUSAL, TICK_KIND } from '../../schemas/records.ts';
import { createMemoryPort, type MemoryPort, type MemoryPortOptions } from '../../test/contract/memory-port.ts';
import { describeSource } from '../../test/contract/source-suite.ts';
import { writeZip } from '../../test/contract/zip-writer.ts';
import { createManualClock, SYSTEM_CLOCK } from '../core/clock.ts';
import { createReplaySource, type ReplayOptions, type ReplaySource } from './replay.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);
const T0 = 1_723_161_255_000_000_000n;
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'replay-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const nextTurn = (): Promise<void> => new Promise((resume) => setImmediate(resume));

/** Polls to the end; throws what the source reports. */
async function drain(source: ReplaySource): Promise<void> {
  for (let turn = 0; turn < 100_000 && !source.isEnded; turn += 1) {
    if (source.poll(1000) === 0) await nextTurn();
    const failure = source.failure();
    if (failure) throw failure;
  }
  if (!source.isEnded) throw new Error('the source did not end');
}

interface Replayed {
  readonly port: MemoryPort;
  readonly source: ReplaySource;
}

async function replay(
  files: readonly string[],
  options: Partial<ReplayOptions> = {},
  portOptions: MemoryPortOptions = {},
): Promise<Replayed> {
  const port = createMemoryPort(portOptions);
  const source = createReplaySource({ files, speed: 'max', clock: SYSTEM_CLOCK, ...options });
  await source.start(port, undefined);
  try {
    await drain(source);
  } finally {
    await source.stop();
  }
  return { port, source };
}

function csv(lines: readonly string[]): string {
  return ['symbol,ts_ns,price,quantity', ...lines, ''].join('\n');
}

const millis = (count: number): string => String(T0 + BigInt(count) * 1_000_000n);

describeSource('replay', async () => {
  const even = Array.from({ length: 30 }, (_, tick) => (tick === 7 ? 'A,oops,1,1' : `A,${millis(tick * 20)},10.${tick + 10},${tick}`));
  const odd = Array.from({ length: 30 }, (_, tick) => (tick % 9 === 4 ? `B,${millis(tick * 20)},1` : `B,${millis(tick * 20 + 10)},20.5,1`));
  const files = [write('suite-a.csv', csv(even)), write('suite-b.csv.gz', gzipSync(csv([...odd, 'B,,,'])))];
  const source = createReplaySource({ files, speed: 'max', clock: SYSTEM_CLOCK });
  return { source, malformedCount: 5, isDone: () => source.isEnded, passTime: nextTurn, close: async () => undefined };
});

describe('merging', () => {
  it('merges files by event time, ties by the order of the files, and keeps the order of lines in each', async () => {
    const first = write('merge-1.csv', csv([`A,${millis(0)},1,1`, `A,${millis(30)},2,1`, `A,${millis(10)},3,1`, `A,${millis(40)},4,1`]));
    const second = write('merge-2.csv', csv([`B,${millis(0)},5,1`, `B,${millis(20)},6,1`, `B,${millis(40)},7,1`]));
    const { port } = await replay([first, second]);
    expect(port.ticks.map(({ price }) => price)).toEqual([1, 5, 6, 2, 3, 4, 7]);
    const swapped = await replay([second, first]);
    expect(swapped.port.ticks.map(({ price }) => price)).toEqual([5, 1, 6, 2, 3, 7, 4]);
  });

  it('gives sorted files in sorted order, whatever their number and lengths', async () => {
    let run = 0;
    const times = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.array(times, { minLength: 1, maxLength: 6 }), async (recordings) => {
        run += 1;
        const files = recordings.map((recording, file) => {
          const lines = [...recording].sort((left, right) => left - right).map((ms, line) => `S,${millis(ms)},${file + 1},${line}`);
          return write(`sorted-${run}-${file}.csv`, csv(lines));
        });
        const { port } = await replay(files);
        const found = port.ticks.map((tick) => [Number(tick.tsEventNs - T0) / 1e6, tick.price, Number(tick.quantityLots)] as const);
        const wanted = recordings.flatMap((recording, file) =>
          [...recording].sort((left, right) => left - right).map((ms, line) => [ms, file + 1, line] as const),
        );
        wanted.sort((left, right) => left[0] - right[0] || left[1] - right[1] || left[2] - right[2]);
        expect(found).toEqual(wanted);
      }),
      { seed, numRuns: 25 },
    );
  });

  it('reads a file that is far longer than what it reads ahead, to the last line', async () => {
    const lines = Array.from({ length: 60_000 }, (_, tick) => `LONG,${T0 + BigInt(tick) * 1_000_003n},${(tick % 977) + 1}.25,${tick}`);
    const { port } = await replay([write('long.csv.gz', gzipSync(csv(lines)))]);
    expect(port.ticks).toHaveLength(60_000);
    expect(port.ticks.every((tick, index) => tick.quantityLots === BigInt(index))).toBe(true);
    expect(port.ticks.at(-1)!.tsEventNs).toBe(T0 + 59_999n * 1_000_003n);
  });
});

describe('formats', () => {
  it('reads trades from Binance frames by trade time, and counts other frames as ignored', async () => {
    const lines = [
      '1723161254036059768 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255308,"s":"BTCUSDT","b":[],"a":[]}}',
      '1723161254087896568 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":1,"p":"61837.63000000","q":"0.02000001","T":1723161255342,"m":true,"M":true}}',
      '1723161254087896569 {"lastUpdateId":5,"bids":[],"asks":[]}',
      '1723161254087896570 {"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":2,"p":"61837.63000000","q":"0.5","T":1723161255343',
      '1723161254087896571 {"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":2,"p":"61837,63","q":"0.5","T":1723161255343}}',
      '1723161254087896572 {"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":2,"p":"61837.6","q":"0.000000001","T":1723161255343}}',
    ];
    const { port, source } = await replay([write('btcusdt.gz', gzipSync(`${lines.join('\n')}\n`))]);
    expect(port.instruments).toEqual([{ symbol: 'BTCUSDT', kind: 'trade', priceDecimals: 8, lotDecimals: 8, partition: 0 }]);
    expect(port.ticks).toHaveLength(1);
    expect(port.ticks[0]).toMatchObject({
      symbol: 'BTCUSDT',
      kind: TICK_KIND.trade,
      tsEventNs: 1_723_161_255_342_000_000n,
      price: 61837.63,
      quantityLots: 2_000_001n,
    });
    expect(source.ignoredCount).toBe(2);
    expect(port.refusals).toEqual(
      new Map([
        [REFUSAL.malformed, 2],
        [REFUSAL.quantityOffLot, 1],
      ]),
    );
  });

  it('reads zipped quotes with the day and symbol from the name, milliseconds with a fraction, and carriage returns', async () => {
    const content =
      '0,1.38676,1.38686\r\n292.000001,1.38676,1.38687\r\n86399999.5,1.4,1.5\r\n86400000,1.4,1.5\r\n-1,1.4,1.5\r\n1.0000001,1.4,1.5\r\n';
    const { port } = await replay([write('20140501_quote.zip', writeZip([{ name: '20140501_eurusd_tick_quote.csv', content }]))]);
    const midnight = BigInt(Date.UTC(2014, 4, 1)) * 1_000_000n;
    expect(port.ticks.map(({ symbol, kind, tsEventNs, price, ask }) => [symbol, kind, tsEventNs - midnight, price, ask])).toEqual([
      ['EURUSD', TICK_KIND.quote, 0n, 1.38676, 1.38686],
      ['EURUSD', TICK_KIND.quote, 292_000_001n, 1.38676, 1.38687],
      ['EURUSD', TICK_KIND.quote, 86_399_999_500_000n, 1.4, 1.5],
    ]);
    expect(port.refusals).toEqual(new Map([[REFUSAL.malformed, 3]]));
    expect(port.instruments[0]).toMatchObject({ kind: 'quote', priceDecimals: 5, lotDecimals: 0 });
  });

  it('reads every expiry of a zip of futures trades as a symbol of its own, merged by time, zero quantities too', async () => {
    const members = [
      { name: '20131007_gc_tick_trade_201310.csv', content: '10,1313.8,1,usa,,0\n30,1313.9,0,usa,,0\n' },
      { name: '20131007_gc_tick_trade_201312.csv', content: '20,1314.1,7,usa,,0\n30,1314.2,2,usa,,0', isStored: true },
    ];
    const { port } = await replay([write('20131007_trade.zip', writeZip(members))]);
    expect(port.ticks.map(({ symbol, price, quantityLots }) => [symbol, price, quantityLots])).toEqual([
      ['GC201310', 1313.8, 1n],
      ['GC201312', 1314.1, 7n],
      ['GC201310', 1313.9, 0n],
      ['GC201312', 1314.2, 2n],
    ]);
  });

  it('reads 1 s bars with an exact decimal volume', async () => {
    const content = '4000,611.78,611.87,611.7,611.87,0.60046\n30000,611.9,611.91,611.89,611.9,90071992.54740993\n';
    const { port } = await replay([write('20161007_trade.zip', writeZip([{ name: '20161007_btcusd_second_trade.csv', content }]))]);
    expect(port.ticks[0]).toMatchObject({ kind: TICK_KIND.bar, price: 611.78, ask: 611.87, low: 611.7, close: 611.87, tradeCount: 0 });
    expect(port.ticks.map(({ quantityLots }) => quantityLots)).toEqual([60_046_000n, 9_007_199_254_740_993n]);
    expect(port.instruments[0]).toMatchObject({ symbol: 'BTCUSD', lotDecimals: 8, priceDecimals: 2 });
  });

  it('reads NDJSON of the ticks topic with every digit of the event time', async () => {
    const lines = [
      '{"symbol":"RELIANCE","event_ts":1723161255342999999,"ltp":2500.05,"vol":3}',
      '{ "vol" : 4, "extra":{"vol":9,"event_ts":[1,"}"]}, "ltp":1e2, "symbol":"caf\u00e9 \\"x\\"", "event_ts" : 1723161255342999998 }',
      '{"symbol":"RELIANCE","event_ts":"1723161255342999999","ltp":2500.05,"vol":"3"}',
      '{"symbol":"RELIANCE","event_ts":1723161255342999999,"ltp":null,"vol":3}',
      '{"symbol":"RELIANCE","event_ts":1.5e18,"ltp":1,"vol":3}',
      '{"symbol":"RELIANCE","event_ts":1723161255342999999,"ltp":1,"vol":1.5}',
      '{"symbol":7,"event_ts":1723161255342999999,"ltp":1,"vol":1}',
      'not json',
    ];
    const { port } = await replay([write('ticks.ndjson', `${lines.join('\n')}\n`)]);
    expect(port.ticks.map(({ symbol, tsEventNs, price, quantityLots }) => [symbol, tsEventNs, price, quantityLots])).toEqual([
      ['RELIANCE', 1_723_161_255_342_999_999n, 2500.05, 3n],
      ['caf\u00e9 "x"', 1_723_161_255_342_999_998n, 100, 4n],
    ]);
    expect(port.refusals).toEqual(
      new Map([
        [REFUSAL.malformed, 5],
        [REFUSAL.quantityOffLot, 1],
      ]),
    );
  });

  it('reads quotes in CSV, and files without a symbol column when the symbol is given', async () => {
    const quotes = write('quotes.csv', `symbol,ts_ns,bid,ask\nX,${millis(1)},1.1,1.2\n`);
    expect((await replay([quotes])).port.ticks[0]).toMatchObject({ symbol: 'X', kind: TICK_KIND.quote, price: 1.1, ask: 1.2 });
    const bare = write('bare.csv', `ts_ns,price,quantity\n${millis(1)},5,6\n`);
    expect((await replay([bare], { symbol: 'GIVEN' })).port.ticks[0]).toMatchObject({ symbol: 'GIVEN', price: 5, quantityLots: 6n });
    await expect(replay([bare])).rejects.toMatchObject({ code: 'REPLAY_SYMBOL_MISSING' });
  });

  it('counts lots by the decimals of the instruments file, and refuses what is no whole number of them', async () => {
    const file = write('lots.csv', csv([`A,${millis(0)},1,0.125`, `A,${millis(1)},1,0.1255`, `A,${millis(2)},1,-2`]));
    const decimals = new Map([['A', { priceDecimals: 2, lotDecimals: 3 }]]);
    const { port, source } = await replay([file], {}, { decimals });
    expect(port.ticks.map(({ quantityLots }) => quantityLots)).toEqual([125n]);
    expect(port.refusals).toEqual(
      new Map([
        [REFUSAL.quantityOffLot, 1],
        [REFUSAL.quantityNegative, 1],
      ]),
    );
    expect(source.offered).toBe(3);
  });

  it('does not register a symbol for a line that it refuses', async () => {
    const long = 'L'.repeat(41);
    const { port } = await replay([write('names.csv', csv([`${long},${millis(0)},1,1`, `,${millis(1)},1,1`, `BAD,${millis(2)},x,1`]))]);
    expect(port.instruments).toEqual([]);
    expect(port.refusals).toEqual(new Map([[REFUSAL.malformed, 3]]));
  });

  it('counts ticks of symbols beyond the capacity as refused, in their place', async () => {
    const file = write('capacity.csv', csv([`A,${millis(0)},1,1`, `B,${millis(1)},1,1`, `A,${millis(2)},1,1`, `C,${millis(3)},1,1`]));
    const { port, source } = await replay([file], {}, { symbolCapacity: 1 });
    expect(port.ticks).toHaveLength(2);
    expect(port.refusals).toEqual(new Map([[REFUSAL.capacity, 2]]));
    expect(source.position().offsets.get(0)).toBe(4n);
  });
});

describe('bad files', () => {
  it('refuses an unknown format with the name of the file and what was expected', async () => {
    const file = write('odd.csv', 'a,b,c\n1,2,3\n');
    const message = /odd\.csv: .*'a,b,c'.*\n.*lean-quote: .*(\n.*)*csv: .*symbol,ts_ns,price,quantity/;
    await expect(replay([file])).rejects.toMatchObject({ code: 'REPLAY_FORMAT_UNKNOWN', message: expect.stringMatching(message) });
    await expect(replay([write('empty.csv', '')])).rejects.toMatchObject({ code: 'REPLAY_FORMAT_UNKNOWN' });
    await expect(replay([file], { format: 'nonsense' })).rejects.toThrow(/format 'nonsense': expected one of lean-quote, /);
    await expect(replay([file], { format: 'csv' })).rejects.toMatchObject({ code: 'REPLAY_HEADER_INVALID' });
    const minutes = writeZip([{ name: '20161007_btcusd_minute_trade.csv', content: '0,1,1,1,1,1\n' }]);
    await expect(replay([write('minutes.zip', minutes)])).rejects.toMatchObject({ code: 'REPLAY_FORMAT_UNKNOWN' });
  });

  it('refuses a missing file and a broken zip directory at the start', async () => {
    await expect(replay([join(folder, 'absent.csv')])).rejects.toMatchObject({ code: 'REPLAY_FILE_UNREADABLE' });
    await expect(replay([write('cut.zip', writeZip([{ name: 'a.csv', content: 'x' }]).subarray(0, 40))])).rejects.toMatchObject({
      code: 'REPLAY_FILE_UNREADABLE',
    });
  });

  const lines = Array.from({ length: 20_000 }, (_, tick) => `A,${T0 + BigInt(tick)},${(tick * 7919) % 10007},1`);

  it('reports a truncated gzip as a failure, and does not claim to have ended', async () => {
    const packed = gzipSync(csv(lines));
    const file = write('truncated.csv.gz', packed.subarray(0, packed.length - 100));
    await expect(replay([file])).rejects.toMatchObject({
      code: 'REPLAY_FILE_DAMAGED',
      message: expect.stringContaining('truncated.csv.gz'),
    });
  });

  it('reports a member whose content does not match its checksum', async () => {
    const damaged = writeZip([{ name: 'damaged.csv', content: csv(lines), checksum: 1 }]);
    await expect(replay([write('damaged.zip', damaged)])).rejects.toMatchObject({
      code: 'REPLAY_FILE_DAMAGED',
      message: expect.stringMatching(/damaged\.zip \(damaged\.csv\): content .* is damaged/),
    });
  });

  it('reports an offset that lies beyond the end of the files', async () => {
    const file = write('short.csv', csv([`A,${millis(0)},1,1`, `A,${millis(1)},1,1`]));
    const source = createReplaySource({ files: [file], speed: 'max', clock: SYSTEM_CLOCK });
    await source.start(createMemoryPort(), { offsets: new Map([[0, 3n]]) });
    await expect(drain(source)).rejects.toMatchObject({ code: 'REPLAY_OFFSET_BEYOND_END', message: 'offset 3: the files have 2 lines' });
    expect(source.isEnded).toBe(false);
    await source.stop();
  });
});

describe('speed', () => {
  it('paces ticks by their event time, and tells how far it is behind', async () => {
    const file = write('paced.csv', csv(Array.from({ length: 11 }, (_, tick) => `A,${millis(tick * 1000)},1,1`)));
    const clock = createManualClock(1_000_000);
    const port = createMemoryPort();
    const source = createReplaySource({ files: [file], speed: 10, clock });
    await source.start(port, undefined);
    const counts: number[] = [];
    for (const ms of [0, 99, 1, 250, 0]) {
      clock.advanceMs(ms);
      source.poll(100);
      counts.push(port.ticks.length);
    }
    expect(counts).toEqual([1, 1, 2, 4, 4]);
    expect(source.isCaughtUp(0)).toBe(true);
    clock.advanceMs(120);
    expect(source.isCaughtUp(0)).toBe(false);
    expect(source.lagMs).toBeCloseTo(70, 6);
    clock.advanceMs(1000);
    source.poll(100);
    expect(port.ticks).toHaveLength(11);
    await drain(source);
    expect(port.ticks).toHaveLength(11);
    await source.stop();
  });
});
