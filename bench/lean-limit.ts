/**
 * The rate of a lean C++ kernel that stands beside the recorded data: fewer fields and fewer rules than ours, so it is a limit and not an
 * opponent. It has 32-byte ticks, two open seconds, fixed timeframes, volume as f64, and no notional, no 64-bit first and last times, no partitions, no
 * amendments, no bounded output.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { loadProcessConfig } from '../config/load.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import * as L from '../schemas/layout.gen.ts';
import type { BarStream } from './bar-stream.ts';

const LEAN_TICK_BYTES = 32;

/** Ticks/s of `bars_bl.cpp` on the same trades, or why it was not run. */
export function measureLeanLimit(stream: BarStream): number | string {
  const source = resolve(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR, '../prototypes/cpp/bars_bl.cpp');
  if (!existsSync(source)) return 'not run: bars_bl.cpp does not stand beside DATA_DIR';
  const program = join(PROJECT_ROOT, '.data/bench/bars-lean');
  mkdirSync(dirname(program), { recursive: true });
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(source).mtimeMs) {
    execFileSync('g++', ['-O3', '-march=native', '-std=c++20', source, '-o', program], { stdio: 'inherit' });
  }
  const file = `${program}-${stream.symbols}.bin`;
  writeFileSync(file, leanTicks(stream));
  const printed = execFileSync(program, [file, String(stream.symbols)], { encoding: 'utf8' });
  const rate = /([\d.]+) M\/s/.exec(printed)?.[1];
  return rate === undefined ? `not understood: ${printed.trim()}` : Number(rate) * 1e6;
}

function leanTicks(stream: BarStream): Uint8Array {
  const from = new DataView(stream.bytes.buffer, stream.bytes.byteOffset);
  const bytes = new Uint8Array(stream.records * LEAN_TICK_BYTES);
  const to = new DataView(bytes.buffer);
  let count = 0;
  for (let record = stream.symbolRecords; record < stream.records; record += 1) {
    const at = record * L.TICK_SIZE;
    if (from.getInt32(at + L.TICK_KIND, true) !== L.TICK_KIND_TRADE) continue;
    const out = count * LEAN_TICK_BYTES;
    to.setInt32(out, from.getInt32(at + L.TICK_SYMBOL_INDEX, true), true);
    to.setFloat64(out + 8, from.getFloat64(at + L.TICK_PRICE, true), true);
    to.setFloat64(out + 16, Number(from.getBigInt64(at + L.TICK_QUANTITY_LOTS, true)), true);
    to.setBigInt64(out + 24, from.getBigInt64(at + L.TICK_TS_EVENT_NS, true), true);
    count += 1;
  }
  return bytes.subarray(0, count * LEAN_TICK_BYTES);
}
