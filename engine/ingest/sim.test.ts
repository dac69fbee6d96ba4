import { expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import { createMemoryPort, type MemoryPort } from '../../test/contract/memory-port.ts';
import { describeSource } from '../../test/contract/source-suite.ts';
import { createManualClock } from '../core/clock.ts';
import { createSimSource } from './sim.ts';
import { hotCountFor } from './sim-model.ts';
import { simSymbol } from './sim-writer.ts';

const START_MS = Date.UTC(2026, 0, 5, 9, 15) + 0.5;
const START_NS = BigInt(Date.UTC(2026, 0, 5, 9, 15)) * 1_000_000n + 500_000n;
const SEED = process.env['SEED'] ?? '11';

function configOf(flags: Record<string, string>) {
  return loadConfig({ flags: { SIM_SEED: SEED, ...flags }, environment: {} }).config;
}

/** Runs the simulator for the given seconds in steps, always with room. */
async function simulate(flags: Record<string, string>, seconds: number, stepMs = 100): Promise<MemoryPort> {
  const clock = createManualClock(START_MS);
  const source = createSimSource(configOf(flags), clock);
  const port = createMemoryPort();
  await source.start(port, undefined);
  for (let elapsed = 0; elapsed < seconds * 1000; elapsed += stepMs) {
    clock.advanceMs(stepMs);
    while (source.poll(1000) > 0);
  }
  return port;
}

function countBySymbol(port: MemoryPort, fromSecond = 0, toSecond = Number.POSITIVE_INFINITY): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { symbol, tsEventNs } of port.ticks) {
    const second = Number(tsEventNs - START_NS) / 1e9;
    if (second >= fromSecond && second < toSecond) counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  }
  return counts;
}

describeSource('sim', async () => {
  const clock = createManualClock(START_MS);
  const flags = { SIM_SYMBOLS: '5', SIM_BASE_TPS: '40', SIM_DURATION_SEC: '2', SIM_DUPLICATE_PCT: '0.1', SIM_LATE_PCT: '0.1' };
  const source = createSimSource(configOf(flags), clock);
  return {
    source,
    malformedCount: 0,
    isDone: () => source.isEnded,
    passTime: async () => clock.advanceMs(13),
    close: async () => undefined,
  };
});

it('offers the same ticks from the same seed however often it is polled', async () => {
  const flags = { SIM_SYMBOLS: '20', SIM_HOT_SYMBOL_PCT: '0.1', SIM_HOT_ROTATE_SEC: '1', SIM_DISORDER_MS: '20' };
  const coarse = await simulate(flags, 4, 1000);
  const fine = await simulate(flags, 4, 1);
  expect(coarse.ticks.length).toBeGreaterThan(1000);
  expect(fine.ticks).toEqual(coarse.ticks);
  const other = await simulate({ ...flags, SIM_SEED: '12345' }, 4, 1000);
  expect(other.ticks.slice(0, 50)).not.toEqual(coarse.ticks.slice(0, 50));
});

it('keeps the mean rate of ordinary and hot symbols, and gaps of a Poisson process', async () => {
  const seconds = 40;
  const port = await simulate({ SIM_SYMBOLS: '50', SIM_HOT_SYMBOL_PCT: '0.002', SIM_BASE_TPS: '5', SIM_HOT_ROTATE_SEC: '0' }, seconds);
  const counts = [...countBySymbol(port).values()].sort((left, right) => right - left);
  expect(counts).toHaveLength(50);
  // Five standard deviations of a Poisson count.
  expect(Math.abs(counts[0]! - 1000 * seconds)).toBeLessThan(5 * Math.sqrt(1000 * seconds));
  for (const count of counts.slice(1)) expect(Math.abs(count - 5 * seconds)).toBeLessThan(5 * Math.sqrt(5 * seconds));
  const rate = 1000 + 49 * 5;
  const gaps = port.ticks.slice(1).map((tick, index) => Number(tick.tsEventNs - port.ticks[index]!.tsEventNs) / 1e9);
  const isShort = gaps.filter((gap) => gap < Math.LN2 / rate).length;
  expect(Math.abs(isShort / gaps.length - 0.5)).toBeLessThan(2.5 / Math.sqrt(gaps.length));
});

it('draws a new hot set at each rotation', async () => {
  const flags = { SIM_SYMBOLS: '100', SIM_HOT_SYMBOL_PCT: '0.02', SIM_BASE_TPS: '1', SIM_HOT_TPS: '200', SIM_HOT_ROTATE_SEC: '2' };
  const port = await simulate(flags, 20);
  const hotSets = Array.from({ length: 10 }, (_, rotation) => {
    const hot = [...countBySymbol(port, rotation * 2, rotation * 2 + 2)].filter(([, count]) => count > 100).map(([symbol]) => symbol);
    return hot.sort().join(' ');
  });
  for (const set of hotSets) expect(set.split(' ')).toHaveLength(2);
  expect(new Set(hotSets).size).toBeGreaterThan(5);
});

it('has at least one hot symbol as soon as the fraction is above 0, and at most all', () => {
  expect(hotCountFor(500, 0)).toBe(0);
  expect(hotCountFor(50, 0.002)).toBe(1);
  expect(hotCountFor(500, 0.1)).toBe(50);
  expect(hotCountFor(7, 1)).toBe(7);
});

it('walks prices in whole cents by at most 0.40, and draws quantities from the whole range', async () => {
  const port = await simulate({ SIM_SYMBOLS: '2', SIM_BASE_TPS: '2000', SIM_BASE_PRICE: '12', SIM_VOL_MIN: '3', SIM_VOL_MAX: '6' }, 5);
  const last = new Map<string, number>();
  const quantities = new Set<bigint>();
  let lowest = Number.POSITIVE_INFINITY;
  for (const { symbol, price, quantityLots } of port.ticks) {
    const cents = Math.round(price * 100);
    expect(price).toBe(Number((cents / 100).toFixed(2)));
    if (last.has(symbol)) expect(Math.abs(cents - last.get(symbol)!)).toBeLessThanOrEqual(40);
    last.set(symbol, cents);
    quantities.add(quantityLots);
    lowest = Math.min(lowest, cents);
  }
  expect([...last.keys()].sort()).toEqual([simSymbol(0), simSymbol(1)]);
  expect([...quantities].sort()).toEqual([3n, 4n, 5n, 6n]);
  expect(lowest).toBeGreaterThanOrEqual(100);
});

it('stamps each tick with its intended time when held back, tells its lag, and catches up', async () => {
  const clock = createManualClock(START_MS);
  const source = createSimSource(configOf({ SIM_SYMBOLS: '10', SIM_BASE_TPS: '100' }), clock);
  const port = createMemoryPort();
  await source.start(port, undefined);
  expect(source.lagMs).toBe(0);
  port.setRoom(0);
  clock.advanceMs(1000);
  expect(source.poll(100)).toBe(0);
  expect(source.isCaughtUp(0)).toBe(false);
  expect(source.lagMs).toBeGreaterThan(950);
  expect(source.lagMs).toBeLessThanOrEqual(1000);
  port.setRoom(1e6);
  while (source.poll(100) > 0);
  expect(source.isCaughtUp(0)).toBe(true);
  expect(source.lagMs).toBe(0);
  expect(Math.abs(port.ticks.length - 1000)).toBeLessThan(160);
  const startUs = Math.round(START_MS * 1000);
  for (const { tsEventNs, ingestUs } of port.ticks) {
    const sentUs = startUs + Math.floor(Number(tsEventNs - START_NS) / 1000);
    expect(ingestUs).toBe(sentUs % 2 ** 32);
  }
});

it('stamps the wanted fraction earlier than sent, by no more than the limit', async () => {
  const port = await simulate({ SIM_SYMBOLS: '10', SIM_BASE_TPS: '500', SIM_LATE_PCT: '0.2', SIM_LATE_MS: '400' }, 4);
  const startUs = Math.round(START_MS * 1000);
  const backMs = port.ticks.map(({ tsEventNs, ingestUs }) => {
    const sentUs = ((ingestUs ?? 0) - (startUs % 2 ** 32) + 2 ** 32) % 2 ** 32;
    return sentUs / 1000 - Number(tsEventNs - START_NS) / 1e6;
  });
  const late = backMs.filter((ms) => ms > 0.01);
  expect(Math.abs(late.length / backMs.length - 0.2)).toBeLessThan(2 / Math.sqrt(backMs.length));
  expect(Math.max(...late)).toBeLessThanOrEqual(400);
  expect(Math.max(...late)).toBeGreaterThan(350);
});

it('moves every event time back by up to SIM_DISORDER_MS', async () => {
  const port = await simulate({ SIM_SYMBOLS: '10', SIM_BASE_TPS: '500', SIM_DISORDER_MS: '50' }, 2);
  const disordered = port.ticks.filter((tick, index) => index > 0 && tick.tsEventNs < port.ticks[index - 1]!.tsEventNs).length;
  expect(disordered / port.ticks.length).toBeGreaterThan(0.4);
});

it('sends the wanted fraction twice, the copy right after the first', async () => {
  const port = await simulate({ SIM_SYMBOLS: '10', SIM_BASE_TPS: '500', SIM_DUPLICATE_PCT: '0.25' }, 4);
  let copies = 0;
  for (let index = 1; index < port.ticks.length; index += 1) {
    if (port.ticks[index]!.tsEventNs !== port.ticks[index - 1]!.tsEventNs) continue;
    expect(port.ticks[index]).toEqual(port.ticks[index - 1]);
    copies += 1;
  }
  const originals = port.ticks.length - copies;
  expect(Math.abs(copies / originals - 0.25)).toBeLessThan(2.5 / Math.sqrt(originals));
});

it('refuses the ticks of symbols for which there is no capacity, and counts them as offered', async () => {
  const clock = createManualClock(START_MS);
  const source = createSimSource(configOf({ SIM_SYMBOLS: '10', SIM_BASE_TPS: '100' }), clock);
  const port = createMemoryPort({ symbolCapacity: 4 });
  await source.start(port, undefined);
  clock.advanceMs(1000);
  while (source.poll(64) > 0);
  expect(port.refusedCount).toBeGreaterThan(400);
  expect(source.offered).toBe(port.ticks.length + port.refusedCount);
});

it('counts quantities in the lots that the instruments file gives, and says when they cannot be held', async () => {
  const start = async (lotDecimals: number) => {
    const clock = createManualClock(START_MS);
    const source = createSimSource(configOf({ SIM_SYMBOLS: '1', SIM_BASE_TPS: '100', SIM_VOL_MIN: '5' }), clock);
    const port = createMemoryPort({ decimals: new Map([[simSymbol(0), { priceDecimals: 2, lotDecimals }]]) });
    await source.start(port, undefined);
    clock.advanceMs(500);
    source.poll(100);
    return port;
  };
  for (const tick of (await start(8)).ticks) expect(tick.quantityLots).toBe(500_000_000n);
  await expect(start(17)).rejects.toMatchObject({ code: 'SIM_QUANTITY_TOO_LARGE' });
});
