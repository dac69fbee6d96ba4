import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openBytes } from './byte-source.ts';

const content = Buffer.from(Array.from({ length: 400_000 }, (_, index) => (index * index) % 251));
let folder = '';
let hasZstd = true;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'byte-source-'));
  writeFileSync(join(folder, 'plain'), content);
  writeFileSync(join(folder, 'gzip'), gzipSync(content));
  try {
    execFileSync('zstd', ['-q', join(folder, 'plain'), '-o', join(folder, 'zstd')]);
  } catch {
    hasZstd = false;
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

async function readAll(name: string): Promise<Buffer> {
  const source = await openBytes(join(folder, name));
  const pieces: Buffer[] = [];
  for (let piece = await source.next(); piece !== undefined; piece = await source.next()) pieces.push(Buffer.from(piece));
  await source.close();
  return Buffer.concat(pieces);
}

it.each(['plain', 'gzip'])('gives the bytes of a %s file', async (name) => {
  expect(Buffer.compare(await readAll(name), content)).toBe(0);
});

it('gives the bytes of a zstd file, of several frames too (skipped without the zstd program)', async (context) => {
  if (!hasZstd) return context.skip('the zstd program is not there');
  expect(Buffer.compare(await readAll('zstd'), content)).toBe(0);
  const frame = readFileSync(join(folder, 'zstd'));
  writeFileSync(join(folder, 'twice'), Buffer.concat([frame, frame]));
  expect(Buffer.compare(await readAll('twice'), Buffer.concat([content, content]))).toBe(0);
});

it('says so when a file is cut off or damaged', async (context) => {
  const cut = (name: string): void => {
    const whole = readFileSync(join(folder, name));
    writeFileSync(join(folder, 'cut'), whole.subarray(0, whole.length >> 1));
  };
  cut('gzip');
  await expect(readAll('cut')).rejects.toThrow(/cut: not a whole gzip file/);
  if (!hasZstd) return context.skip('the zstd program is not there');
  cut('zstd');
  await expect(readAll('cut')).rejects.toThrow(/cut: not a whole zstd file/);
  const damaged = readFileSync(join(folder, 'zstd'));
  for (let at = 100; at < 140; at += 1) damaged[at] = ~damaged[at]!;
  writeFileSync(join(folder, 'damaged'), damaged);
  await expect(readAll('damaged')).rejects.toThrow(/damaged: the zstd frame is damaged/);
});

it('names a file that is not there', async () => {
  await expect(openBytes(join(folder, 'none'))).rejects.toThrow(/none: ENOENT/);
});
