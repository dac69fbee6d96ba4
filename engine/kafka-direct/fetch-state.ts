/** What the fetcher knows of each partition and of each broker. */
import type { Clock } from '../core/clock.ts';
import type { OffsetJump } from './offset-jumps.ts';
import type { RecordSet } from './record-decoder.ts';

/** Records of a partition, as an answer brought them. */
export interface FetchedSet extends RecordSet {
  readonly partition: number;
  readonly bytes: number;
  /** Of a set without records, which stands where offsets were passed over: it takes its reader there. */
  readonly jump?: OffsetJump;
}

export interface PartitionState {
  readonly partition: number;
  /** What is asked for next. */
  offset: number;
  /** Offset behind the last record that may be read, as last told; -1: not told yet. */
  end: number;
  /** Sets that wait for the reader. */
  waiting: number;
  /** Bytes of an answer. */
  bytesMax: number;
  /** Where a batch could not be read the first time; -1: nowhere. */
  troubledAt: number;
  /** Who led it when last asked; -1: not known. */
  leaderId: number;
  /** Which answer with records of it was the last: the longer ago, the sooner it is its turn. */
  servedAt: number;
  readonly retry: Retry;
}

export interface NodeState {
  isAsking: boolean;
  /** The broker asked to be left alone until then. */
  notBeforeMs: number;
  readonly retry: Retry;
}

/** What went wrong with somebody, and when it is to be tried again: later each time. */
export interface Retry {
  /** Empty: all is well. */
  readonly trouble: string;
  readonly isWaiting: boolean;
  later(trouble: string): void;
  wentWell(): void;
}

const RETRY_MS = 100;
const RETRY_MS_MAX = 2000;

export function createRetry(clock: Clock, first = ''): Retry {
  let trouble = first;
  let waitMs = RETRY_MS;
  let untilMs = 0;
  return {
    get trouble() {
      return trouble;
    },
    get isWaiting() {
      return clock.wallMs() < untilMs;
    },
    later(text) {
      trouble = text;
      untilMs = clock.wallMs() + waitMs;
      waitMs = Math.min(RETRY_MS_MAX, waitMs * 2);
    },
    wentWell() {
      trouble = '';
      waitMs = RETRY_MS;
      untilMs = 0;
    },
  };
}

/** Sets in the order in which they came. */
export interface SetQueue {
  readonly head: FetchedSet | undefined;
  readonly bytes: number;
  push(set: FetchedSet): void;
  shift(): FetchedSet | undefined;
  /** Takes away those of a partition, or all. */
  drop(partition?: number): void;
}

export function createSetQueue(): SetQueue {
  let sets: FetchedSet[] = [];
  let bytes = 0;
  return {
    get head() {
      return sets[0];
    },
    get bytes() {
      return bytes;
    },
    push(set) {
      sets.push(set);
      bytes += set.bytes;
    },
    shift() {
      const set = sets.shift();
      bytes -= set?.bytes ?? 0;
      return set;
    },
    drop(partition) {
      sets = partition === undefined ? [] : sets.filter((set) => set.partition !== partition);
      bytes = sets.reduce((sum, set) => sum + set.bytes, 0);
    },
  };
}
