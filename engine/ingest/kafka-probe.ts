/** Ends of partitions after a lost connection: they are not announced anew, so they are asked for until the brokers answer. */
import { messageOf } from '../core/errors.ts';
import { highOffsets } from './kafka-offsets.ts';
import type { ReaderContext } from './kafka-state.ts';

const PROBE_MS = 1000;

/** Call what this returns with what is wrong with the connection. */
export function createProbe({ options, state, consumer }: ReaderContext): (trouble: string) => void {
  let isProbing = false;
  const ask = async (): Promise<void> => {
    if (state.isStopped) return;
    try {
      for (const [partition, high] of await highOffsets(consumer, options.topic, state.assigned ?? [])) state.ends.set(partition, high);
      isProbing = false;
      if (!state.isStopped) state.trouble = '';
    } catch (error) {
      if (state.isStopped) return;
      state.trouble = messageOf(error);
      setTimeout(ask, PROBE_MS).unref();
    }
  };
  return (trouble) => {
    state.trouble = trouble;
    if (isProbing) return;
    isProbing = true;
    setTimeout(ask, PROBE_MS).unref();
  };
}
