import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { decodeJsonTick } from '../engine/ingest/json-tick.ts';
import { tickJson } from '../engine/ingest/tick-producer.ts';
import { createBarEncoder } from '../engine/kernel/encode.ts';
import { allocateSymbols, openSymbols } from '../engine/market/instruments.ts';
import { deadLetterJson } from '../engine/sinks/kafka/dlq.ts';
import * as L from './layout.gen.ts';
import { BAR_FLAG, REFUSAL } from './records.ts';

const ajv = new Ajv({ strict: true });

function schemaOf(name: string): ValidateFunction {
  return ajv.compile(JSON.parse(readFileSync(join(PROJECT_ROOT, 'schemas/json', `${name}.schema.json`), 'utf8')));
}

const ticks = schemaOf('ticks');
const bars = schemaOf('bars');
const deadLetters = schemaOf('dlq');

function faultsOf(validate: ValidateFunction, text: string): unknown {
  validate(JSON.parse(text));
  return validate.errors;
}

it('every tick that the producer writes is valid, and is decoded exactly', () => {
  const tick = fc.record({
    symbol: fc.stringMatching(/^[A-Z0-9 "\\-]{1,40}$/),
    tsEventNs: fc.bigInt({ min: 1n, max: 4_000_000_000_000_000_000n }),
    price: fc.double({ min: 1e-9, max: 1e12, noNaN: true }),
    quantityLots: fc.bigInt({ min: 0n, max: 9_007_199_254_740_991n }),
  });
  fc.assert(
    fc.property(tick, (value) => {
      const text = tickJson(value);
      expect(faultsOf(ticks, text)).toBeNull();
      expect(decodeJsonTick(Buffer.from(text)).tick).toEqual(value);
    }),
  );
});

it('a tick with a wrong or missing field is not valid', () => {
  const good = { symbol: 'A', event_ts: 1, ltp: 1, vol: 0 };
  expect(faultsOf(ticks, JSON.stringify(good))).toBeNull();
  for (const change of [{ symbol: '' }, { event_ts: 0 }, { ltp: 0 }, { ltp: '1' }, { vol: -1 }, { vol: undefined }]) {
    expect(faultsOf(ticks, JSON.stringify({ ...good, ...change }))).not.toBeNull();
  }
});

it('every bar that the encoder writes is valid', () => {
  const symbols = openSymbols(allocateSymbols(1));
  symbols.write(0, { name: 'BTC"USD', partition: 0, shard: 0, localIndex: 0, priceDecimals: 2, lotDecimals: 8, isQuote: false });
  const encoder = createBarEncoder(symbols, ['1s', '15m', '1d']);
  const at = encoder.inputI32Index;
  const price = fc.double({ min: 1e-9, max: 1e12, noNaN: true });
  const bar = fc.record({
    prices: fc.array(price, { minLength: 4, maxLength: 4 }),
    timeframeIndex: fc.nat({ max: 2 }),
    volumeLots: fc.bigInt({ min: 0n, max: 2n ** 60n }),
    notional: fc.bigInt({ min: 0n, max: 2n ** 100n }),
    flags: fc.constantFrom(0, BAR_FLAG.notionalUnknown),
    count: fc.nat(),
    startSec: fc.nat(),
  });
  fc.assert(
    fc.property(bar, ({ prices, timeframeIndex, volumeLots, notional, flags, count, startSec }) => {
      encoder.i32.fill(0, at, at + (L.BAR_SIZE >> 2));
      encoder.i32[at + L.BAR_TIMEFRAME_INDEX_I32] = timeframeIndex;
      encoder.i32[at + L.BAR_TRADE_COUNT_I32] = count;
      encoder.i32[at + L.BAR_FLAGS_I32] = flags;
      encoder.f64.set(prices, (at >> 1) + L.BAR_OPEN_F64);
      encoder.f64[(at >> 1) + L.BAR_PRICE_SCALE_F64] = 100;
      encoder.i64[(at >> 1) + L.BAR_VOLUME_LOTS_I64] = volumeLots;
      encoder.i64[(at >> 1) + L.BAR_NOTIONAL_LO_I64] = BigInt.asIntN(64, notional);
      encoder.i64[(at >> 1) + L.BAR_NOTIONAL_HI_I64] = notional >> 64n;
      encoder.i64[(at >> 1) + L.BAR_TS_START_NS_I64] = BigInt(startSec) * 1_000_000_000n;
      const { bytes, ends } = encoder.json(1);
      expect(faultsOf(bars, Buffer.from(bytes.subarray(0, ends[0])).toString())).toBeNull();
    }),
  );
});

it('a bar with the fields of the contract alone is not valid', () => {
  expect(faultsOf(bars, JSON.stringify({ symbol: 'A', tf: '1s', ts: 1, o: 1, h: 1, l: 1, c: 1, vol: 1, n_trades: 1 }))).not.toBeNull();
});

it('every dead letter is valid, whatever the reason, and keeps the bytes', () => {
  const letter = { topic: 'ticks', partition: 3, offset: 2n ** 60n, recordIndex: 7, raw: new Uint8Array([0, 255, 10]) };
  for (const reason of Object.keys(REFUSAL)) {
    const text = deadLetterJson({ ...letter, reason }, 1_700_000_000_000.5);
    expect(faultsOf(deadLetters, text)).toBeNull();
    expect(JSON.parse(text)).toMatchObject({
      offset: '1152921504606846976',
      record_index: 7,
      reason,
      raw_base64: 'AP8K',
      ts_ms: 1_700_000_000_000,
    });
  }
  expect(faultsOf(deadLetters, deadLetterJson({ ...letter, reason: 'sunspots' }, 0))).not.toBeNull();
});
