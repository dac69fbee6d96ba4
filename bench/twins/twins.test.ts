import { expect, it } from 'vitest';
import { timeframeParents } from '../../engine/memory/region.ts';
import { createBarKernelRunner, OUT_CAPACITY, SLOT_COUNT } from '../bar-kernel-runner.ts';
import { makeBarStream, ORIGIN_NS, PRICE_SCALE, TIMEFRAME_SECONDS } from '../bar-stream.ts';
import { createMapBars } from './map-bars.ts';
import { BAR_FIELDS } from './twin.ts';
import { createTypedBars } from './typed-bars.ts';

it('the twins of the bar bench make the bars that the kernel makes', () => {
  const stream = makeBarStream(20, 20_000);
  const kernel = createBarKernelRunner(stream);
  kernel.run();
  const outs = [createTypedBars, createMapBars].map((create) => {
    const out = new Float64Array(OUT_CAPACITY * BAR_FIELDS);
    const twin = create({
      symbols: stream.symbols,
      slotCount: SLOT_COUNT,
      timeframeSeconds: TIMEFRAME_SECONDS,
      timeframeParents: timeframeParents(TIMEFRAME_SECONDS),
      priceScale: PRICE_SCALE,
      originNs: ORIGIN_NS,
      out,
    });
    twin.run(new Int32Array(stream.bytes.buffer), new Float64Array(stream.bytes.buffer), stream.symbolRecords, stream.records);
    return out.subarray(0, twin.bars * BAR_FIELDS);
  });
  expect(kernel.bars).toBeGreaterThan(1500);
  expect(outs[0]!.length / BAR_FIELDS).toBe(kernel.bars);
  expect(outs[1]).toEqual(outs[0]);
  // Each row ends with o, h, l, c, lots, trades, notional: the fields of the kernel's checksum, in the order of its sum.
  let checksum = 0;
  for (let at = 0; at < outs[0]!.length; at += BAR_FIELDS) {
    const [open, high, low, close, lots, trades, notional] = outs[0]!.subarray(at + 5, at + BAR_FIELDS);
    checksum += open! + high! + low! + close! + trades! + lots! + notional!;
  }
  expect(checksum).toBe(kernel.checksum);
});
