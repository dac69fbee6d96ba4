import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createManualClock, type ManualClock } from '../core/clock.ts';
import { createScriptedLogBroker, type ScriptedLogBroker } from './scripted-log.ts';
import { createTickLog, type TickLog } from './tick-log.ts';

let clock: ManualClock;
let broker: ScriptedLogBroker;
let log: TickLog;
let troubles: string[];
let sent: number;

beforeEach(async () => {
  clock = createManualClock(1_000_000);
  broker = createScriptedLogBroker(2);
  troubles = [];
  sent = 0;
  log = createTickLog({
    library: broker.library,
    brokers: 'scripted',
    topic: 'ticks',
    clock,
    lingerMs: 0,
    onTrouble: (error) => troubles.push(error.message),
    ticksMax: 100,
    retryFirstMs: 0,
  });
  await log.open();
});
afterEach(() => log.close());

function send(tickCount = 10): void {
  sent += 1;
  log.send({ partition: sent % 2, key: 'A', value: Buffer.from(String(sent)), headers: undefined, tickCount });
}

function keptNumbers(): number[][] {
  return broker.kept.map((messages) => messages.map(({ value }) => Number(String(value))));
}

async function until(what: string, step: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000; turn += 1) {
    log.poll();
    if (step()) return;
    await nextTurn();
  }
  throw new Error(`${what}: not in 10000 turns`);
}

it('has no room while too much is unacknowledged, and has it again afterwards', () => {
  expect([log.partitionCount, log.room()]).toEqual([2, 100]);
  for (let index = 0; index < 10; index += 1) send();
  expect([log.room(), log.unacknowledged, log.oldestMs]).toEqual([0, 100, 1_000_000]);
  broker.acknowledge(3);
  expect([log.room(), log.unacknowledged]).toEqual([30, 70]);
  broker.acknowledge();
  expect(log.counts()).toEqual({ written: 100, acknowledged: 100, messages: 10, failedDeliveries: 0, replacedProducers: 0 });
  expect([...log.ends]).toEqual([
    [1, 5],
    [0, 5],
  ]);
  expect(log.oldestMs).toBeUndefined();
});

it('keeps what finds the queue of librdkafka full, has no room meanwhile, and hands it over in order', () => {
  broker.queueMax = 2;
  for (let index = 0; index < 5; index += 1) send();
  expect([broker.underWay, log.room()]).toEqual([2, 0]);
  for (let round = 0; round < 3; round += 1) {
    broker.acknowledge();
    log.poll();
  }
  expect(keptNumbers()).toEqual([
    [2, 4],
    [1, 3, 5],
  ]);
  expect(log.room()).toBe(100);
});

it('replaces a producer that failed, and sends again in order what was not acknowledged, each once', async () => {
  for (let index = 0; index < 4; index += 1) send();
  broker.acknowledge(1);
  broker.fail('gapless');
  send();
  expect(log.health()).toMatchObject({ isUp: false, sinceMs: 1_000_000 });
  expect(log.room()).toBe(0);
  await until('another producer', () => broker.producerCount === 2 && broker.underWay === 4);
  broker.acknowledge();
  expect(keptNumbers()).toEqual([
    [2, 4],
    [1, 3, 5],
  ]);
  expect(log.health()).toMatchObject({ isUp: true, detail: 'writing to ticks' });
  expect(log.counts()).toMatchObject({ acknowledged: 50, failedDeliveries: 3, replacedProducers: 1 });
  expect(troubles).toEqual(['Fatal error: gapless']);
});

it('goes on trying while nobody can be reached, red since the failure and with the latest reason', async () => {
  send();
  broker.isReachable = false;
  broker.fail('gone');
  clock.advanceMs(5000);
  await until('a failed attempt', () => /no broker/.test(log.health().detail));
  expect(log.health()).toMatchObject({ isUp: false, sinceMs: 1_000_000 });
  broker.isReachable = true;
  await until('another producer', () => broker.underWay === 1);
  broker.acknowledge();
  expect(log.health()).toMatchObject({ isUp: true, sinceMs: 1_005_000 });
});

it('is red while no broker is connected or nothing is acknowledged, since the last sign of life', () => {
  send();
  broker.disconnect();
  expect(log.health()).toMatchObject({ isUp: false, detail: expect.stringContaining('all broker connections are down') });
  broker.acknowledge();
  expect(log.health().isUp).toBe(true);
  send();
  clock.advanceMs(5001);
  log.poll();
  expect(log.health()).toMatchObject({ isUp: false, detail: '10 ticks not acknowledged for 5 s and more', sinceMs: 1_000_000 });
  broker.acknowledge();
  expect(log.health()).toMatchObject({ isUp: true, sinceMs: 1_005_001 });
});

it('a flush ends with its limit and says how much is not acknowledged', async () => {
  send();
  send();
  broker.acknowledge(1);
  const flushed = log.flush(50);
  clock.advanceMs(60);
  expect(await flushed).toBe(10);
  broker.acknowledge();
  expect(await log.flush(50)).toBe(0);
});
