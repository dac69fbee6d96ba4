/**
 * A client may forget every broker that it knows and never find one again: so does librdkafka when a broker that has only just come back
 * answers with no brokers at all. A member that waits for partitions and whose client cannot ask its coordinator anything gets another
 * client, once that one has reached the brokers. While they are away nothing is gained by it, and nothing is done.
 */
import { SYSTEM_PAUSE } from '../core/clock.ts';
import type { ReaderContext, ReaderOptions } from './kafka-state.ts';

/** How long a member waits for partitions before its client is asked whether it still has brokers. */
const WAIT_MS = 15_000;
const ANSWER_TIMEOUT_MS = 5000;

export interface RescueParts {
  context(): ReaderContext;
  /**
   * Puts another client in the place of this one.
   * @throws EngineError KAFKA_UNREACHABLE, KAFKA_TOPIC_MISSING
   */
  tryAnother(): Promise<void>;
}

/** Call what this returns often; it returns at once. */
export function createRescue({ clock }: ReaderOptions, { context, tryAnother }: RescueParts): () => void {
  let waitingSinceMs: number | undefined;
  let isAsking = false;

  const ask = async (): Promise<void> => {
    if (await hasCoordinator(context())) return;
    try {
      await tryAnother();
    } catch {
      // The brokers are away for everybody, and health says so: asked again after a while.
    }
  };

  return () => {
    const { state } = context();
    if (state.isStopped || state.assigned !== undefined) {
      waitingSinceMs = undefined;
      return;
    }
    const nowMs = clock.wallMs();
    waitingSinceMs ??= nowMs;
    if (isAsking || nowMs - waitingSinceMs < WAIT_MS) return;
    isAsking = true;
    void ask().finally(() => {
      isAsking = false;
      waitingSinceMs = undefined;
    });
  };
}

/** False when the group's coordinator does not answer this client in time. */
async function hasCoordinator({ options, consumer }: ReaderContext): Promise<boolean> {
  const late = new AbortController();
  const answer = new Promise<boolean>((resolve) => {
    consumer.committed([{ topic: options.topic, partition: 0 }], ANSWER_TIMEOUT_MS, (error) => resolve(!error));
  }).catch(() => false);
  const silence = (options.pause ?? SYSTEM_PAUSE)(2 * ANSWER_TIMEOUT_MS, late.signal).then(
    () => false,
    () => false,
  );
  const isAnswered = await Promise.race([answer, silence]);
  late.abort();
  return isAnswered;
}
