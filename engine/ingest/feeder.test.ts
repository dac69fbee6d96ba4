import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import { REFUSAL } from '../../schemas/records.ts';
import { createMemoryPort } from '../../test/contract/memory-port.ts';
import { createManualClock } from '../core/clock.ts';
import { murmur2Part } from '../market/murmur2.ts';
import { createFeeder, type Feeder } from './feeder.ts';
import { decodeJsonTick } from './json-tick.ts';
import { createLogPort, type LogPort } from './log-port.ts';
import { createLogWriter, type LogEncoding } from './log-writer.ts';
import { decodePacked } from './packed.ts';
import { createScriptedLogBroker, type KeptMessage, type ScriptedLogBroker } from './scripted-log.ts';
import { createSimSource } from './sim.ts';
import type { Source } from './source.ts';
import { createTickLog, type TickLog } from './tick-log.ts';

const START_MS = Date.UTC(2026, 0, 5, 9, 15) + 0.5;
const PARTITIONS = 3;
const FLAGS = {
  SIM_SYMBOLS: '20',
  SIM_BASE_TPS: '50',
  SIM_DURATION_SEC: '2',
  SIM_SEED: process.env['SEED'] ?? '11',
  SIM_DISORDER_MS: '20',
};

interface Setup {
  readonly clock: ReturnType<typeof createManualClock>;
  readonly broker: ScriptedLogBroker;
  readonly log: TickLog;
  readonly port: LogPort;
  readonly feeder: Feeder;
}

const open: Setup[] = [];
afterEach(async () => {
  for (const { feeder, log } of open.splice(0)) {
    await feeder.stop(0);
    await log.close();
  }
});

async function setUp(
  change: { source?: Source; ticksMax?: number; encoding?: LogEncoding; isReady?: () => boolean; lingerMs?: number } = {},
): Promise<Setup> {
  const clock = createManualClock(START_MS);
  const broker = createScriptedLogBroker(PARTITIONS);
  const log = createTickLog({
    library: broker.library,
    brokers: 'scripted',
    topic: 'ticks',
    clock,
    lingerMs: 0,
    onTrouble: () => undefined,
    retryFirstMs: 0,
    ticksMax: change.ticksMax ?? 100_000,
  });
  await log.open();
  const writer = createLogWriter({ log, encoding: change.encoding ?? 'packed', clock, lingerMs: change.lingerMs ?? 0 });
  const port = createLogPort(log, writer);
  const source = change.source ?? createSimSource(loadConfig({ flags: FLAGS, environment: {} }).config, clock);
  const feeder = createFeeder({ source, log, port, writer, clock, isReady: change.isReady ?? (() => true) });
  const setup = { clock, broker, log, port, feeder };
  open.push(setup);
  feeder.start();
  return setup;
}

async function until(what: string, step: () => boolean): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!step()) {
    if (performance.now() > endMs) throw new Error(`${what}: not in 10 s`);
    await sleep(1);
  }
}

interface Seen {
  readonly symbol: string;
  readonly tsEventNs: bigint;
  readonly price: number;
  readonly quantityLots: bigint;
}

function decode({ value, isPacked }: KeptMessage): Seen[] {
  if (!isPacked) return [decodeJsonTick(value).tick!];
  const { header, records } = decodePacked(value)!;
  return records.map(({ tick }) => ({ ...tick!, symbol: header.symbols[tick!.symbolRef]!.symbol }));
}

const plain = ({ symbol, tsEventNs, price, quantityLots }: Seen): Seen => ({ symbol, tsEventNs, price, quantityLots });

function bySymbol(ticks: readonly Seen[]): Map<string, Seen[]> {
  const groups = new Map<string, Seen[]>();
  for (const tick of ticks) groups.set(tick.symbol, [...(groups.get(tick.symbol) ?? []), plain(tick)]);
  return new Map([...groups].sort(([left], [right]) => (left < right ? -1 : 1)));
}

/** The simulator's ticks as the rings would get them. */
async function directly(): Promise<Seen[]> {
  const clock = createManualClock(START_MS);
  const source = createSimSource(loadConfig({ flags: FLAGS, environment: {} }).config, clock);
  const port = createMemoryPort();
  await source.start(port, undefined);
  clock.advanceMs(2001);
  while (source.poll(1000) > 0);
  return [...port.ticks];
}

it.each(['packed', 'json'] as const)(
  'writes exactly what the rings would get, in order, each symbol on its partition (%s)',
  async (encoding) => {
    const { clock, broker, log, feeder } = await setUp({ encoding, lingerMs: 5 });
    await until('the source is started', () => log.health().isUp && feeder.health().isUp);
    for (let step = 0; step < 21; step += 1) {
      clock.advanceMs(100);
      await until('the source is on schedule', () => feeder.lagMs === 0 || feeder.isDone);
      broker.acknowledge();
    }
    await until('everything is acknowledged', () => {
      broker.acknowledge();
      return feeder.isDone;
    });
    const seen = broker.kept.flatMap((messages) => messages.flatMap(decode));
    expect(seen.length).toBeGreaterThan(1500);
    expect(bySymbol(seen)).toEqual(bySymbol(await directly()));
    for (const [partition, messages] of broker.kept.entries()) {
      for (const message of messages) {
        expect(decode(message)[0]?.symbol).toBe(message.key);
        for (const { symbol } of decode(message)) expect(murmur2Part(Buffer.from(symbol), PARTITIONS)).toBe(partition);
      }
    }
    expect(feeder.health()).toMatchObject({ isUp: true, detail: 'done' });
  },
);

it('does not start the source before it may', async () => {
  let isReady = false;
  const { clock, log, feeder } = await setUp({ isReady: () => isReady });
  clock.advanceMs(1000);
  await sleep(10);
  expect([log.counts().written, feeder.health().isUp]).toEqual([0, false]);
  isReady = true;
  await until('it feeds', () => feeder.health().isUp);
  clock.advanceMs(1000);
  await until('ticks are written', () => log.counts().written > 0);
});

it('falls behind while nothing is acknowledged, drops nothing, and catches up', async () => {
  const { clock, broker, log, feeder } = await setUp({ ticksMax: 200 });
  await until('it feeds', () => feeder.health().isUp);
  clock.advanceMs(1000);
  await until('the log is full', () => log.room() === 0 && log.unacknowledged === 200);
  clock.advanceMs(500);
  await sleep(10);
  expect(log.unacknowledged).toBe(200);
  expect(feeder.lagMs).toBeGreaterThan(500);
  clock.advanceMs(600);
  await until('everything is acknowledged', () => {
    clock.advanceMs(5);
    broker.acknowledge();
    return feeder.isDone;
  });
  expect(broker.kept.flatMap((messages) => messages.flatMap(decode))).toHaveLength((await directly()).length);
});

it('a stop takes nothing more, waits for acknowledgements within its limit, and counts what is missing', async () => {
  const { clock, broker, log, feeder } = await setUp();
  await until('it feeds', () => feeder.health().isUp);
  clock.advanceMs(500);
  await until('ticks are written', () => broker.underWay > 0 && feeder.lagMs === 0);
  feeder.requestStop();
  await until('what was being filled is sent too', () => feeder.health().detail === 'waiting for acknowledgements');
  const { written } = log.counts();
  clock.advanceMs(500);
  await feeder.stop(20);
  expect(log.counts().written).toBe(written);
  expect([log.unacknowledged, feeder.isDone]).toEqual([written, false]);
});

it('recovers by itself from a producer that failed, and writes every tick once', async () => {
  const { clock, broker, feeder } = await setUp();
  await until('it feeds', () => feeder.health().isUp);
  clock.advanceMs(1000);
  await until('ticks are under way', () => broker.underWay > 0 && feeder.lagMs === 0);
  broker.fail('lost');
  expect(feeder.health()).toMatchObject({ isUp: false, detail: expect.stringContaining('lost') });
  clock.advanceMs(1001);
  await until('everything is acknowledged', () => {
    broker.acknowledge();
    return feeder.isDone;
  });
  expect(bySymbol(broker.kept.flatMap((messages) => messages.flatMap(decode)))).toEqual(bySymbol(await directly()));
});

it('a source that fails is told by health and by failure', async () => {
  const clock = createManualClock(START_MS);
  const { config } = loadConfig({ flags: FLAGS, environment: {} });
  const source: Source = {
    ...createSimSource(config, clock),
    start: () => Promise.reject(new Error('no such market')),
  };
  const { feeder } = await setUp({ source });
  await until('it has failed', () => feeder.failure() !== undefined);
  expect(feeder.failure()?.message).toBe('no such market');
  expect(feeder.health()).toEqual({ isUp: false, detail: 'the feeder failed: no such market', sinceMs: START_MS });
});

it('counts what a message cannot express', async () => {
  const { port } = await setUp({ encoding: 'json', isReady: () => false });
  const index = port.register({ symbol: 'Q', kind: 'quote', priceDecimals: 2, lotDecimals: 0, partition: 0 });
  port.i32[0] = 2;
  port.i32[1] = index;
  expect(port.commit(1, 0)).toBe(0);
  port.i32[0] = 1;
  expect(port.commit(1, 0)).toBe(0);
  expect([...port.refused]).toEqual([
    [REFUSAL.quantityOffLot, 1],
    [REFUSAL.wrongKind, 1],
  ]);
  expect(port.register({ symbol: '', kind: 'trade', priceDecimals: 2, lotDecimals: 0, partition: 0 })).toBe(-REFUSAL.malformed);
});
