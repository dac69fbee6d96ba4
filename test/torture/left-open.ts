/** Ends transactions that a broker left open although it counts them as committed, so that a fault of the broker's is not taken for one of the engine's. */
import { setTimeout as sleep } from 'node:timers/promises';
import { listTransactionsV1 } from '@platformatic/kafka';
import { EngineError } from '../../engine/core/errors.ts';
import { type Brokers, createBrokers } from '../../engine/kafka-direct/brokers.ts';
import {
  commitHanging,
  findHanging,
  HANGING_APIS,
  type HangingFound,
  type HangingOptions,
} from '../../engine/kafka-direct/hanging-transactions.ts';
import { metadataRequest } from '../../engine/kafka-direct/metadata.ts';

const TRIES = 60;
const REST_MS = 500;
const ANY_DURATION = -1n;

/** Asked when nobody publishes any more. @returns markers written */
export async function endLeftOpen(brokerList: string, topics: readonly string[]): Promise<number> {
  const brokers = createBrokers({ clientId: 'torture', brokers: brokerList, apis: HANGING_APIS });
  try {
    const { committed } = await findAtLast({ brokers, topics, transactionalIds: await idsOf(brokers) });
    let written = 0;
    for (const open of committed) written += (await commitHanging(brokers, open)) === 0 ? 1 : 0;
    return written;
  } finally {
    await brokers.close();
  }
}

/** Transactional ids that coordinators know. */
async function idsOf(brokers: Brokers): Promise<string[]> {
  const { brokers: addresses } = await brokers.askAny((connection) => connection.ask(metadataRequest([], false)));
  brokers.learn(addresses);
  const ids: string[] = [];
  for (const brokerId of addresses.keys()) {
    const connection = await brokers.connectionTo(brokerId);
    const { transactionStates } = await connection.call('ListTransactions', listTransactionsV1.api, [], [], ANY_DURATION);
    ids.push(...transactionStates.map(({ transactionalId }) => transactionalId));
  }
  return ids;
}

/** A commit is answered before its markers are written. */
async function findAtLast(options: HangingOptions): Promise<HangingFound> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await findHanging(options);
    } catch (error) {
      if (tries === TRIES || !(error instanceof EngineError) || !error.retryable) throw error;
      await sleep(REST_MS);
    }
  }
}
