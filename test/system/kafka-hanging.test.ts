/** Transactions that a broker holds open while their coordinator counts them as complete: found and committed, and no others. */
import { setTimeout as sleep } from 'node:timers/promises';
import { incrementalAlterConfigsV1 } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { type Brokers, createBrokers } from '../../engine/kafka-direct/brokers.ts';
import { commitHanging, findHanging, HANGING_APIS, stillOpen } from '../../engine/kafka-direct/hanging-transactions.ts';
import { LIST_OFFSETS, offsetsRequest } from '../../engine/kafka-direct/offsets-request.ts';
import {
  addPartitionsRequest,
  endTransactionRequest,
  findCoordinatorRequest,
  initProducerRequest,
  PRODUCE_APIS,
  produceRequest,
  type TransactionIdentity,
} from '../../engine/kafka-direct/produce-requests.ts';
import { createHangingCheck } from '../../engine/sinks/kafka/hanging-check.ts';
import { makeBatch, seal } from '../record-batches.ts';
import { deleteTopic } from './direct-topics.ts';
import { type Broker, createTopic, NO_BROKER, openReal, REAL_BROKER, uniquePrefix } from './kafka-harness.ts';

const TIMEOUT_MS = 60_000;
const BROKER_RESOURCE = 4;
const SET = 0;
const DELETE = 1;
const REST_MS = 5;
/** Bytes of a batch at which the epoch and the first sequence of its producer stand. */
const EPOCH_OFFSET = 51;
const SEQUENCE_OFFSET = 53;
const PARTITION = 1;

async function untilTrue(what: string, step: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + TIMEOUT_MS;
  while (!(await step())) {
    if (performance.now() > endMs) throw new Error(`${what}: not in ${TIMEOUT_MS} ms`);
    await sleep(REST_MS);
  }
}

const why = REAL_BROKER === undefined ? ` (${NO_BROKER})` : '';

describe.skipIf(REAL_BROKER === undefined)(`transactions that hang${why}`, () => {
  const prefix = uniquePrefix('hanging');
  const topic = `${prefix}bars`;
  let broker: Broker;
  let brokers: Brokers;

  beforeAll(async () => {
    broker = await openReal();
    brokers = createBrokers({ clientId: 'test', brokers: broker.brokers, apis: { ...HANGING_APIS, ...PRODUCE_APIS, LIST_OFFSETS } });
    await createTopic(broker, topic, 2);
  });
  afterAll(async () => {
    await deleteTopic(broker, topic);
    await brokers.close();
    await broker.close();
  });

  const ask: Brokers['askAny'] = (question) => brokers.askAny(question);
  const begin = async (name: string): Promise<TransactionIdentity> => {
    const transactionalId = `${prefix}${name}`;
    await untilTrue('it has a coordinator', async () => {
      return (await ask((connection) => connection.ask(findCoordinatorRequest(transactionalId, 'transaction')))).code === 0;
    });
    const identity = await init(transactionalId);
    await add(identity);
    return identity;
  };
  const init = async (transactionalId: string): Promise<TransactionIdentity> => {
    let identity: TransactionIdentity | undefined;
    await untilTrue('it is initialised', async () => {
      const { code, producerId, epoch } = await ask((connection) => connection.ask(initProducerRequest(transactionalId, TIMEOUT_MS)));
      if (code === 0) identity = { transactionalId, producerId, epoch };
      return identity !== undefined;
    });
    if (!identity) throw new Error('not initialised');
    return identity;
  };
  const add = async (identity: TransactionIdentity): Promise<void> => {
    await untilTrue('the partition is added', async () => {
      const places = new Map([[topic, [PARTITION]]]);
      return (await ask((connection) => connection.ask(addPartitionsRequest(identity, places)))).code === 0;
    });
  };
  const produce = async ({ transactionalId, producerId, epoch }: TransactionIdentity, sequence: number): Promise<number> => {
    const records = [{ offsetDelta: 0, value: Buffer.from(`${sequence}`) }];
    const bytes = makeBatch({ firstOffset: 0, records, isTransactional: true, producerId: Number(producerId) });
    bytes.writeInt16BE(epoch, EPOCH_OFFSET);
    bytes.writeInt32BE(sequence, SEQUENCE_OFFSET);
    const batch = { topic, partition: PARTITION, bytes: seal(bytes), recordCount: 1 };
    const answer = await ask((connection) => connection.ask(produceRequest(transactionalId, [batch], TIMEOUT_MS)));
    return answer.codeOf(topic, PARTITION);
  };
  const end = async (identity: TransactionIdentity, isCommitted: boolean): Promise<void> => {
    expect(await ask((connection) => connection.ask(endTransactionRequest(identity, isCommitted)))).toMatchObject({ code: 0 });
    await untilTrue('its marker is written', async () => (await hidden()) === 0);
  };
  /** Lets brokers take records of a transaction that nobody began, as those did that had lost count of it. */
  const setVerified = async (isVerified: boolean): Promise<void> => {
    const configs = [
      { name: 'transaction.partition.verification.enable', configOperation: isVerified ? DELETE : SET, value: isVerified ? null : 'false' },
    ];
    const resources = [{ resourceType: BROKER_RESOURCE, resourceName: '', configs }];
    await ask((connection) => connection.call('IncrementalAlterConfigs', incrementalAlterConfigsV1.api, resources, false));
  };
  /** Offsets behind the last stable one. */
  const hidden = async (): Promise<number> => {
    const endOf = async (isCommittedOnly: boolean): Promise<number> => {
      const listed = await ask((connection) => connection.ask(offsetsRequest({ topic, isCommittedOnly }, [PARTITION], 'latest')));
      return listed[0]?.offset ?? Number.NaN;
    };
    return (await endOf(false)) - (await endOf(true));
  };
  const find = (...transactionalIds: readonly string[]) => findHanging({ brokers, topics: [topic, `${prefix}missing`], transactionalIds });
  const makeCheck = () => {
    const said: string[] = [];
    const check = createHangingCheck({ brokers: broker.brokers, topics: [topic], clock: SYSTEM_CLOCK, say: (text) => said.push(text) });
    return { check, said };
  };
  const NONE = { committed: [], unknown: [] };

  /** A transaction that ended as told, and after it a record that belongs to none. */
  const leaveHanging = async (name: string, isCommitted: boolean): Promise<TransactionIdentity> => {
    const identity = await begin(name);
    expect(await produce(identity, 0)).toBe(0);
    await end(identity, isCommitted);
    await setVerified(false);
    try {
      await untilTrue('brokers take a record without a transaction', async () => (await produce(identity, 1)) === 0);
    } finally {
      await setVerified(true);
    }
    return identity;
  };

  it('are committed where their coordinator had committed them, and then there are none', async () => {
    const { transactionalId, producerId } = await leaveHanging('committed', true);
    expect(await hidden()).toBe(1);
    expect(await find(`${prefix}another`)).toEqual(NONE);
    const found = await find(`${prefix}another`, transactionalId);
    expect(found).toMatchObject({ committed: [{ transactionalId, producerId, topic, partition: PARTITION }], unknown: [] });
    // As a publisher does that begins anew; the coordinator then no longer knows how it ended.
    await init(transactionalId);
    expect(await find(transactionalId)).toMatchObject({ committed: [], unknown: [{ transactionalId }] });
    expect(await stillOpen(brokers, found.committed)).toEqual(found.committed);
    for (const open of found.committed) expect(await commitHanging(brokers, open)).toBe(0);
    expect(await hidden()).toBe(0);
    expect(await stillOpen(brokers, found.committed)).toEqual([]);
    expect(await find(transactionalId)).toEqual(NONE);
  });

  it('are left, and told of, where the latest was aborted, until the next transaction there ends them', async () => {
    const identity = await leaveHanging('aborted', false);
    const { transactionalId } = identity;
    expect(await find(transactionalId)).toMatchObject({ committed: [], unknown: [{ transactionalId }] });
    const { check, said } = makeCheck();
    await check.find([transactionalId]);
    expect(said).toEqual([]);
    await check.end([transactionalId]);
    expect(said).toEqual([expect.stringMatching(/do not know how it ended; readers of what is committed stand still there/)]);
    expect(check.counts).toEqual({ hangingEnded: 0, hangingLeft: 1 });
    expect(await hidden()).toBe(1);
    await add(identity);
    expect(await produce(identity, 2)).toBe(0);
    await end(identity, false);
    await check.end([transactionalId]);
    expect(said).toHaveLength(1);
    await check.close();
  });

  it('are not those that are under way', async () => {
    const identity = await begin('open');
    expect(await produce(identity, 0)).toBe(0);
    expect(await find(identity.transactionalId)).toEqual(NONE);
    expect(await hidden()).toBe(1);
    await end(identity, true);
  });

  it('are told by the check to people, once each, and counted', async () => {
    const { transactionalId } = await leaveHanging('checked', true);
    const { check, said } = makeCheck();
    await check.end([transactionalId]);
    expect(await hidden()).toBe(1);
    await check.find([transactionalId]);
    await init(transactionalId);
    // An attempt that failed meanwhile asks again; what was found stays known.
    await check.find([transactionalId]);
    await check.end([transactionalId]);
    await check.end([transactionalId]);
    expect(await hidden()).toBe(0);
    expect(said).toEqual([
      expect.stringMatching(
        /partition 1: brokers left a transaction of .*checked open at offset \d+ which they count as committed; its marker/,
      ),
    ]);
    expect(check.counts).toEqual({ hangingEnded: 1, hangingLeft: 0 });
    await check.close();
  });
});
