import { expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import { createMemoryPort, type MemoryPort } from '../../test/contract/memory-port.ts';
import { describeSource } from '../../test/contract/source-suite.ts';
import { createManualClock } from '../core/clock.ts';
import { type Beside, createBeside } from './beside.ts';
import { decodeJsonTick } from './json-tick.ts';
import { createLogWriter } from './log-writer.ts';
import { createScriptedLogBroker } from './scripted-log.ts';
import { createSimSource } from './sim.ts';
import { createTickLog } from './tick-log.ts';

const START_MS = Date.UTC(2026, 0, 5, 9, 15) + 0.5;
const FLAGS = { SIM_SYMBOLS: '10', SIM_BASE_TPS: '20', SIM_DURATION_SEC: '2', SIM_SEED: process.env['SEED'] ?? '11' };

async function setUp(capacity?: number, ticksMax?: number, decimals?: MemoryPort['instruments'][number]) {
  const clock = createManualClock(START_MS);
  const broker = createScriptedLogBroker(3);
  const log = createTickLog({
    library: broker.library,
    brokers: 'scripted',
    topic: 'ticks',
    clock,
    lingerMs: 0,
    onTrouble: () => undefined,
    ...(ticksMax === undefined ? {} : { ticksMax }),
  });
  await log.open();
  const writer = createLogWriter({ log, encoding: 'json', clock, lingerMs: 5 });
  const beside: Beside = createBeside({ log, writer, clock, ...(capacity === undefined ? {} : { capacity }) });
  const source = beside.attach(createSimSource(loadConfig({ flags: FLAGS, environment: {} }).config, clock));
  const port = createMemoryPort(decimals ? { decimals: new Map([[decimals.symbol, decimals]]) } : {});
  return { clock, broker, log, beside, source, port };
}

describeSource('sim, published beside', async () => {
  const { clock, source, log } = await setUp();
  return {
    source,
    malformedCount: 0,
    isDone: () => source.isEnded,
    passTime: async () => clock.advanceMs(13),
    close: () => log.close(),
  };
});

it('publishes what the rings get, and leaves it as it is', async () => {
  const { clock, broker, log, beside, source, port } = await setUp(undefined, undefined, {
    symbol: 'SIM0003',
    kind: 'trade',
    priceDecimals: 2,
    lotDecimals: 3,
    partition: 0,
  });
  await source.start(port, undefined);
  for (let step = 0; step < 30; step += 1) {
    clock.advanceMs(100);
    while (source.poll(50) > 0) broker.acknowledge();
  }
  const settled = beside.settle(1000);
  broker.acknowledge();
  await settled;
  const published = broker.kept.flatMap((messages) => messages.map(({ value }) => decodeJsonTick(value).tick!));
  const asText = (ticks: readonly { symbol: string; tsEventNs: bigint; price: number; quantityLots: bigint }[]): string[] =>
    ticks.map(({ symbol, tsEventNs, price, quantityLots }) => `${symbol} ${tsEventNs} ${price} ${quantityLots}`).sort();
  const handed = port.ticks.map((tick) => (tick.symbol === 'SIM0003' ? { ...tick, quantityLots: tick.quantityLots / 1000n } : tick));
  expect(port.ticks.length).toBeGreaterThan(300);
  expect(asText(published)).toEqual(asText(handed));
  expect([beside.dropped, log.unacknowledged]).toEqual([0, 0]);
});

it('counts what finds its queue full, and the rings get every tick all the same', async () => {
  const { clock, broker, log, beside, source, port } = await setUp(40, 60);
  await source.start(port, undefined);
  for (let step = 0; step < 30; step += 1) {
    clock.advanceMs(100);
    while (source.poll(50) > 0);
  }
  expect(log.unacknowledged).toBe(60);
  expect(beside.dropped).toBe(port.ticks.length - 60 - 40);
  const settled = beside.settle(0);
  await settled;
  expect(beside.dropped).toBe(port.ticks.length - 60);
  broker.acknowledge();
  expect(log.counts()).toMatchObject({ written: 60, acknowledged: 60 });
});

it('leaves the turn to a source that is behind its schedule', async () => {
  const { clock, log, source, port } = await setUp();
  await source.start(port, undefined);
  port.setRoom(50);
  clock.advanceMs(1000);
  expect(source.poll(100)).toBe(50);
  expect(source.lagMs).toBeGreaterThan(100);
  expect(log.counts().written).toBe(0);
  port.setRoom(1000);
  while (source.poll(100) > 0);
  source.poll(100);
  expect(log.counts().written).toBe(port.ticks.length);
});
