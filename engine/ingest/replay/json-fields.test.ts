import fc from 'fast-check';
import { expect, it } from 'vitest';
import { scalarFields } from './json-fields.ts';

const seed = Number(process.env['SEED'] ?? Date.now() & 0x7fffffff);

it('gives the scalar members that JSON.parse gives, numbers by their text', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
      const text = JSON.stringify(object, null, indent);
      const wanted = new Map<string, { text: string; isString: boolean }>();
      for (const [name, value] of Object.entries(JSON.parse(text))) {
        if (typeof value === 'string') wanted.set(name, { text: value, isString: true });
        else if (typeof value !== 'object' || value === null) wanted.set(name, { text: JSON.stringify(value), isString: false });
      }
      expect(scalarFields(text)).toEqual(wanted);
    }),
    { seed },
  );
});

it('keeps every digit of a number, and the last of equal names', () => {
  expect(scalarFields('{"n":1723161255342999999,"m":1.50,"n":1723161255342999998}')).toEqual(
    new Map([
      ['n', { text: '1723161255342999998', isString: false }],
      ['m', { text: '1.50', isString: false }],
    ]),
  );
  expect(scalarFields('{"n":1,"n":{"n":2}}')).toEqual(new Map());
});

it('has nothing to give for what is not an object', () => {
  for (const text of ['', '[]', '1', 'null', '{"a":}', '{"a":1', '{"a":1}}', '{a:1}']) expect(scalarFields(text), text).toBeUndefined();
});
