/** For tests: a publisher with a committed ring and five symbols, what fills it, and what its topic must hold then. */
import { expect } from 'vitest';
import * as L from '../../../schemas/layout.gen.ts';
import { OUT_KIND } from '../../../schemas/records.ts';
import { SYSTEM_CLOCK } from '../../core/clock.ts';
import { allocateSymbols, openSymbols, type SymbolDictionary } from '../../market/instruments.ts';
import { murmur2Part } from '../../market/murmur2.ts';
import { parseTimeframes } from '../../market/timeframes.ts';
import { allocateRing, createRing, type Ring } from '../../memory/ring.ts';
import type { TransactionLane } from './lane.ts';
import { type BarPublisher, type BarPublisherOptions, createBarPublisher } from './publisher.ts';

export const RIG_SYMBOLS = 5;
export const RIG_TIMEFRAMES = parseTimeframes('1s');
export const RIG_TRANSACTIONS = {
  transactionalId: 'engine.1',
  markerGroup: 'markers',
  markerTopic: 'ticks',
  lanes: [0, 3],
  isOwner: async () => true,
};
export const RIG_OPTIONS = { brokers: 'scripted', prefix: '', clock: SYSTEM_CLOCK, isLive: false, lingerMs: 0, retryFirstMs: 1 };
/** The first epoch that is announced. */
export const RIG_FIRST_EPOCH = 10;
const CONNECTS_MAX = 1000;

export interface PublisherRig {
  readonly publisher: BarPublisher;
  readonly ring: Ring;
  putSecond(second: number): void;
}

export interface RigParts extends Pick<BarPublisherOptions, 'library'>, Partial<Pick<BarPublisherOptions, 'pause' | 'hanging'>> {
  /** Slots of the committed ring. */
  readonly capacity: number;
  readonly isOwner?: () => Promise<boolean>;
  readonly laneOf?: (symbols: SymbolDictionary) => TransactionLane;
}

export function createPublisherRig({ capacity, isOwner, laneOf, ...parts }: RigParts): PublisherRig {
  const committedRing = allocateRing(capacity, L.BAR_SIZE);
  const ring = createRing(committedRing, 0);
  const symbols = openSymbols(allocateSymbols(RIG_SYMBOLS));
  const entry = { partition: 0, shard: 0, priceDecimals: 2, lotDecimals: 0, isQuote: false };
  for (let index = 0; index < RIG_SYMBOLS; index += 1) symbols.write(index, { ...entry, name: `S${index}`, localIndex: index });
  const transactions = { ...RIG_TRANSACTIONS, ...(isOwner ? { isOwner } : {}) };
  const publisher = createBarPublisher({
    ...{ ...RIG_OPTIONS, ...parts, committedRing, symbols, timeframes: RIG_TIMEFRAMES, transactions },
    ...(laneOf ? { lane: laneOf(symbols) } : {}),
  });
  const record = new Int32Array(L.BAR_SIZE >> 2);
  record[L.BAR_KIND_I32] = OUT_KIND.barFinal;
  return {
    publisher,
    ring,
    putSecond(second) {
      for (let symbol = 0; symbol < RIG_SYMBOLS; symbol += 1) {
        record[L.BAR_SYMBOL_INDEX_I32] = symbol;
        new BigInt64Array(record.buffer)[L.BAR_TS_START_NS_I64] = BigInt(second) * 1_000_000_000n;
        ring.publish(record, 0, 1);
      }
    },
  };
}

/** Connects, as often as the script makes it fail. */
export async function connectAtLast(publisher: BarPublisher): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await publisher.connect();
      return;
    } catch (error) {
      if (attempt === CONNECTS_MAX) throw error;
    }
  }
}

/** Publishes epochs of so many seconds, each with a letter `k<index>`; returns how many seconds that were. */
export async function publishEpochs({ publisher, ring, putSecond }: PublisherRig, secondsByEpoch: readonly number[]): Promise<number> {
  let second = 0;
  for (const [index, seconds] of secondsByEpoch.entries()) {
    for (let count = 0; count < seconds; count += 1) {
      // An epoch may be larger than the ring: the writer goes on putting before it announces.
      while (ring.free() < RIG_SYMBOLS) await publisher.drain(1);
      second += 1;
      putSecond(second);
    }
    const letters = [{ key: `k${index}`, json: `{"letter":${index}}` }];
    publisher.epochCommitted({ databaseEpoch: RIG_FIRST_EPOCH + index, bars: seconds * RIG_SYMBOLS, letters });
  }
  expect(await publisher.drain(30_000)).toBe(0);
  expect(publisher.failure()).toBeUndefined();
  return second;
}

/** @param log of the bar topic, by partition */
export function assertEachOnce(log: readonly (readonly { readonly key: string; readonly value: string }[])[], seconds: number): void {
  const everySecond = Array.from({ length: seconds }, (_, index) => index + 1);
  for (let symbol = 0; symbol < RIG_SYMBOLS; symbol += 1) {
    const home = log[murmur2Part(Buffer.from(`S${symbol}`), log.length)]!;
    expect(home.filter(({ key }) => key === `S${symbol}`).map(({ value }) => JSON.parse(value).ts)).toEqual(everySecond);
  }
  expect(log.flat().length).toBe(seconds * RIG_SYMBOLS);
}
