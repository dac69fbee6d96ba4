/** Ends transactions that a broker left open although it counts them as committed, so that a fault of the broker's is not taken for one of the engine's. */
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../../engine/core/errors.ts';
import { createBrokers } from '../../engine/kafka-direct/brokers.ts';
import {
  commitHanging,
  findHanging,
  HANGING_APIS,
  type HangingFound,
  type HangingOptions,
} from '../../engine/kafka-direct/hanging-transactions.ts';

const TRIES = 60;
const REST_MS = 500;

/** Asked when nobody publishes any more. @returns markers written */
export async function endLeftOpen(brokerList: string, topics: readonly string[]): Promise<number> {
  const brokers = createBrokers({ clientId: 'torture', brokers: brokerList, apis: HANGING_APIS });
  try {
    const { committed } = await findAtLast({ brokers, topics, isOurs: () => true });
    const codes = await commitHanging(brokers, committed);
    return [...codes.values()].filter((code) => code === 0).length;
  } finally {
    await brokers.close();
  }
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
