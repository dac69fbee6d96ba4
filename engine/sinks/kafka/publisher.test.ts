import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as L from '../../../schemas/layout.gen.ts';
import { OUT_KIND } from '../../../schemas/records.ts';
import { type Pause, SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../core/clock.ts';
import { allocateSymbols, openSymbols } from '../../market/instruments.ts';
import { murmur2Part } from '../../market/murmur2.ts';
import { parseTimeframes } from '../../market/timeframes.ts';
import { allocateRing, createRing, type Ring } from '../../memory/ring.ts';
import { type BarPublisher, createBarPublisher } from './publisher.ts';
import { recoverPublication } from './recover.ts';
import { createScriptedBroker, type Fate, SCRIPTED_PARTITIONS, type ScriptedBroker } from './scripted-broker.ts';
import { fenceTransactionalId } from './transactor.ts';

const SYMBOLS = 5;
const TIMEFRAMES = parseTimeframes('1s');
const TRANSACTIONS = {
  transactionalId: 'engine.1',
  markerGroup: 'markers',
  markerTopic: 'ticks',
  lanes: [0, 3],
  isOwner: async () => true,
};
const OPTIONS = { brokers: 'scripted', prefix: '', clock: SYSTEM_CLOCK, isLive: false, lingerMs: 0, retryFirstMs: 1 };

const fates = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: fc.constant<Fate>('done') },
    { weight: 3, arbitrary: fc.constantFrom<Fate>('full', 'again') },
    { weight: 2, arbitrary: fc.constantFrom<Fate>('abort', 'fatal', 'fenced', 'lost', 'belied') },
  ),
  { minLength: 8, maxLength: 60 },
);

/** Waits as long as asked, but not beyond a moment. */
const quickly: Pause = (ms, signal) => SYSTEM_PAUSE(Math.min(ms, 20), signal);

interface Rig {
  readonly publisher: BarPublisher;
  readonly ring: Ring;
  putSecond(second: number): void;
}

interface RigOptions {
  readonly isOwner?: () => Promise<boolean>;
  readonly pause?: Pause;
}

function createRig({ library }: ScriptedBroker, capacity: number, { isOwner, pause }: RigOptions = {}): Rig {
  const committedRing = allocateRing(capacity, L.BAR_SIZE);
  const ring = createRing(committedRing, 0);
  const symbols = openSymbols(allocateSymbols(SYMBOLS));
  const entry = { partition: 0, shard: 0, priceDecimals: 2, lotDecimals: 0, isQuote: false };
  for (let index = 0; index < SYMBOLS; index += 1) symbols.write(index, { ...entry, name: `S${index}`, localIndex: index });
  const transactions = { ...TRANSACTIONS, isOwner: isOwner ?? TRANSACTIONS.isOwner };
  const publisher = createBarPublisher({
    ...{ ...OPTIONS, library, committedRing, symbols, timeframes: TIMEFRAMES, transactions },
    ...(pause ? { pause } : {}),
  });
  const record = new Int32Array(L.BAR_SIZE >> 2);
  record[L.BAR_KIND_I32] = OUT_KIND.barFinal;
  return {
    publisher,
    ring,
    putSecond(second) {
      for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
        record[L.BAR_SYMBOL_INDEX_I32] = symbol;
        new BigInt64Array(record.buffer)[L.BAR_TS_START_NS_I64] = BigInt(second) * 1_000_000_000n;
        ring.publish(record, 0, 1);
      }
    },
  };
}

/** Connects, as often as the script makes it fail. */
async function connect(publisher: BarPublisher): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await publisher.connect();
      return;
    } catch (error) {
      if (attempt === 1000) throw error;
    }
  }
}

function assertEachOnce(broker: ScriptedBroker, seconds: number): void {
  const everySecond = Array.from({ length: seconds }, (_, index) => index + 1);
  for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
    const home = broker.log[murmur2Part(Buffer.from(`S${symbol}`), SCRIPTED_PARTITIONS)]!;
    const times = home.filter(({ topic, key }) => topic === 'bars.1s' && key === `S${symbol}`).map(({ value }) => JSON.parse(value).ts);
    expect(times).toEqual(everySecond);
  }
}

it('commits every bar and letter once, in order by symbol, whatever fails on the way', { timeout: 120_000 }, async () => {
  const seed = Number(process.env['SEED'] ?? 20_261_121);
  const shapes = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fates, shapes, async (script, secondsByEpoch) => {
      const broker = createScriptedBroker(script);
      const { publisher, ring, putSecond } = createRig(broker, 32);
      await connect(publisher);
      let second = 0;
      for (const [index, seconds] of secondsByEpoch.entries()) {
        for (let count = 0; count < seconds; count += 1) {
          // An epoch of up to 60 bars, a ring of 32: the writer goes on putting before it announces.
          while (ring.free() < SYMBOLS) await publisher.drain(1);
          second += 1;
          putSecond(second);
        }
        const letters = [{ key: `k${index}`, json: `{"letter":${index}}` }];
        publisher.epochCommitted({ databaseEpoch: 10 + index, bars: seconds * SYMBOLS, letters });
      }
      expect(await publisher.drain(30_000)).toBe(0);
      expect(publisher.failure()).toBeUndefined();
      expect(publisher.totals()).toMatchObject({ acked: second * SYMBOLS, inFlight: 0, outstanding: 0, letters: secondsByEpoch.length });
      expect(publisher.counters().published[0]).toBe(second * SYMBOLS);
      expect(publisher.publishedEpoch).toBe(9 + secondsByEpoch.length);
      expect([...broker.markers]).toEqual(TRANSACTIONS.lanes.map((lane) => [lane, 9 + secondsByEpoch.length]));
      expect(publisher.health().isUp).toBe(true);
      assertEachOnce(broker, second);
      const letters = broker.log.flat().filter(({ topic }) => topic === 'dlq');
      expect(letters.map(({ key }) => key).sort()).toEqual(secondsByEpoch.map((_, index) => `k${index}`));
      await publisher.close();
    }),
    { seed, numRuns: 60 },
  );
});

it.each([
  { name: 'was lost', answers: ['lost'] as const },
  { name: 'says that the transaction is', answers: ['belied'] as const },
  { name: 'said first to come again', answers: ['again', 'belied'] as const },
])('does not send again what the marker shows to be committed, although the answer $name', async ({ answers }) => {
  // initTransactions, begin, 5 bars, marker, commit.
  const broker = createScriptedBroker([
    ...Array.from({ length: 8 }, (): Fate => 'done'),
    ...answers,
    ...Array.from({ length: 91 }, (): Fate => 'done'),
  ]);
  const { publisher, putSecond } = createRig(broker, 32);
  await publisher.connect();
  putSecond(1);
  publisher.epochCommitted({ databaseEpoch: 1, bars: SYMBOLS, letters: [] });
  expect(await publisher.drain(10_000)).toBe(0);
  expect(broker.producerCount()).toBe(2);
  expect(broker.log.flat().length).toBe(SYMBOLS);
  expect([...publisher.counters().failed]).toEqual([[`scripted: ${answers.at(-1)}`, 1]]);
  await publisher.close();
  expect(publisher.health()).toMatchObject({ isUp: false, detail: 'closed' });
});

it('asks for the markers with another client when the first has lost its brokers', async () => {
  const broker = createScriptedBroker([
    ...Array.from({ length: 8 }, (): Fate => 'done'),
    'lost',
    ...Array.from({ length: 91 }, (): Fate => 'done'),
  ]);
  const { publisher, putSecond } = createRig(broker, 32, { pause: quickly });
  await publisher.connect();
  broker.loseMarkerClients();
  putSecond(1);
  publisher.epochCommitted({ databaseEpoch: 1, bars: SYMBOLS, letters: [] });
  expect(await publisher.drain(10_000)).toBe(0);
  assertEachOnce(broker, 1);
  await publisher.close();
});

it('leaves a producer alone that does not answer, and goes on with another', async () => {
  const broker = createScriptedBroker([
    ...Array.from({ length: 7 }, (): Fate => 'done'),
    'silent',
    ...Array.from({ length: 92 }, (): Fate => 'done'),
  ]);
  const { publisher, putSecond } = createRig(broker, 32, { pause: quickly });
  await publisher.connect();
  putSecond(1);
  publisher.epochCommitted({ databaseEpoch: 1, bars: SYMBOLS, letters: [] });
  expect(await publisher.drain(10_000)).toBe(0);
  assertEachOnce(broker, 1);
  expect(broker.producerCount()).toBe(2);
  await publisher.close();
  expect(broker.openProducerCount()).toBe(1);
});

it('closes although its producer does not answer that the open transaction is aborted', async () => {
  // initTransactions, begin, 5 bars, abort.
  const broker = createScriptedBroker([...Array.from({ length: 7 }, (): Fate => 'done'), 'silent']);
  const { publisher, putSecond } = createRig(broker, 32, { pause: quickly });
  await publisher.connect();
  putSecond(1);
  publisher.epochCommitted({ databaseEpoch: 1, bars: SYMBOLS, letters: [] });
  await publisher.close();
  expect(publisher.failure()).toMatchObject({ code: 'KAFKA_CLOSED' });
  expect(broker.openProducerCount()).toBe(1);
  expect(broker.log.flat()).toEqual([]);
});

it.each([
  { name: 'disconnects', fate: 'fatal', open: 0, cause: 'scripted: fatal' },
  { name: 'leaves alone', fate: 'silent', open: 1, cause: 'a transactional call is not answered in 10005 ms' },
] as const)('$name the producer with which an id is not fenced, answer: $fate', async ({ fate, open, cause }) => {
  const broker = createScriptedBroker([fate]);
  const options = { library: broker.library, brokers: 'scripted', pause: quickly };
  await expect(fenceTransactionalId(options, 'engine.0', 5)).rejects.toMatchObject({
    ...{ code: 'KAFKA_UNREACHABLE', retryable: true },
    message: `transactional id engine.0: not fenced in 5 ms: ${cause}`,
  });
  expect(broker.openProducerCount()).toBe(open);
});

it('ends FENCED when its producer is fenced and the lanes belong to somebody else', async () => {
  const broker = createScriptedBroker([
    ...Array.from({ length: 8 }, (): Fate => 'done'),
    'fenced',
    ...Array.from({ length: 91 }, (): Fate => 'done'),
  ]);
  let isOwner = true;
  const { publisher, putSecond } = createRig(broker, 32, { isOwner: async () => isOwner });
  await publisher.connect();
  putSecond(1);
  isOwner = false;
  publisher.epochCommitted({ databaseEpoch: 1, bars: SYMBOLS, letters: [] });
  expect(await publisher.drain(10_000)).toBe(SYMBOLS);
  expect(publisher.failure()).toMatchObject({ code: 'FENCED', retryable: false });
  expect(publisher.health()).toMatchObject({ isUp: false, detail: expect.stringContaining('lanes 0, 3 belong to another engine') });
  expect(broker.log.flat()).toEqual([]);
  await publisher.close();
});

it('publishes from the outbox what is above the marker of its lane, once, whatever fails on the way', { timeout: 120_000 }, async () => {
  const seed = Number(process.env['SEED'] ?? 20_261_121);
  const row = (lane: number, epoch: number, part: number) => ({
    lane,
    epoch,
    kind: 'bars' as const,
    part,
    lines: `{"symbol":"L${lane}","tf":"1s","ts":${epoch * 10 + part}}\n{"symbol":"M${lane}","tf":"1m","ts":${epoch * 10 + part}}`,
  });
  const letter = { lane: 3, epoch: 5, kind: 'dlq' as const, part: 0, lines: '{"topic":"t","partition":3,"offset":"7"}' };
  const outbox = [row(0, 4, 0), row(0, 5, 0), row(0, 5, 1), row(3, 5, 0), letter];
  await fc.assert(
    fc.asyncProperty(fates, async (script) => {
      const broker = createScriptedBroker(script);
      const options = { ...OPTIONS, library: broker.library, transactions: TRANSACTIONS, previousTransactionalIds: ['engine.0'], outbox };
      for (let attempt = 0; ; attempt += 1) {
        const recovery = await recoverPublication(options).catch(() => undefined);
        if (recovery) {
          expect([...recovery.markers]).toEqual([
            [0, 5],
            [3, 5],
          ]);
          break;
        }
        expect(attempt).toBeLessThan(1000);
      }
      const again = await recoverPublication(options).catch(() => undefined);
      if (again) expect(again.published).toBe(0);
      const times = (key: string): number[] =>
        broker.log.flatMap((messages) => messages.filter((message) => message.key === key).map(({ value }) => JSON.parse(value).ts));
      for (const key of ['L0', 'M0']) expect(times(key)).toEqual([40, 50, 51]);
      for (const key of ['L3', 'M3']) expect(times(key)).toEqual([50]);
      expect(times('t:3:7').length).toBe(1);
    }),
    { seed, numRuns: 40 },
  );
});

it('refuses an outbox line that is no message', async () => {
  const { library } = createScriptedBroker([]);
  const outbox = [{ lane: 0, epoch: 1, kind: 'bars' as const, part: 2, lines: '{"symbol":"A"}' }];
  const options = { ...OPTIONS, library, transactions: TRANSACTIONS, previousTransactionalIds: [], outbox };
  await expect(recoverPublication(options)).rejects.toThrow(
    'outbox lane 0, epoch 1, bars, part 2: expected JSON with symbol, tf, found {"symbol":"A"}',
  );
});

it('says what may be tried again when the brokers refuse its id at the start', async () => {
  const broker = createScriptedBroker(['fenced', 'done', 'done', 'done']);
  const { publisher } = createRig(broker, 16);
  await expect(publisher.connect()).rejects.toMatchObject({ code: 'PUBLISHER_FAILED', retryable: true });
  await publisher.connect();
  expect(publisher.health().isUp).toBe(true);
  await publisher.close();
});
