import fc from 'fast-check';
import { expect, it } from 'vitest';
import { REFUSAL } from '../../schemas/records.ts';
import { decodeJsonTick, MESSAGE_BYTES_MAX } from './json-tick.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const TIME = '1763719200123456789';
const withFields = (changes: Record<string, string>): string =>
  `{${Object.entries({ symbol: '"A"', event_ts: TIME, ltp: '2500.05', vol: '3', ...changes })
    .map(([key, value]) => `"${key}":${value}`)
    .join(',')}}`;

it('reads the time exactly, beyond what a double holds', () => {
  const { tick } = decodeJsonTick(bytesOf(withFields({})));
  expect(tick).toEqual({ symbol: 'A', tsEventNs: 1_763_719_200_123_456_789n, price: 2500.05, quantityLots: 3n });
});

it.each([
  ['escapes and other fields', '{ "s\\u0079mbol" : "M&M\\u002dEQ", "x": {"vol": [1, "}"]}, "vol":1, "ltp":1, "event_ts":5 }', 'M&M-EQ'],
  ['an escaped quote in a name', withFields({ symbol: '"A\\"B"' }), 'A"B'],
  ['text beyond ASCII', withFields({ symbol: '"é"' }), 'é'],
])('understands %s', (_, text, symbol) => {
  expect(decodeJsonTick(bytesOf(text)).tick?.symbol).toBe(symbol);
});

it.each([
  ['5.0', 5n],
  ['1e2', 100n],
  ['1200e-2', 12n],
  ['-0', 0n],
  ['0.0e9', 0n],
  ['9007199254740992', 9_007_199_254_740_992n],
])('takes a vol of %s as whole', (vol, quantityLots) => {
  expect(decodeJsonTick(bytesOf(withFields({ vol }))).tick?.quantityLots).toBe(quantityLots);
});

const faults: [string, keyof typeof REFUSAL, string][] = [
  ['nothing', 'malformed', ''],
  ['what is no JSON', 'malformed', '{"symbol"'],
  ['an array', 'malformed', '[1]'],
  ['a string', 'malformed', '"symbol"'],
  ['a missing field', 'malformed', `{"symbol":"A","event_ts":${TIME},"ltp":1}`],
  ['a field that only a nested object has', 'malformed', `{"symbol":"A","event_ts":${TIME},"ltp":1,"x":{"vol":1}}`],
  ['a field twice', 'malformed', `{"symbol":"A","event_ts":${TIME},"ltp":1,"vol":1,"vol":1}`],
  ['a field twice, once escaped', 'malformed', `{"symbol":"A","event_ts":${TIME},"ltp":1,"vol":1,"v\\u006fl":1}`],
  ['bytes after the object', 'malformed', `${withFields({})} 1`],
  ['a byte order mark', 'malformed', `\ufeff${withFields({})}`],
  ['a symbol that is a number', 'malformed', withFields({ symbol: '7' })],
  ['an empty symbol', 'malformed', withFields({ symbol: '""' })],
  ['a symbol of 41 bytes', 'malformed', withFields({ symbol: `"${'x'.repeat(41)}"` })],
  ['half a surrogate pair as symbol', 'malformed', withFields({ symbol: '"\\ud800"' })],
  ['a control character in a symbol', 'malformed', withFields({ symbol: '"A\\u0000"' })],
  ['a time in quotes', 'malformed', withFields({ event_ts: `"${TIME}"` })],
  ['a time with a fraction', 'malformed', withFields({ event_ts: '1.5' })],
  ['a time with an exponent', 'malformed', withFields({ event_ts: '1e18' })],
  ['a price in quotes', 'malformed', withFields({ ltp: '"1"' })],
  ['a null quantity', 'malformed', withFields({ vol: 'null' })],
  ['a number with a leading zero', 'malformed', withFields({ vol: '01' })],
  ['a time of zero', 'eventTimeInvalid', withFields({ event_ts: '0' })],
  ['a negative time', 'eventTimeInvalid', withFields({ event_ts: '-5' })],
  ['a time beyond 64 bits', 'eventTimeInvalid', withFields({ event_ts: '9223372036854775808' })],
  ['a negative quantity', 'quantityNegative', withFields({ vol: '-1' })],
  ['a quantity that is not whole', 'quantityOffLot', withFields({ vol: '1.5' })],
  ['a quantity a hair above a whole one', 'quantityOffLot', withFields({ vol: '1.00000000000000000001' })],
  ['a quantity beyond 2^53', 'quantityOffLot', withFields({ vol: '9007199254740993' })],
  ['a quantity with a huge exponent', 'quantityOffLot', withFields({ vol: '1e999999999' })],
  ['a message too long for a tick', 'malformed', withFields({ x: `"${'x'.repeat(MESSAGE_BYTES_MAX)}"` })],
];

it.each(faults)('refuses %s as %s', (_, reason, text) => {
  expect(decodeJsonTick(bytesOf(text))).toEqual({ tick: undefined, refusal: REFUSAL[reason] });
});

it('refuses bytes that are not UTF-8', () => {
  const message = bytesOf(withFields({ symbol: '"AB"' }));
  message[12] = 0xff;
  expect(decodeJsonTick(message).refusal).toBe(REFUSAL.malformed);
});

it('gives what JSON.parse gives for every tick that it accepts, and survives everything else', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json(),
        fc.dictionary(fc.constantFrom('symbol', 'event_ts', 'ltp', 'vol', 'x'), fc.jsonValue()).map((value) => JSON.stringify(value)),
      ),
      (text) => {
        const { tick, refusal } = decodeJsonTick(bytesOf(text));
        if (!tick) {
          expect(refusal).toBeGreaterThan(0);
          return;
        }
        const { symbol, ltp, vol } = JSON.parse(text);
        expect([tick.symbol, tick.price, Number(tick.quantityLots)]).toEqual([symbol, ltp, vol]);
      },
    ),
    process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) },
  );
});
