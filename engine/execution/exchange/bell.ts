/**
 * Which changes of phase are due. It reads no clock: it is told how far time has come, by entries of the journal alone, so that a second reading
 * of the same entries gives the same changes at the same places.
 */
import { PHASE } from '../../../schemas/order-records.ts';
import type { TradingCalendar } from '../../market/trading-calendar.ts';
import type { Catalogue } from './catalogue.ts';

export interface BookPhaseChange {
  readonly symbolIndex: number;
  /** PHASE. */
  readonly phase: number;
  /** When the calendar has it. */
  readonly tsNs: bigint;
}

export interface Bell {
  /** When the next change of any book is due; undefined when there is none to come. */
  readonly nextNs: bigint | undefined;
  /** The changes that are due at `tsNs` and were not given before, in order of time, then of books. */
  ring(tsNs: bigint): BookPhaseChange[];
}

interface BookBell {
  readonly symbolIndex: number;
  readonly calendar: TradingCalendar;
  /** Of the last change that was given; 0: none was. */
  doneNs: bigint;
  nextNs: bigint | undefined;
}

/** @param doneNsOf when the calendar had the last change that a book has gone through; 0: the book follows its calendar from now on */
export function createBell({ books }: Catalogue, doneNsOf: (symbolIndex: number) => bigint): Bell {
  const bells = books.flatMap(({ symbolIndex, calendar }): BookBell[] => {
    if (calendar === undefined) return [];
    const doneNs = doneNsOf(symbolIndex);
    return [{ symbolIndex, calendar, doneNs, nextNs: doneNs === 0n ? 0n : calendar.next(doneNs)?.tsNs }];
  });
  let nextNs = earliest(bells);
  return {
    get nextNs() {
      return nextNs;
    },
    ring(tsNs) {
      if (nextNs === undefined || nextNs > tsNs) return [];
      const changes = bells.flatMap((bell) => ringOne(bell, tsNs));
      nextNs = earliest(bells);
      return changes.sort((one, other) => (one.tsNs === other.tsNs ? one.symbolIndex - other.symbolIndex : one.tsNs < other.tsNs ? -1 : 1));
    },
  };
}

/**
 * The changes of one book, every one of them up to its first close. Nothing has happened to the book in the meantime, so that whole days behind a
 * close would change nothing: of those only the last change counts. A book that is new to its calendar takes the phase that it has by now.
 */
function ringOne(bell: BookBell, tsNs: bigint): BookPhaseChange[] {
  const { symbolIndex, calendar } = bell;
  const changes: BookPhaseChange[] = [];
  if (bell.nextNs === undefined || bell.nextNs > tsNs) return changes;
  let change = bell.doneNs === 0n ? calendar.last(tsNs) : calendar.next(bell.doneNs);
  while (change !== undefined && change.tsNs <= tsNs) {
    changes.push({ symbolIndex, phase: PHASE[change.phase], tsNs: change.tsNs });
    bell.doneNs = change.tsNs;
    const last = change.phase === 'closed' ? calendar.last(tsNs) : undefined;
    change = last !== undefined && last.tsNs > bell.doneNs ? last : calendar.next(bell.doneNs);
  }
  // Without any change in reach it is known at least that there was none until now.
  if (changes.length === 0) bell.doneNs = tsNs;
  bell.nextNs = calendar.next(bell.doneNs)?.tsNs;
  return changes;
}

function earliest(bells: readonly BookBell[]): bigint | undefined {
  let found: bigint | undefined;
  for (const { nextNs } of bells) if (nextNs !== undefined && (found === undefined || nextNs < found)) found = nextNs;
  return found;
}
