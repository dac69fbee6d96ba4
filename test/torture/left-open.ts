/** Ends transactions that a broker left open although it counts them as complete, so that a fault of the broker's is not taken for one of the engine's. */
import { createBrokers } from '../../engine/kafka-direct/brokers.ts';
import { endHangingTransactions, HANGING_APIS } from '../../engine/kafka-direct/hanging-transactions.ts';

/** Asked when nobody publishes any more. @returns markers written */
export async function endLeftOpen(brokerList: string, topics: readonly string[]): Promise<number> {
  const brokers = createBrokers({ clientId: 'torture', brokers: brokerList, apis: HANGING_APIS });
  try {
    const ended = await endHangingTransactions({ brokers, topics, isOurs: () => true });
    return ended.filter(({ code }) => code === 0).length;
  } finally {
    await brokers.close();
  }
}
