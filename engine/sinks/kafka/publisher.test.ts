import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Pause, SYSTEM_PAUSE } from '../../core/clock.ts';
import {
  assertEachOnce,
  connectAtLast,
  createPublisherRig,
  type PublisherRig,
  publishEpochs,
  RIG_FIRST_EPOCH,
  RIG_OPTIONS,
  RIG_SYMBOLS,
  RIG_TRANSACTIONS,
  type RigParts,
} from './publisher-rig.ts';
import { recoverPublication } from './recover.ts';
import { createScriptedBroker, type Fate, type ScriptedBroker } from './scripted-broker.ts';
import { fenceTransactionalId } from './transactor.ts';

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

const createRig = ({ library }: ScriptedBroker, capacity: number, parts: Partial<RigParts> = {}): PublisherRig =>
  createPublisherRig({ library, capacity, ...parts });

const barsOf = ({ log }: ScriptedBroker) => log.map((partition) => partition.filter(({ topic }) => topic === 'bars.1s'));

it('commits every bar and letter once, in order by symbol, whatever fails on the way', { timeout: 120_000 }, async () => {
  const seed = Number(process.env['SEED'] ?? 20_261_121);
  const shapes = fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fates, shapes, async (script, secondsByEpoch) => {
      const broker = createScriptedBroker(script);
      const rig = createRig(broker, 32);
      const { publisher } = rig;
      await connectAtLast(publisher);
      const second = await publishEpochs(rig, secondsByEpoch);
      expect(publisher.totals()).toMatchObject({
        acked: second * RIG_SYMBOLS,
        inFlight: 0,
        outstanding: 0,
        letters: secondsByEpoch.length,
      });
      expect(publisher.counters().published[0]).toBe(second * RIG_SYMBOLS);
      expect(publisher.publishedEpoch).toBe(RIG_FIRST_EPOCH - 1 + secondsByEpoch.length);
      expect([...broker.markers]).toEqual(RIG_TRANSACTIONS.lanes.map((lane) => [lane, RIG_FIRST_EPOCH - 1 + secondsByEpoch.length]));
      expect(publisher.health().isUp).toBe(true);
      assertEachOnce(barsOf(broker), second);
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
  publisher.epochCommitted({ databaseEpoch: 1, bars: RIG_SYMBOLS, letters: [] });
  expect(await publisher.drain(10_000)).toBe(0);
  expect(broker.producerCount()).toBe(2);
  expect(broker.log.flat().length).toBe(RIG_SYMBOLS);
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
  publisher.epochCommitted({ databaseEpoch: 1, bars: RIG_SYMBOLS, letters: [] });
  expect(await publisher.drain(10_000)).toBe(0);
  assertEachOnce(barsOf(broker), 1);
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
  publisher.epochCommitted({ databaseEpoch: 1, bars: RIG_SYMBOLS, letters: [] });
  expect(await publisher.drain(10_000)).toBe(0);
  assertEachOnce(barsOf(broker), 1);
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
  publisher.epochCommitted({ databaseEpoch: 1, bars: RIG_SYMBOLS, letters: [] });
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
  publisher.epochCommitted({ databaseEpoch: 1, bars: RIG_SYMBOLS, letters: [] });
  expect(await publisher.drain(10_000)).toBe(RIG_SYMBOLS);
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
      const options = {
        ...RIG_OPTIONS,
        library: broker.library,
        transactions: RIG_TRANSACTIONS,
        previousTransactionalIds: ['engine.0'],
        outbox,
      };
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
  const options = { ...RIG_OPTIONS, library, transactions: RIG_TRANSACTIONS, previousTransactionalIds: [], outbox };
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

it('looks for transactions that hang around each initialisation of its id, and begins anew after a commit that had to be asked for twice', async () => {
  // Initialised; begin, 5 bars, marker, commit: twice.
  const done = (count: number): Fate[] => Array.from({ length: count }, () => 'done');
  const broker = createScriptedBroker([...done(1), ...done(8), ...done(7), 'again']);
  const asked: string[] = [];
  const counts = { hangingEnded: 2, hangingLeft: 0 };
  const note = (what: string) => async (ids: readonly string[]) => {
    asked.push(`${what} ${ids.join()} after ${barsOf(broker).flat().length}`);
  };
  const { publisher, putSecond } = createRig(broker, 32, { hanging: { counts, find: note('find'), end: note('end') } });
  await publisher.connect();
  for (let epoch = 1; epoch <= 3; epoch += 1) {
    putSecond(epoch);
    publisher.epochCommitted({ databaseEpoch: epoch, bars: RIG_SYMBOLS, letters: [] });
    expect(await publisher.drain(30_000)).toBe(0);
  }
  expect(asked).toEqual(['find engine.1 after 0', 'end engine.1 after 0', 'find engine.1 after 10', 'end engine.1 after 10']);
  expect(publisher.laneCounts()).toMatchObject(counts);
  assertEachOnce(barsOf(broker), 3);
  await publisher.close();
});

it('looks for those of earlier owners before they are fenced, and commits them before the markers are read', async () => {
  const broker = createScriptedBroker([]);
  const asked: string[] = [];
  const note = (what: string) => async (ids: readonly string[]) => {
    asked.push(`${what} ${ids.join()}`);
  };
  const hanging = { find: note('find'), end: note('end') };
  const previousTransactionalIds = ['engine.0'];
  await recoverPublication({ ...RIG_OPTIONS, ...broker, hanging, transactions: RIG_TRANSACTIONS, previousTransactionalIds, outbox: [] });
  expect(asked).toEqual(['find engine.0', 'find engine.1', 'end engine.1', 'end engine.0']);
});
