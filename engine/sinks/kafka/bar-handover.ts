/** From `bar` records to messages: hands a run of the backlog over as it is to a lane that takes bars, else encodes it message by message. */
import * as L from '../../../schemas/layout.gen.ts';
import { EngineError } from '../../core/errors.ts';
import { type BarEncoder, createBarEncoder } from '../../kernel/encode.ts';
import type { SymbolDictionary } from '../../market/instruments.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import type { CommittedBacklog, Piece } from './committed-backlog.ts';
import type { Outlet } from './outlet.ts';
import { barsTopic } from './topics.ts';

/** Bars encoded and handed over between two turns of the event loop. */
const BATCH = 2048;
const SLOT_WORDS = L.BAR_SIZE >> 2;

export interface HandoverOptions {
  readonly prefix: string;
  readonly symbols: SymbolDictionary;
  readonly timeframes: readonly Timeframe[];
}

/**
 * Hands over the bars from `position` on, bounded and below `end`; quote bars have no payload and are passed over. Resolves with how many
 * records are done. One call at a time.
 */
export type BarHandover = (outlet: Outlet, position: number, end: number) => Promise<number>;

/** @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT */
export function createBarHandover(options: HandoverOptions, backlog: CommittedBacklog): BarHandover {
  const { symbols } = options;
  const names = options.timeframes.map((timeframe) => timeframe.name);
  let encoder: BarEncoder | undefined;
  const topics = options.timeframes.map((timeframe) => barsTopic(options.prefix, timeframe.name));
  const keys: (Buffer | undefined)[] = [];

  const keyOf = (symbolIndex: number): Buffer => {
    const known = keys[symbolIndex];
    if (known) return known;
    const entry = symbols.read(symbolIndex);
    if (!entry) throw new EngineError('SYMBOL_UNREGISTERED', `committed bar of symbol ${symbolIndex}: no such entry in the dictionary`);
    const key = Buffer.from(entry.name);
    keys[symbolIndex] = key;
    return key;
  };

  const putRun = async (outlet: Outlet, put: NonNullable<Outlet['putBars']>, { words, wordIndex, count }: Piece): Promise<number> => {
    for (;;) {
      const taken = put(words, wordIndex, count);
      await outlet.rest(taken === 0);
      if (taken > 0) return taken;
    }
  };

  return async (outlet, position, end) => {
    const { putBars } = outlet;
    if (putBars) return putRun(outlet, putBars, backlog.piece(position, end - position));
    encoder ??= createBarEncoder(symbols, names);
    const { words, wordIndex, count } = backlog.piece(position, Math.min(BATCH, end - position));
    encoder.i32.set(words.subarray(wordIndex, wordIndex + count * SLOT_WORDS), encoder.inputI32Index);
    const { bytes, ends } = encoder.json(count);
    const payloads = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    for (let index = 0; index < count; ) {
      const stop = ends[index]!;
      const word = wordIndex + index * SLOT_WORDS;
      const isTaken =
        stop === start ||
        outlet.put({
          topic: topics[words[word + L.BAR_TIMEFRAME_INDEX_I32]!] ?? '',
          payload: payloads.subarray(start, stop),
          key: keyOf(words[word + L.BAR_SYMBOL_INDEX_I32]!),
        });
      if (isTaken) {
        start = stop;
        index += 1;
      } else await outlet.rest(true);
    }
    await outlet.rest(false);
    return count;
  };
}
