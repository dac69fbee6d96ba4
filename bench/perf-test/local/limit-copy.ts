/**
 * A bare limit of what ends in Postgres: the bars of a backlog, made beforehand, written by binary COPY into tables as the engine has them. No tick is read
 * and no bar made; no positions, no open buckets and no outbox are stored.
 */
import { loadProcessConfig } from '../../../config/load.ts';
import { EngineError } from '../../../engine/core/errors.ts';
import { createBarEncoder } from '../../../engine/kernel/encode.ts';
import { allocateSymbols, openSymbols } from '../../../engine/market/instruments.ts';
import { writeBar } from '../../../engine/market/ring-record.ts';
import { parseTimeframes, type Timeframe } from '../../../engine/market/timeframes.ts';
import { type Connection, quoteIdentifier, withConnection } from '../../../engine/sinks/postgres/connection.ts';
import { binaryRows, copyChunks } from '../../../engine/sinks/postgres/copy.ts';
import { migrate } from '../../../engine/sinks/postgres/migrate.ts';
import { BAR_WORDS, createRecordList, type RecordList } from '../../../engine/sinks/postgres/record-list.ts';
import { statementsOf } from '../../../engine/sinks/postgres/tables.ts';
import * as L from '../../../schemas/layout.gen.ts';
import { type Bucket, expectBars, groupTicks, hashBars } from '../expected-bars.ts';
import { readStored } from '../read-back.ts';
import type { Verdict } from '../report-model.ts';
import { createTickStream, type StreamPlan, symbolName } from '../tick-stream.ts';
import { BACKLOG_BASE_MS } from './backlog-source.ts';
import type { LocalPlan, LocalResult } from './local-plan.ts';
import { watchStage } from './stage-watch.ts';
import { createThreadTable } from './threads.ts';

/** Bars of one transaction: as many as the engine puts into an epoch at most. */
const BATCH_BARS = 262_144;
const RUN = 1;
const NS_PER_SECOND = 1_000_000_000n;
const PRICE_SCALE = 100;

/** @throws EngineError COPY_WRONG when the tables do not hold what was written; errors of the server and the connection */
export async function measureLimitCopy({ symbols, baseTps, backlog, seed, sampleSec, watched }: LocalPlan): Promise<LocalResult> {
  const { config } = loadProcessConfig();
  const timeframes = parseTimeframes(config.TIMEFRAMES);
  const stream: StreamPlan = { symbols, baseTps, seed, startMs: BACKLOG_BASE_MS, seconds: backlog / (symbols * baseTps) };
  const { buckets, ticks } = groupTicks(createTickStream(stream), timeframes);
  const batches = batchesOf([...buckets.values()]);
  // The schema is the cell's own; a cell that was stopped may have left rows in it.
  await withConnection(config.POSTGRES_URL, undefined, (client) =>
    client.query(`drop schema if exists ${quoteIdentifier(config.PG_SCHEMA)} cascade`),
  );
  await migrate(config.POSTGRES_URL, config.PG_SCHEMA, timeframes);
  let [done, bars] = [0, 0];
  const threads = createThreadTable();
  const watch = watchStage({ threads, sampleSec, watched, counts: () => ({ done, bars }), depth: () => 0 });
  try {
    await withConnection(config.POSTGRES_URL, config.PG_SCHEMA, async (client) => {
      const copy = createCopy(client, timeframes, symbols);
      watch.begin();
      for (const batch of batches) {
        await copy(batch);
        bars += batch.firsts.bars;
        done += batch.firsts.ticks;
      }
      watch.end();
    });
    if (done !== ticks) throw new EngineError('COPY_WRONG', `${done} ticks in the bars of 1 s, expected ${ticks}`);
    const { series, ...figures } = watch.figures();
    return {
      ...figures,
      series: { ...series, ringDepth: series.ringDepth.map(() => null) },
      latency: {},
      dropped: 0,
      verdict: await judgeTables(stream, timeframes, { url: config.POSTGRES_URL, schema: config.PG_SCHEMA }),
      notes: [`${buckets.size} bars made beforehand, up to ${BATCH_BARS} of them in a transaction; ticks are those in the bars of 1 s`],
    };
  } finally {
    watch.close();
  }
}

interface Batch {
  readonly list: RecordList;
  /** Of its bars of 1 s. */
  readonly firsts: { bars: number; ticks: number };
}

function batchesOf(buckets: readonly Bucket[]): Batch[] {
  const batches: Batch[] = [];
  const words = new Int32Array(BAR_WORDS);
  for (const [index, bucket] of buckets.entries()) {
    if (index % BATCH_BARS === 0) batches.push({ list: createRecordList(), firsts: { bars: 0, ticks: 0 } });
    const batch = batches.at(-1);
    writeBucket(new DataView(words.buffer), bucket);
    batch?.list.append(words, 0, 1);
    if (batch === undefined || bucket.timeframeIndex !== 0) continue;
    batch.firsts.bars += 1;
    batch.firsts.ticks += bucket.count;
  }
  return batches;
}

function writeBucket(view: DataView, bucket: Bucket): void {
  const { timeframeIndex, symbol, startSec, open, high, low, close, volume, notional, count, firstNs, lastNs } = bucket;
  writeBar(view, 0, {
    kind: L.OUT_KIND_BAR_FINAL,
    symbolIndex: symbolIndexOf(symbol),
    tsStartNs: BigInt(startSec) * NS_PER_SECOND,
    ...{ firstNs, lastNs, tradeCount: count, timeframeIndex, volumeLots: BigInt(volume), notional: BigInt(notional) },
    ...{ open: open / PRICE_SCALE, high: high / PRICE_SCALE, low: low / PRICE_SCALE, close: close / PRICE_SCALE, priceScale: PRICE_SCALE },
    ...{ lateCount: 0, revision: 0, askOpen: 0, askClose: 0, askHigh: 0, askLow: 0, flags: 0, missedMask: 0, partition: 0 },
    instrumentKind: L.INSTRUMENT_KIND_TRADE,
  });
}

/** Names of the stream count from 1. */
function symbolIndexOf(name: string): number {
  return Number(name.replace(/^\D+/, '')) - 1;
}

/** Writes a batch in one transaction, a COPY for each table. */
function createCopy(client: Connection, timeframes: readonly Timeframe[], symbolCount: number): (batch: Batch) => Promise<void> {
  const symbols = openSymbols(allocateSymbols(symbolCount));
  for (let index = 0; index < symbolCount; index += 1) {
    const decimals = { priceDecimals: 2, lotDecimals: 0 };
    symbols.write(index, { name: symbolName(index), partition: 0, shard: 0, localIndex: index, isQuote: false, ...decimals });
  }
  const encoder = createBarEncoder(
    symbols,
    timeframes.map(({ name }) => name),
  );
  return async ({ list }) => {
    await client.query('begin');
    for (const timeframeIndex of timeframes.keys()) {
      const { copy } = statementsOf(timeframes, timeframeIndex, false);
      await copyChunks(client, copy, binaryRows(encoder, list, { timeframeIndex, isQuote: false, run: RUN }));
    }
    await client.query('commit');
  };
}

async function judgeTables(
  stream: StreamPlan,
  timeframes: readonly Timeframe[],
  { url, schema }: { readonly url: string; readonly schema: string },
): Promise<Verdict> {
  const { bars } = expectBars(createTickStream(stream), timeframes, 1);
  const { closed } = await readStored(url, { schema, timeframes }, true);
  const [expectedHash, foundHash] = [hashBars(bars), hashBars(closed)];
  if (expectedHash !== foundHash) {
    throw new EngineError('COPY_WRONG', `${closed.size} bars of hash ${foundHash} in the tables, expected ${bars.size} of ${expectedHash}`);
  }
  return { isRight: true, differences: [], barsCompared: closed.size, messagesCompared: 0, expectedHash, foundHash };
}
