import { expect, it } from 'vitest';
import { createWireReader, createWireWriter } from './wire.ts';

it('writes what it is given wherever its room ends', () => {
  for (let before = 250; before < 262; before += 1) {
    const writer = createWireWriter();
    for (let index = 0; index < before; index += 1) writer.int8(index % 100);
    writer.uvarint(300);
    writer.noTags();
    writer.compactString('tick');
    writer.int64(-7n);
    const reader = createWireReader([writer.bytes()], 'a test');
    expect(Array.from({ length: before }, () => reader.int8())).toEqual(Array.from({ length: before }, (_, index) => index % 100));
    expect([reader.uvarint(), reader.uvarint(), reader.compactString(), reader.int64(), reader.left]).toEqual([300, 0, 'tick', -7n, 0]);
  }
});
