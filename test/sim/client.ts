/** What clients of the simulated broker share. */
import type { Consumer, RdkafkaError } from '../../engine/sinks/kafka/rdkafka.ts';
import type { Broker } from './broker.ts';
import type { Owner, Scheduler } from './scheduler.ts';

export interface Client {
  readonly scheduler: Scheduler;
  readonly broker: Broker;
  /** The process whose client it is. */
  readonly owner: Owner;
}

export type Trouble = 'full' | 'again' | 'abort' | 'fatal' | 'fenced' | 'down';

const CODES: Readonly<Record<Trouble, number>> = { full: -184, again: -185, abort: 47, fatal: -150, fenced: -144, down: -195 };

export function troubleOf(trouble: Trouble): RdkafkaError {
  return Object.assign(new Error(`simulated: ${trouble}`), {
    code: CODES[trouble],
    isFatal: trouble === 'fatal' || trouble === 'fenced',
    isRetriable: trouble === 'again',
    isTxnRequiresAbort: trouble === 'abort',
  });
}

/** The group of each consumer. */
export const groupNames = new WeakMap<Consumer, string>();
