/** Entries of a journal that are durable and not released: those taken may be gone back to until they are. */
import { assert } from '../../core/errors.ts';
import type { JournalEntry } from './journal.ts';

export interface EntryQueue {
  /** Entries not taken yet. */
  readonly waiting: number;
  /** Characters of what is kept. */
  readonly characters: number;
  push(entry: JournalEntry): void;
  /** As in `OrderJournal`. */
  take(count: number, characters: number): JournalEntry[];
  /** Goes back to `offset`; false when it is not among what is kept. */
  rewind(offset: bigint): boolean;
  release(offset: bigint): void;
}

/** @param from offset of the first entry that will be pushed, or of one before it */
export function createEntryQueue(from: bigint): EntryQueue {
  const kept: JournalEntry[] = [];
  let releasedTo = from;
  let takenTo = from;
  let taken = 0;
  let characters = 0;
  /** Entries before `offset`, of those that are kept. Offsets may leave some out. */
  const countBefore = (offset: bigint): number => {
    const index = kept.findIndex((entry) => entry.offset >= offset);
    return index < 0 ? kept.length : index;
  };
  return {
    get waiting() {
      return kept.length - taken;
    },
    get characters() {
      return characters;
    },
    push(entry) {
      kept.push(entry);
      characters += entry.text.length;
    },
    take(count, limit) {
      let end = taken;
      for (let size = 0; end < kept.length && end - taken < count && (end === taken || size < limit); end += 1)
        size += kept[end]!.text.length;
      const entries = kept.slice(taken, end);
      taken = end;
      takenTo = (entries.at(-1)?.offset ?? takenTo - 1n) + 1n;
      return entries;
    },
    rewind(offset) {
      if (offset < releasedTo || offset > takenTo) return false;
      taken = countBefore(offset);
      takenTo = offset;
      return true;
    },
    release(offset) {
      assert(offset >= releasedTo && offset <= takenTo, `offset ${offset} to release was taken: ${releasedTo} to ${takenTo} are kept`);
      const gone = kept.splice(0, countBefore(offset));
      for (const { text } of gone) characters -= text.length;
      taken -= gone.length;
      releasedTo = offset;
    },
  };
}
