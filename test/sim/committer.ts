/** Commits epochs into the simulated database: the same steps in the same order as over SQL, and the same patience. */
import type { Pause } from '../../engine/core/clock.ts';
import { assert, EngineError } from '../../engine/core/errors.ts';
import type { BarEncoder } from '../../engine/kernel/encode.ts';
import type { SymbolDictionary, SymbolEntry } from '../../engine/market/instruments.ts';
import type { OutboxRow, WriterStart } from '../../engine/sinks/messages.ts';
import { amend } from '../../engine/sinks/postgres/amend.ts';
import { readBar } from '../../engine/sinks/postgres/bar-record.ts';
import type { Committer } from '../../engine/sinks/postgres/committer.ts';
import { isRetryable } from '../../engine/sinks/postgres/connection.ts';
import type { EpochWork } from '../../engine/sinks/postgres/epoch-transaction.ts';
import { createOpenSince, type OpenSince } from '../../engine/sinks/postgres/open-since.ts';
import { outboxParts } from '../../engine/sinks/postgres/outbox.ts';
import { BAR_WORDS, type RecordList } from '../../engine/sinks/postgres/record-list.ts';
import * as L from '../../schemas/layout.gen.ts';
import type { Database, Transaction } from './database.ts';
import type { Owner, Scheduler } from './scheduler.ts';
import type { EpochChange, OpenRow, StoredRow } from './store.ts';

export interface CommitterBugs {
  /** Says that an epoch is committed before it is. */
  readonly saysCommittedEarly: boolean;
  /** Forgets a symbol's open buckets now and then. */
  readonly losesTouched: boolean;
}

export interface SimCommitterOptions {
  readonly start: WriterStart;
  readonly symbols: SymbolDictionary;
  readonly encoder: BarEncoder;
  readonly database: Database;
  readonly client: Owner;
  readonly scheduler: Scheduler;
  readonly pause: Pause;
  readonly bugs: CommitterBugs;
}

const BACK_OFF_MS = 20;
const BACK_OFF_MAX_MS = 1000;

export function createSimCommitter(options: SimCommitterOptions): Committer {
  const { start, symbols, database, client, pause, bugs } = options;
  let openSince: OpenSince | undefined;
  let startOffsets = new Map<number, bigint>();
  let symbolsStored = 0;
  let isConnected = false;

  const connect = async (): Promise<void> => {
    if (isConnected) return;
    await database.assertOwner(client, start.lanes, start.token);
    isConnected = true;
    if (openSince !== undefined) return;
    const { open, partitions } = database.store;
    const own = [...open].filter(([, { state }]) => start.lanes.includes(state.partition));
    openSince = createOpenSince(new Map(own.map(([symbol, { buckets }]) => [symbol, buckets])), (index) => entryOf(symbols, index).name);
    startOffsets = new Map(
      [...partitions].flatMap(([partition, { nextOffset }]) => (nextOffset === undefined ? [] : [[partition, nextOffset]])),
    );
  };

  const insist = async <T>(attempt: () => Promise<T>): Promise<T> => {
    let waitMs = BACK_OFF_MS;
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        isConnected = false;
        if (!isRetryable(error)) throw error;
        await pause(waitMs);
        waitMs = Math.min(waitMs * 2, BACK_OFF_MAX_MS);
      }
    }
  };

  const attempt = async (work: EpochWork): Promise<void> => {
    await connect();
    const { lanes, token } = start;
    const databaseEpoch = start.baseEpoch + work.message.epoch;
    const transaction = await database.begin({ client, lanes, token, databaseEpoch });
    if (transaction === undefined) {
      const { amendments, batch } = work;
      assert(amendments.revisions.length === batch.deltas.length, `epoch ${batch.epoch}: revisions were worked out before the commit`);
    } else {
      const change = await plan(options, { work, transaction, databaseEpoch, openSince, startOffsets, symbolsStored });
      await database.commit(transaction, change);
      symbolsStored += change.instruments.length;
    }
    openSince?.settle();
    for (const [partition, offset] of work.message.offsets) startOffsets.set(partition, offset);
  };

  return {
    async open() {
      await insist(connect);
      return true;
    },
    async commit(work) {
      const done = insist(() => attempt(work));
      if (!bugs.saysCommittedEarly) await done;
      else done.catch(() => undefined);
      return true;
    },
    close: async () => undefined,
  };
}

interface Attempt {
  readonly work: EpochWork;
  readonly transaction: Transaction;
  readonly databaseEpoch: number;
  readonly openSince: OpenSince | undefined;
  readonly startOffsets: ReadonlyMap<number, bigint>;
  readonly symbolsStored: number;
}

async function plan(options: SimCommitterOptions, attempt: Attempt): Promise<EpochChange> {
  const { start, symbols, encoder, database } = options;
  const { work, transaction, databaseEpoch } = attempt;
  const { batch, amendments, message } = work;
  const nameOf = (symbolIndex: number): string => entryOf(symbols, symbolIndex).name;
  await amend(
    async (wanted) => wanted.map((key) => database.readRow(transaction, { ...key, symbol: nameOf(key.symbolIndex) })),
    batch,
    amendments,
  );
  const parts = outboxParts({ encoder, laneOfSymbol: (index) => entryOf(symbols, index).partition }, work);
  return {
    lanes: start.lanes,
    databaseEpoch,
    instruments: newInstruments(symbols, attempt.symbolsStored),
    firsts: rowsOf(batch.finals, symbols),
    amended: rowsOf(amendments.last, symbols),
    lateTicks: lateTicks(batch.lates, symbols),
    offsets: message.offsets,
    watermarks: message.watermarks,
    accepted: message.accepted,
    ...openChange(options, attempt),
    outbox: [...parts].map(({ lane, kind, part, lines }): OutboxRow => ({ lane, epoch: databaseEpoch, kind, part, lines: String(lines) })),
    published: message.published,
  };
}

function openChange({ start, symbols, scheduler, bugs }: SimCommitterOptions, attempt: Attempt): Pick<EpochChange, 'opens' | 'clears'> {
  const { work, openSince, startOffsets } = attempt;
  const { opens, clears } = work.batch;
  openSince?.restart();
  const cleared: string[] = [];
  for (let index = 0; index < clears.length; index += 1) {
    const symbolIndex = clears.i32[index * BAR_WORDS + L.BAR_SYMBOL_INDEX_I32]!;
    cleared.push(entryOf(symbols, symbolIndex).name);
    openSince?.planClear(symbolIndex);
  }
  const bySymbol = new Map<number, number[]>();
  for (let index = 0; index < opens.length; index += 1) {
    const symbolIndex = opens.i32[index * BAR_WORDS + L.BAR_SYMBOL_INDEX_I32]!;
    const list = bySymbol.get(symbolIndex);
    if (list) list.push(index);
    else bySymbol.set(symbolIndex, [index]);
  }
  const offsets = new Map(work.message.offsets);
  const rows = new Map<string, OpenRow>();
  for (const [symbolIndex, indices] of bySymbol) {
    if (bugs.losesTouched && scheduler.prng.nextBelow(100) === 0) continue;
    const entry = entryOf(symbols, symbolIndex);
    const seconds = indices.map((index) => start.timeframes[opens.i32[index * BAR_WORDS + L.BAR_TIMEFRAME_INDEX_I32]!]!.seconds);
    const startNs = indices.map((index) => opens.i64[((index * BAR_WORDS) >> 1) + L.BAR_TS_START_NS_I64]!);
    const from = startOffsets.get(entry.partition) ?? (offsets.has(entry.partition) ? 0n : null);
    const since = openSince?.plan(symbolIndex, { seconds, startNs }, from) ?? [];
    const bars = new Int32Array(indices.length * BAR_WORDS);
    for (const [at, index] of indices.entries()) {
      bars.set(opens.i32.subarray(index * BAR_WORDS, (index + 1) * BAR_WORDS), at * BAR_WORDS);
      bars[at * BAR_WORDS + L.BAR_SYMBOL_INDEX_I32] = 0;
    }
    const { name: symbol, partition, priceDecimals, lotDecimals, isQuote } = entry;
    const state = { symbol, partition, priceDecimals, lotDecimals, isQuote, bars: new Uint8Array(bars.buffer) };
    rows.set(symbol, { state, buckets: { seconds, startNs, since } });
  }
  return { opens: rows, clears: cleared };
}

function rowsOf(list: RecordList, symbols: SymbolDictionary): StoredRow[] {
  return Array.from({ length: list.length }, (_, index): StoredRow => {
    const at = index * BAR_WORDS;
    const entry = entryOf(symbols, list.i32[at + L.BAR_SYMBOL_INDEX_I32]!);
    return {
      symbol: entry.name,
      timeframeIndex: list.i32[at + L.BAR_TIMEFRAME_INDEX_I32]!,
      tsStartNs: list.i64[(at >> 1) + L.BAR_TS_START_NS_I64]!,
      isQuote: entry.isQuote,
      priceScale: entry.isQuote ? 0 : list.f64[(at >> 1) + L.BAR_PRICE_SCALE_F64]!,
      values: readBar(list, index),
    };
  });
}

function lateTicks({ length, i32, f64, i64 }: RecordList, symbols: SymbolDictionary): string[] {
  return Array.from({ length }, (_, index) => {
    const at = index * BAR_WORDS;
    const at64 = at >> 1;
    const { name, isQuote } = entryOf(symbols, i32[at + L.BAR_SYMBOL_INDEX_I32]!);
    const mask = i32[at + L.BAR_MISSED_MASK_I32]!;
    const [eventNs, price, ask] = [i64[at64 + L.BAR_TS_START_NS_I64]!, f64[at64 + L.BAR_OPEN_F64]!, f64[at64 + L.BAR_CLOSE_F64]!];
    const quantity = isQuote ? 0n : i64[at64 + L.BAR_VOLUME_LOTS_I64]!;
    const isRefused = (mask & L.LATE_FLAG_REFUSED) !== 0;
    return `${name} ${eventNs} ${price} ${isQuote ? ask : null} ${quantity} ${i32[at + L.BAR_TRADE_COUNT_I32]!} ${mask & ~L.LATE_FLAG_REFUSED} ${isRefused}`;
  });
}

function newInstruments(symbols: SymbolDictionary, from: number): SymbolEntry[] {
  const entries: SymbolEntry[] = [];
  for (let entry = symbols.read(from); entry !== undefined; entry = symbols.read(from + entries.length)) entries.push(entry);
  return entries;
}

function entryOf(symbols: SymbolDictionary, symbolIndex: number): SymbolEntry {
  const entry = symbols.read(symbolIndex);
  if (entry === undefined) throw new EngineError('SYMBOL_UNREGISTERED', `symbol index ${symbolIndex}: the dictionary has no such entry`);
  return entry;
}
