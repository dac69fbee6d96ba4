/**
 * A port whose ticks go into the ticks topic instead of the rings, from where the engine reads them back. Nothing is judged here beyond what
 * a message can express: the log holds what the source handed over, and the reader refuses.
 */
import { TICK_SIZE } from '../../schemas/layout.gen.ts';
import { REFUSAL, TICK_KIND } from '../../schemas/records.ts';
import { assert } from '../core/errors.ts';
import { isSymbolName } from '../market/instrument-book.ts';
import type { LoggedSymbol, LogWriter } from './log-writer.ts';
import type { IngestPort } from './source.ts';
import type { TickLog } from './tick-log.ts';

const CAPACITY = 1024;
const WORDS = TICK_SIZE >> 2;

export interface LogPort extends IngestPort {
  /** Ticks that did not come into the log, by refusal code. */
  readonly refused: ReadonlyMap<number, number>;
}

export function createLogPort(log: TickLog, writer: LogWriter): LogPort {
  const buffer = new ArrayBuffer(CAPACITY * TICK_SIZE);
  const words = { i32: new Int32Array(buffer), i64: new BigInt64Array(buffer), f64: new Float64Array(buffer) };
  const symbols: LoggedSymbol[] = [];
  const indices = new Map<string, number>();
  const refused = new Map<number, number>();

  const refuse = (reason: number, count: number): void => {
    refused.set(reason, (refused.get(reason) ?? 0) + count);
  };

  /** Refusal code of the record at word `at`, 0 when it is in the log. */
  const take = (at: number): number => {
    const symbol = symbols[words.i32[at + 1]!];
    assert(symbol !== undefined, `symbol index ${words.i32[at + 1]} of ${symbols.length} registered symbols`);
    if (words.i32[at] !== (symbol.isQuote ? TICK_KIND.quote : TICK_KIND.trade)) return REFUSAL.wrongKind;
    return writer.add(symbol, words, at) ? 0 : REFUSAL.quantityOffLot;
  };

  return {
    i32: words.i32,
    f64: words.f64,
    u8: new Uint8Array(buffer),
    stagingI32Index: 0,
    stagingCapacity: CAPACITY,
    room: () => Math.max(0, Math.min(CAPACITY, log.room() - writer.pendingTicks)),
    register(spec) {
      const known = indices.get(spec.symbol);
      if (known !== undefined) return known;
      if (!isSymbolName(spec.symbol)) return -REFUSAL.malformed;
      symbols.push(writer.symbolOf(spec));
      indices.set(spec.symbol, symbols.length - 1);
      return symbols.length - 1;
    },
    decimalsOf(symbolIndex) {
      const symbol = symbols[symbolIndex];
      assert(symbol !== undefined, `symbol index ${symbolIndex} of ${symbols.length} registered symbols`);
      return symbol;
    },
    commit(count) {
      assert(count >= 0 && count <= CAPACITY, `commit of ${count} records, at most ${CAPACITY}`);
      let accepted = 0;
      for (let record = 0; record < count; record += 1) {
        const refusal = take(record * WORDS);
        if (refusal === 0) accepted += 1;
        else refuse(refusal, 1);
      }
      return accepted;
    },
    refuse,
    commitMessages() {
      throw new Error('invariant broken: messages of a topic are not written to a topic again');
    },
    refused,
  };
}
