import { expect, it } from 'vitest';
import { createRig } from '../../../engine/ingest/ingest-harness.ts';
import { readTick } from '../../../engine/market/ring-record.ts';
import { parseTimeframes } from '../../../engine/market/timeframes.ts';
import * as L from '../../../schemas/layout.gen.ts';
import { createTickStream } from '../tick-stream.ts';
import { createBacklogSource, spanNsOf } from './backlog-source.ts';

const SEED = Number(process.env['SEED'] ?? 1);
const stream = { symbols: 4, baseTps: 20, seconds: 3, seed: SEED, startMs: 1_599_998_400_000 };

it('takes a span that holds whole buckets of every timeframe, and the stream', () => {
  const timeframes = parseTimeframes('1s,1m,3m,5m,15m');
  expect(spanNsOf(1, timeframes)).toBe(900_000_000_000n);
  expect(spanNsOf(900.5, timeframes)).toBe(1_800_000_000_000n);
  expect(spanNsOf(61, parseTimeframes('1s,1m'))).toBe(120_000_000_000n);
});

it('hands every tick over in every pass, each pass a span later to the nanosecond', async () => {
  // Half of 2^32 and one: the low words carry in some passes and not in others.
  const spanNs = 2_147_483_649n * 7n;
  const rig = createRig({ tickCapacity: 64, nowMs: stream.startMs + 1_000_000 });
  let asked = 0;
  const isOver = (): boolean => {
    asked += 1;
    return asked > 3;
  };
  const source = createBacklogSource({ stream, spanNs, isOver });
  await source.start(rig.ingest, undefined);
  while (!source.isEnded) {
    source.poll(7);
    rig.drain();
  }
  const expected: [symbol: string, tsEventNs: bigint, cents: number, quantity: number][] = [];
  for (const pass of [0n, 1n, 2n]) {
    const drawn = createTickStream(stream);
    const { tick } = drawn;
    while (drawn.next()) expected.push([tick.symbol, tick.tsEventNs + pass * spanNs, tick.cents, tick.quantity]);
  }
  const bytes = rig.received[0] ?? new Uint8Array();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: typeof expected = [];
  for (let at = 0; at < bytes.byteLength; at += L.TICK_SIZE) {
    const { kind, symbolIndex, tsEventNs, price, quantityLots } = readTick(view, at);
    if (kind !== L.TICK_KIND_TRADE) continue;
    found.push([rig.symbols.read(symbolIndex)?.name ?? '', tsEventNs, Math.round(price * 100), Number(quantityLots)]);
  }
  expect(found).toEqual(expected);
  expect([source.passes, source.offered]).toEqual([3, 3 * source.ticks]);
  expect(rig.ingest.counts().acceptedTrades).toBe(source.offered);
});
