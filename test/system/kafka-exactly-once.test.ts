/** On a real broker: whoever stops where, a reader of what is committed sees each bar once. */
import { beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { type CallDone, rdkafkaLane, type TransactionLane } from '../../engine/sinks/kafka/lane.ts';
import type { TransactionOptions } from '../../engine/sinks/kafka/marker.ts';
import { type BarPublisher, createBarPublisher } from '../../engine/sinks/kafka/publisher.ts';
import { recoverPublication } from '../../engine/sinks/kafka/recover.ts';
import { fenceTransactionalId } from '../../engine/sinks/kafka/transactor.ts';
import type { OutboxRow } from '../../engine/sinks/messages.ts';
import {
  type Broker,
  type CommittedBars,
  createCommittedBars,
  createTopic,
  identityOf,
  laneOf,
  NO_BROKER,
  openReal,
  REAL_BROKER,
  readCommitted,
  transactionsUnder,
  uniquePrefix,
  until,
} from './kafka-harness.ts';

const TIMEFRAMES = parseTimeframes('1s');
const START_SEC = 1_700_000_000;
const SYMBOLS = 10;
const FENCE_MS = 10_000;

/** A lane, with commits that call `around` instead of the broker; that decides whether and when `commit` happens. */
function withCommits(lane: TransactionLane, around: (commit: (done: CallDone) => void, done: CallDone) => void): TransactionLane {
  return {
    createMarkerClient: (group) => lane.createMarkerClient(group),
    createProducer(request) {
      const producer = lane.createProducer(request);
      const commitTransaction = producer.commitTransaction.bind(producer);
      producer.commitTransaction = (timeoutMs, done) => around((answer) => commitTransaction(timeoutMs, answer), done);
      return producer;
    },
  };
}

const died: Error & { code: number; isFatal: boolean } = Object.assign(new Error('the process died here'), { code: -150, isFatal: true });

const why = REAL_BROKER === undefined ? ` (${NO_BROKER})` : '';
describe.skipIf(REAL_BROKER === undefined).each(['librdkafka', 'direct'] as const)(`exactly once, lane %s${why}`, (laneName) => {
  let broker: Broker;
  let prefix = '';
  let bars: CommittedBars;
  let put = 0;
  beforeAll(async () => {
    broker = await openReal();
  });

  async function begin(name: string, ringCapacity = 1024): Promise<void> {
    prefix = uniquePrefix(name);
    for (const topic of ['ticks', 'bars.1s', 'dlq']) await createTopic(broker, `${prefix}${topic}`, 3);
    bars = createCommittedBars(ringCapacity, SYMBOLS);
    put = 0;
  }

  const ownLane = (): TransactionLane => laneOf(laneName, broker, { prefix, symbols: bars.symbols, timeframes: TIMEFRAMES });

  function open(token: number, change: Partial<TransactionOptions> = {}, lane = ownLane()): BarPublisher {
    const { buffer: committedRing, symbols } = bars;
    const transactions = transactionsUnder(prefix, token, change);
    const knobs = { timeframes: TIMEFRAMES, clock: SYSTEM_CLOCK, isLive: false, lingerMs: 0 };
    return createBarPublisher({ ...broker, lane, prefix, committedRing, symbols, transactions, ...knobs });
  }

  /** Puts bars that are not like any before. */
  function putBars(count: number): void {
    for (let index = 0; index < count; index += 1, put += 1) {
      bars.put({ symbolIndex: put % SYMBOLS, timeframeIndex: 0, tsStartSec: START_SEC + Math.floor(put / SYMBOLS) });
    }
  }

  /** Bars `from` to `to` of those put, as the outbox holds them. */
  function outboxRow(epoch: number, from: number, to: number): OutboxRow {
    const line = (index: number): string =>
      JSON.stringify({ symbol: `S${index % SYMBOLS}`, tf: '1s', ts: START_SEC + Math.floor(index / SYMBOLS), rev: 0 });
    const lines = Array.from({ length: to - from }, (_, index) => line(from + index)).join('\n');
    return { lane: 0, epoch, kind: 'bars', part: 0, lines };
  }

  async function recover(
    token: number,
    previous: number,
    outbox: OutboxRow[],
    change: Partial<TransactionOptions> = {},
    lane = rdkafkaLane(broker.library, broker.brokers),
  ) {
    return recoverPublication({
      ...broker,
      lane,
      prefix,
      clock: SYSTEM_CLOCK,
      transactions: transactionsUnder(prefix, token, change),
      previousTransactionalIds: [`${prefix}${previous}`],
      outbox,
    });
  }

  async function assertEachOnce(count: number): Promise<void> {
    const seen = (await readCommitted(broker, `${prefix}bars.1s`)).map(identityOf).sort();
    const expected = Array.from({ length: count }, (_, index) => `S${index % SYMBOLS} 1s ${START_SEC + Math.floor(index / SYMBOLS)} 0`);
    expect(seen).toEqual(expected.sort());
  }

  it('sends an aborted transaction again, of which readers see nothing', async () => {
    await begin('abort');
    const markerTopic = `${prefix}later`;
    const publisher = open(1, { markerTopic });
    await publisher.connect();
    putBars(200);
    publisher.epochCommitted({ databaseEpoch: 1, bars: 200, letters: [] });
    // There is no such topic to keep a marker: the brokers refuse it, and with it the transaction.
    await until('a transaction is lost', () => publisher.poll() >= 0 && publisher.counters().failed.size > 0);
    expect(publisher.health().isUp).toBe(false);
    await assertEachOnce(0);
    await createTopic(broker, markerTopic, 1);
    expect(await publisher.drain(60_000)).toBe(0);
    expect(publisher.totals().retried).toBeGreaterThanOrEqual(200);
    expect(publisher.health()).toMatchObject({ isUp: true, detail: 'publishing' });
    await publisher.close();
    await assertEachOnce(200);
  });

  it('opens another producer when its own is fenced while the lanes are its own, and goes on', async () => {
    await begin('replaced');
    let rounds = 0;
    const around = (commit: (done: CallDone) => void, done: CallDone): void => {
      rounds += 1;
      if (rounds % 2 === 0) commit(done);
      else
        fenceTransactionalId(broker, `${prefix}1`, FENCE_MS).then(
          () => commit(done),
          () => commit(done),
        );
    };
    const publisher = open(1, {}, withCommits(ownLane(), around));
    await publisher.connect();
    for (let epoch = 1; epoch <= 3; epoch += 1) {
      putBars(50);
      publisher.epochCommitted({ databaseEpoch: epoch, bars: 50, letters: [] });
      expect(await publisher.drain(30_000)).toBe(0);
    }
    expect(publisher.totals()).toMatchObject({ failed: 3, acked: 150 });
    await publisher.close();
    await assertEachOnce(150);
  });

  it('finds by the marker that a commit came through whose answer it never got', async () => {
    await begin('answer');
    let isLost = false;
    const around = (commit: (done: CallDone) => void, done: CallDone): void => {
      commit((error) => {
        const wasLost = isLost;
        isLost = true;
        done(wasLost ? error : died);
      });
    };
    const publisher = open(1, {}, withCommits(ownLane(), around));
    await publisher.connect();
    for (let epoch = 1; epoch <= 2; epoch += 1) {
      putBars(50);
      publisher.epochCommitted({ databaseEpoch: epoch, bars: 50, letters: [] });
      expect(await publisher.drain(30_000)).toBe(0);
    }
    expect(publisher.totals()).toMatchObject({ failed: 1, retried: 0, acked: 100 });
    await publisher.close();
    await assertEachOnce(100);
  });

  it('an engine that wakes after another took its lanes fails FENCED, and what it sent is not seen', async () => {
    await begin('zombie');
    let wake: () => void = () => undefined;
    const sleeping = withCommits(ownLane(), (commit, done) => {
      wake = () => commit(done);
    });
    let isOwner = true;
    const zombie = open(1, { isOwner: async () => isOwner }, sleeping);
    await zombie.connect();
    putBars(100);
    zombie.epochCommitted({ databaseEpoch: 1, bars: 100, letters: [] });
    let isAsleep = false;
    const original = wake;
    await until('it is about to commit', () => {
      zombie.poll();
      isAsleep = wake !== original;
      return isAsleep;
    });
    isOwner = false;
    expect(await recover(2, 1, [outboxRow(1, 0, 100)])).toEqual({ published: 100, markers: new Map([[0, 1]]) });
    wake();
    await zombie.drain(30_000);
    expect(zombie.failure()).toMatchObject({ code: 'FENCED' });
    await zombie.close();
    await assertEachOnce(100);
  });

  it('an engine that lost its lanes before it ever connected is told so', async () => {
    await begin('late');
    const publisher = open(1, { isOwner: async () => false });
    await expect(publisher.connect()).rejects.toMatchObject({ code: 'FENCED' });
    await publisher.close();
    await expect(recover(1, 0, [outboxRow(1, 0, 10)], { isOwner: async () => false })).rejects.toMatchObject({ code: 'FENCED' });
    await assertEachOnce(0);
  });

  it('after a crash between both commits publishes from the outbox, and after one behind both does not', async () => {
    await begin('crash');
    const publisher = open(1);
    await publisher.connect();
    putBars(60);
    publisher.epochCommitted({ databaseEpoch: 1, bars: 60, letters: [] });
    expect(await publisher.drain(30_000)).toBe(0);
    await publisher.close();
    const outbox = [outboxRow(1, 0, 60), outboxRow(2, 60, 100)];
    expect(await recover(2, 1, outbox)).toEqual({ published: 40, markers: new Map([[0, 2]]) });
    expect(await recover(3, 2, outbox)).toEqual({ published: 0, markers: new Map([[0, 2]]) });
    await assertEachOnce(100);
  });

  it.each(['before', 'after'] as const)('a recovery that dies %s its commit is made good by the next', async (moment) => {
    await begin(`recovery.${moment}`);
    const outbox = [outboxRow(1, 0, 60)];
    let isAlive = true;
    const dying = withCommits(rdkafkaLane(broker.library, broker.brokers), (commit, done) => {
      isAlive = false;
      if (moment === 'after') commit(() => done(died));
      else done(died);
    });
    await expect(recover(1, 0, outbox, { isOwner: async () => isAlive }, dying)).rejects.toMatchObject({ code: 'FENCED' });
    expect((await recover(2, 1, outbox)).published).toBe(moment === 'after' ? 0 : 60);
    await assertEachOnce(60);
  });

  it('publishes an epoch larger than its ring whole, and not before it is announced', async () => {
    await begin('large', 1024);
    const publisher = open(1);
    await publisher.connect();
    while (put < 20_000) {
      putBars(Math.min(bars.ring.free(), 20_000 - put));
      publisher.poll();
    }
    await assertEachOnce(0);
    publisher.epochCommitted({ databaseEpoch: 1, bars: 20_000, letters: [] });
    expect(await publisher.drain(60_000)).toBe(0);
    expect(publisher.totals()).toMatchObject({ transactions: 1, acked: 20_000 });
    await publisher.close();
    await assertEachOnce(20_000);
  });
});
