/** How a member ends: it leaves its group, and its client goes. */
import { SYSTEM_PAUSE } from '../core/clock.ts';
import { disconnectConsumerWithin } from '../sinks/kafka/client.ts';
import { READ_WAIT_MS, type ReaderContext } from './kafka-state.ts';

const LEAVING_READS = 5;
/** A coordinator that has not answered a member on its way out for so many reads is not waited for. */
const ANSWER_READS = 100;
const ANSWER_TIMEOUT_MS = ANSWER_READS * READ_WAIT_MS;
const DISCONNECT_TIMEOUT_MS = 3000;

/**
 * Leaves the group, then disconnects. What the group asks comes with reads, and a client that closes with a question unanswered waits for
 * ever: so it reads for a moment between the two, and until its coordinator has answered a question of its own.
 *
 * Disconnecting waits for every answer that the coordinator owes. It cannot be called off, and it holds a thread of the pool, without which
 * no process ends. So a client whose coordinator is silent is not disconnected: the end of the process ends it, and its session times out.
 */
export async function leave({ consumer, options }: ReaderContext): Promise<void> {
  if (!consumer.isConnected()) return;
  consumer.unsubscribe();
  consumer.setDefaultConsumeTimeout(READ_WAIT_MS);
  let isAnswered: boolean | undefined;
  // Requests to a coordinator are answered in order: with this one, every commit before it.
  consumer.committed([{ topic: options.topic, partition: 0 }], ANSWER_TIMEOUT_MS, (error) => {
    isAnswered = !error;
  });
  for (let reads = 0; reads < LEAVING_READS || (isAnswered === undefined && reads < ANSWER_READS); reads += 1) {
    await new Promise<void>((resolve) => {
      consumer.consume(1, () => resolve());
    });
  }
  if (isAnswered) await disconnectConsumerWithin(consumer, DISCONNECT_TIMEOUT_MS, options.pause ?? SYSTEM_PAUSE);
}
