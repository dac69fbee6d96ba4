/** Hands committed trade bars on for publication, through the committed ring. */
import * as L from '../../../schemas/layout.gen.ts';
import { INSTRUMENT_KIND } from '../../../schemas/records.ts';
import type { Ring } from '../../memory/ring.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';

const REST_MS = 1;

export interface PublishHooks {
  /** Called before each rest while the ring is full; false gives up. */
  onFull(): boolean;
  pause(ms: number): Promise<unknown>;
}

/**
 * Puts the trade bars of a list into the ring, in order; quotes are left out. Waits while the ring is full.
 * @returns how many were handed on: all, unless `onFull` gave up
 */
export async function publishBars(ring: Ring, list: RecordList, hooks: PublishHooks): Promise<number> {
  let published = 0;
  let index = 0;
  while (index < list.length) {
    if (isQuote(list, index)) {
      index += 1;
      continue;
    }
    let end = index + 1;
    while (end < list.length && !isQuote(list, end)) end += 1;
    const free = ring.free();
    if (free === 0) {
      if (!hooks.onFull()) return published;
      await hooks.pause(REST_MS);
      continue;
    }
    const count = Math.min(end - index, free);
    ring.publish(list.i32, index * BAR_WORDS, count);
    published += count;
    index += count;
  }
  return published;
}

function isQuote(list: RecordList, index: number): boolean {
  return list.i32[index * BAR_WORDS + L.BAR_INSTRUMENT_KIND_I32] === INSTRUMENT_KIND.quote;
}
