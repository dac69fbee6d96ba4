/** The brokers of a cluster: where each is, and one connection to each that is asked for; one that ended is made again when it is next wanted. */
import type { KafkaAccess } from '../../config/kafka-access.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { assertApi, type BrokerAddress, type BrokerConnection, connectBroker, parseBrokers, textOf } from './connection.ts';

/** No answer for this long, and the connection is given up. */
const ANSWER_TIMEOUT_MS = 10_000;

/** The brokers of the access are those to ask first. */
export interface BrokersOptions extends KafkaAccess {
  readonly clientId: string;
  /** APIs that every broker must have, by name. */
  readonly apis: Readonly<Record<string, { readonly key: number; readonly version: number }>>;
  /** How long connecting may take, and each answer, ms; 10 s unless given. */
  readonly timeoutMs?: number;
}

export interface Brokers {
  /** Takes the addresses of all brokers; whoever is not among them any more is forgotten. An answer that names nobody changes nothing. */
  learn(addresses: ReadonlyMap<number, BrokerAddress>): void;
  knows(brokerId: number): boolean;
  /** Made or waiting. @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_API_MISSING, KAFKA_REFUSED, KAFKA_PROTOCOL, KAFKA_CLOSED */
  connectionTo(brokerId: number): Promise<BrokerConnection>;
  /**
   * Asks any broker that answers, each in turn: those that were learned, then those that were given.
   * @throws as `connectionTo`; what one refuses only where none is merely away
   */
  askAny<Answer>(question: (broker: BrokerConnection) => Promise<Answer>): Promise<Answer>;
  /** What the latest failed attempt met; for health. */
  trouble: string;
  /** Aborted when this client closes. */
  readonly closing: AbortSignal;
  /** @throws EngineError KAFKA_CLOSED */
  throwIfClosing(): void;
  close(): Promise<void>;
}

export function createBrokers(options: BrokersOptions): Brokers {
  const bootstrap = parseBrokers(options.brokers);
  let addresses: ReadonlyMap<number, BrokerAddress> = new Map();
  const connections = new Map<string, Promise<BrokerConnection>>();
  const closing = new AbortController();
  let turn = 0;

  const connect = async (address: BrokerAddress): Promise<BrokerConnection> => {
    const { clientId, timeoutMs = ANSWER_TIMEOUT_MS, security = {} } = options;
    const broker = await connectBroker(address, { clientId, timeoutMs, security });
    try {
      for (const [name, api] of Object.entries(options.apis)) assertApi(broker, api, name);
    } catch (error) {
      await broker.close();
      throw error;
    }
    return broker;
  };
  /** The connection to an address, as long as it is open; then another one. */
  const connectionAt = async (address: BrokerAddress): Promise<BrokerConnection> => {
    self.throwIfClosing();
    const key = textOf(address);
    const made = connections.get(key);
    if (made) {
      // Who waits for an attempt has its failure, too.
      const broker = await made;
      if (broker.isOpen) return broker;
      if (connections.get(key) === made) connections.delete(key);
      return connectionAt(address);
    }
    const next = connect(address);
    connections.set(key, next);
    try {
      return await next;
    } catch (error) {
      if (connections.get(key) === next) connections.delete(key);
      throw error;
    }
  };

  const self: Brokers = {
    learn(learned) {
      if (learned.size > 0) addresses = learned;
    },
    knows: (brokerId) => addresses.has(brokerId),
    async connectionTo(brokerId) {
      const address = addresses.get(brokerId);
      if (!address) throw new EngineError('KAFKA_UNREACHABLE', `broker ${brokerId}: no address is known of it`, { retryable: true });
      return connectionAt(address);
    },
    async askAny(question) {
      const candidates = [...new Map([...addresses.values(), ...bootstrap].map((address) => [textOf(address), address])).values()];
      turn += 1;
      let away: unknown;
      let refusal: unknown;
      for (let index = 0; index < candidates.length; index += 1) {
        self.throwIfClosing();
        try {
          return await question(await connectionAt(candidates[(turn + index) % candidates.length]!));
        } catch (error) {
          // One that turns this client away, or that it does not understand, is not all of them.
          if (error instanceof EngineError && !error.retryable) refusal ??= error;
          else away = error;
          self.trouble = messageOf(error);
        }
      }
      throw away ?? refusal;
    },
    trouble: '',
    closing: closing.signal,
    throwIfClosing() {
      if (closing.signal.aborted) throw new EngineError('KAFKA_CLOSED', `brokers ${options.brokers}: this client is closed`);
    },
    async close() {
      closing.abort();
      const open = [...connections.values()];
      connections.clear();
      await Promise.all(open.map((connection) => connection.then((made) => made.close()).catch(() => undefined)));
    },
  };
  return self;
}
