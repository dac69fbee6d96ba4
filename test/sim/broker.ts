/**
 * What Kafka is to the engine, in memory: partitions of messages that belong to transactions, producers known by their transactional id and
 * fenced by its epoch, and offsets of groups that move with a transaction.
 */
import type { Scheduler } from './scheduler.ts';
import { createServer, type Server } from './server.ts';
import { SimFault } from './store.ts';

export interface BrokerMessage {
  readonly topic: string;
  readonly key: string;
  readonly value: string;
}

interface LogEntry extends BrokerMessage {
  readonly transaction: BrokerTransaction;
}

export interface BrokerTransaction {
  readonly id: string;
  state: 'open' | 'committed' | 'aborted';
  readonly messages: BrokerMessage[];
  /** By `<group> <topic> <partition>`. */
  readonly offsets: Map<string, number>;
  readonly sinceMs: number;
}

interface ProducerState {
  epoch: number;
  open: BrokerTransaction | undefined;
  /** How the last one ended. */
  last: BrokerTransaction['state'];
}

/** What the coordinator answers. */
export type Verdict = 'done' | 'fenced' | 'invalid';

export interface Broker {
  readonly server: Server;
  readonly groupOffsets: Map<string, number>;
  fault: SimFault | undefined;
  /** Takes an id over: what is open under it is aborted, whoever had it is fenced. Returns the new epoch. */
  initialise(id: string): number;
  append(id: string, epoch: number, message: BrokerMessage): Verdict;
  addOffsets(id: string, epoch: number, offsets: ReadonlyMap<string, number>): Verdict;
  end(id: string, epoch: number, isCommit: boolean): Verdict;
  /** True while a transaction that is open is moving one of them. */
  isPending(keys: readonly string[]): boolean;
  /** Ends transactions that have been open for so long, and fences who left them open. */
  expire(ageMs: number): void;
  /** What a reader of committed messages sees, topic by topic, in the order of the log. */
  committed(): readonly BrokerMessage[];
  readonly openTransactions: number;
}

export interface BrokerBugs {
  /** Offsets are committed by themselves and not with the transaction. */
  readonly markersApart: boolean;
}

export interface BrokerWatch {
  /** Told of every message that becomes visible. @throws SimFault */
  onCommitted(message: BrokerMessage): void;
}

export function createBroker(scheduler: Scheduler, watch: BrokerWatch, bugs: BrokerBugs): Broker {
  const producers = new Map<string, ProducerState>();
  const log: LogEntry[] = [];
  const groupOffsets = new Map<string, number>();

  const stateOf = (id: string): ProducerState => {
    const state = producers.get(id) ?? { epoch: 0, open: undefined, last: 'aborted' as const };
    producers.set(id, state);
    return state;
  };
  const opened = (id: string, state: ProducerState): BrokerTransaction => {
    state.open ??= { id, state: 'open', messages: [], offsets: new Map(), sinceMs: scheduler.clock.wallMs() };
    return state.open;
  };
  const moveOffsets = (offsets: ReadonlyMap<string, number>): void => {
    for (const [key, offset] of offsets) {
      const before = groupOffsets.get(key) ?? -1;
      if (offset < before) throw new SimFault(`marker ${key} goes back from ${before} to ${offset}`);
      groupOffsets.set(key, offset);
    }
  };
  const finish = (state: ProducerState, outcome: 'committed' | 'aborted'): void => {
    const transaction = state.open;
    state.open = undefined;
    state.last = outcome;
    if (transaction === undefined) return;
    transaction.state = outcome;
    if (outcome === 'aborted') return;
    const { messages, offsets } = transaction;
    if (messages.length > 0 && offsets.size === 0 && !bugs.markersApart) {
      throw new SimFault(`${transaction.id}: ${messages.length} messages committed without a marker`);
    }
    moveOffsets(offsets);
    for (const message of messages) watch.onCommitted(message);
  };
  const guard = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      if (error instanceof SimFault) broker.fault ??= error;
      throw error;
    }
  };

  const broker: Broker = {
    server: createServer(scheduler, 'kafka'),
    groupOffsets,
    fault: undefined,
    initialise(id) {
      const state = stateOf(id);
      finish(state, 'aborted');
      state.epoch += 1;
      return state.epoch;
    },
    append(id, epoch, message) {
      const state = stateOf(id);
      if (state.epoch !== epoch) return 'fenced';
      const transaction = opened(id, state);
      transaction.messages.push(message);
      log.push({ ...message, transaction });
      return 'done';
    },
    addOffsets(id, epoch, offsets) {
      const state = stateOf(id);
      if (state.epoch !== epoch) return 'fenced';
      const transaction = opened(id, state);
      if (bugs.markersApart) guard(() => moveOffsets(offsets));
      else for (const [key, offset] of offsets) transaction.offsets.set(key, offset);
      return 'done';
    },
    end(id, epoch, isCommit) {
      const state = stateOf(id);
      if (state.epoch !== epoch) return 'fenced';
      const outcome = isCommit ? 'committed' : 'aborted';
      // Asked again for what was done already, the coordinator says so.
      if (state.open === undefined) return state.last === outcome ? 'done' : 'invalid';
      guard(() => finish(state, outcome));
      return 'done';
    },
    isPending: (keys) => [...producers.values()].some(({ open }) => keys.some((key) => open?.offsets.has(key))),
    expire(ageMs) {
      const nowMs = scheduler.clock.wallMs();
      for (const state of producers.values()) {
        if (state.open === undefined || nowMs - state.open.sinceMs < ageMs) continue;
        finish(state, 'aborted');
        state.epoch += 1;
      }
    },
    committed: () => log.filter(({ transaction }) => transaction.state === 'committed'),
    get openTransactions() {
      return [...producers.values()].filter(({ open }) => open !== undefined).length;
    },
  };
  return broker;
}
