/** The bar kernel against its readable twin, byte for byte, on every recorded set: replayed, routed to two shards, and driven through small rings. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadProcessConfig } from '../config/load.ts';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { createIngest, type Ingest } from '../engine/ingest/port.ts';
import { createReplaySource } from '../engine/ingest/replay.ts';
import { loadInstruments } from '../engine/market/instrument-book.ts';
import { allocateSymbols, openSymbols } from '../engine/market/instruments.ts';
import { readTick, type TickRecord } from '../engine/market/ring-record.ts';
import { tickRingOf } from '../engine/memory/region.ts';
import type { Ring } from '../engine/memory/ring.ts';
import { GOLDEN_SETS } from '../engine/monitor/golden-sets.ts';
import * as L from '../schemas/layout.gen.ts';
import { bytesOfBars, consult, createShard, drive, oracleOf, PLAIN_STREAM, regionShape, type StreamOptions } from './bar-streams.ts';

const SHARDS = 2;
const folder = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR);
const isThere = existsSync(folder);

function takeAll(ring: Ring, into: TickRecord[]): void {
  for (let count = ring.run(); count > 0; count = ring.run()) {
    const view = new DataView(ring.words.buffer, ring.tailIndex() << 2, count * L.TICK_SIZE);
    for (let index = 0; index < count; index += 1) into.push(readTick(view, index * L.TICK_SIZE));
    ring.release(count);
  }
}

/** What ingest puts into the tick ring of each shard when the files are replayed. */
async function routed(files: readonly string[], stream: StreamOptions): Promise<TickRecord[][]> {
  const shape = { seed: 0, tickCapacity: 4096, outCapacity: 64 };
  const regions = Array.from({ length: SHARDS }, (_, shardIndex) => createShard(regionShape(stream, shardIndex, shape)).memory);
  const rings = regions.map((memory) => tickRingOf(memory));
  const ingest: Ingest = createIngest({
    regions,
    symbols: openSymbols(allocateSymbols(stream.symbols)),
    book: loadInstruments(join(PROJECT_ROOT, 'config/instruments.json')),
    clock: SYSTEM_CLOCK,
    latenessNs: stream.latenessMs * 1e6,
    amendNs: BigInt(stream.amendSeconds) * 1_000_000_000n,
    futureNs: 0,
    isStrict: false,
    partitionCapacity: stream.partitions,
  });
  const records: TickRecord[][] = rings.map(() => []);
  const take = (): void => {
    for (const [shard, ring] of rings.entries()) takeAll(ring, records[shard]!);
  };
  const source = createReplaySource({ files, speed: 'max', clock: SYSTEM_CLOCK });
  await source.start(ingest, undefined);
  while (!source.isEnded) {
    if (source.poll(4096) === 0) await new Promise((resolve) => setImmediate(resolve));
    const failure = source.failure();
    if (failure) throw failure;
    take();
  }
  while (!ingest.closeAll()) take();
  take();
  await source.stop();
  return records;
}

describe.skipIf(!isThere)(`recorded sets${isThere ? '' : ' (skipped: DATA_DIR is absent)'}`, () => {
  for (const set of GOLDEN_SETS) {
    it.each([0, 100])(`${set.name}: kernel and twin agree byte for byte at a lateness of %i ms`, async (latenessMs) => {
      const stream: StreamOptions = { ...PLAIN_STREAM, symbols: 64, partitions: 1, latenessMs, amendSeconds: 3600 };
      const byShard = await routed(
        set.files.map((file) => join(folder, file)),
        stream,
      );
      let bars = 0;
      for (const [shardIndex, records] of byShard.entries()) {
        const shard = createShard(regionShape(stream, shardIndex, { seed: 0, tickCapacity: 1024, outCapacity: 64 }));
        const found = drive(shard, records, 1 + shardIndex);
        const expected = bytesOfBars(consult(oracleOf(stream, shardIndex), records));
        expect(Buffer.compare(found, expected), `shard ${shardIndex}`).toBe(0);
        bars += found.length / L.BAR_SIZE;
      }
      expect(bars).toBeGreaterThan(300);
    });
  }
});
