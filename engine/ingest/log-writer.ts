/** Turns tick records into messages of the ticks topic: packed ones of one partition each, or one JSON message for each tick. */
import * as L from '../../schemas/layout.gen.ts';
import type { Clock } from '../core/clock.ts';
import { murmur2Part } from '../market/murmur2.ts';
import { PACKED_ENCODING, PACKED_RECORDS_MAX } from './packed.ts';
import { createPackedWriter, type PackedName, type PackedWriter } from './packed-writer.ts';
import type { InstrumentSpec } from './source.ts';
import type { TickLog } from './tick-log.ts';
import { tickJson } from './tick-producer.ts';

export type LogEncoding = 'json' | 'packed';

/** A symbol as the log knows it. */
export interface LoggedSymbol extends PackedName {
  readonly symbol: string;
  readonly partition: number;
}

/** Tick records, 16 words each, in three views of one memory. */
export interface TickWords {
  readonly i32: Int32Array;
  readonly i64: BigInt64Array;
  readonly f64: Float64Array;
}

export interface LogWriter {
  /** The symbol under its first decimals and kind: the key's murmur2 hash gives the partition, as for any producer. */
  symbolOf(spec: Omit<InstrumentSpec, 'partition'>): LoggedSymbol;
  /** Adds the trade or quote record that begins at word `at`. False when JSON cannot express it: quotes, and parts of whole units. */
  add(symbol: LoggedSymbol, words: TickWords, at: number): boolean;
  /** Ticks in messages that are being filled, and since when, wall clock ms. */
  readonly pendingTicks: number;
  readonly pendingSinceMs: number | undefined;
  /** Sends the messages that have been filled for as long as they may, or all of them. */
  pump(isAll: boolean): void;
}

interface Filling {
  readonly partition: number;
  readonly writer: PackedWriter;
  /** Symbol of the first record: the key. */
  key: string;
  sinceMs: number;
}

export interface LogWriterOptions {
  readonly log: TickLog;
  readonly encoding: LogEncoding;
  readonly clock: Clock;
  /** How long a packed message may be filled. */
  readonly lingerMs: number;
}

const HEADERS = [{ encoding: PACKED_ENCODING }];
const encoder = new TextEncoder();

/** @param options of a log that has been opened */
export function createLogWriter({ log, encoding, clock, lingerMs }: LogWriterOptions): LogWriter {
  const symbols = new Map<string, LoggedSymbol>();
  const fillings: Filling[] = [];
  let pendingTicks = 0;

  const fillingOf = (partition: number): Filling => {
    fillings[partition] ??= { partition, writer: createPackedWriter(), key: '', sinceMs: 0 };
    return fillings[partition];
  };

  const sendPacked = ({ partition, writer, key }: Filling): void => {
    const tickCount = writer.recordCount;
    pendingTicks -= tickCount;
    log.send({ partition, key, value: writer.take(), headers: HEADERS, tickCount });
  };

  const addPacked = (symbol: LoggedSymbol, { i32 }: TickWords, at: number): void => {
    const filling = fillingOf(symbol.partition);
    if (filling.writer.recordCount === 0) {
      filling.key = symbol.symbol;
      filling.sinceMs = clock.wallMs();
    }
    filling.writer.add(symbol, i32, at);
    pendingTicks += 1;
    if (filling.writer.recordCount === PACKED_RECORDS_MAX) sendPacked(filling);
  };

  const sendJson = (symbol: LoggedSymbol, { i64, f64 }: TickWords, at: number): boolean => {
    const lots = i64[(at >> 1) + L.TICK_QUANTITY_LOTS_I64]!;
    const unit = 10n ** BigInt(symbol.lotDecimals);
    if (symbol.isQuote || lots % unit !== 0n) return false;
    const text = tickJson({
      symbol: symbol.symbol,
      tsEventNs: i64[(at >> 1) + L.TICK_TS_EVENT_NS_I64]!,
      price: f64[(at >> 1) + L.TICK_PRICE_F64]!,
      quantityLots: lots / unit,
    });
    log.send({ partition: symbol.partition, key: symbol.symbol, value: Buffer.from(text), headers: undefined, tickCount: 1 });
    return true;
  };

  return {
    symbolOf({ symbol, kind, priceDecimals, lotDecimals }) {
      const known = symbols.get(symbol);
      if (known) return known;
      const name = encoder.encode(symbol);
      const partition = murmur2Part(name, log.partitionCount);
      const added = { symbol, name, partition, isQuote: kind === 'quote', priceDecimals, lotDecimals, reference: 0, message: 0 };
      symbols.set(symbol, added);
      return added;
    },
    add(symbol, words, at) {
      if (encoding === 'json') return sendJson(symbol, words, at);
      addPacked(symbol, words, at);
      return true;
    },
    get pendingTicks() {
      return pendingTicks;
    },
    get pendingSinceMs() {
      let since: number | undefined;
      for (const filling of fillings) {
        if (filling && filling.writer.recordCount > 0 && (since === undefined || filling.sinceMs < since)) since = filling.sinceMs;
      }
      return since;
    },
    pump(isAll) {
      if (pendingTicks === 0) return;
      const nowMs = clock.wallMs();
      for (const filling of fillings) {
        if (filling && filling.writer.recordCount > 0 && (isAll || nowMs - filling.sinceMs >= lingerMs)) sendPacked(filling);
      }
    },
  };
}
