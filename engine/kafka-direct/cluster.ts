/** The brokers of a cluster as one topic sees them: who leads each of its partitions, and a connection to each of those. */
import { EngineError } from '../core/errors.ts';
import { type BrokerAddress, type BrokerConnection, type BrokerOptions, connectBroker, textOf } from './connection.ts';

export interface Leader {
  readonly nodeId: number;
  readonly epoch: number;
}

export interface ClusterOptions extends BrokerOptions {
  /** Brokers to ask first. */
  readonly bootstrap: readonly BrokerAddress[];
  readonly topic: string;
}

export interface Cluster {
  /** As last heard of; undefined where there is none now. */
  leaderOf(partition: number): Leader | undefined;
  readonly partitionCount: number;
  /**
   * Asks one of the brokers that are known who leads what.
   * @throws EngineError KAFKA_UNREACHABLE (retryable) when none answers, KAFKA_TOPIC_MISSING, KAFKA_REFUSED
   */
  refresh(): Promise<void>;
  /** @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_REFUSED, KAFKA_PROTOCOL */
  connectionTo(nodeId: number): Promise<BrokerConnection>;
  close(): Promise<void>;
}

/** Error codes of Kafka that the lane knows. */
export const KAFKA_ERROR = {
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
} as const;

export function createCluster(options: ClusterOptions): Cluster {
  const { topic } = options;
  const addresses = new Map<number, BrokerAddress>();
  const connections = new Map<string, Promise<BrokerConnection>>();
  let leaders = new Map<number, Leader>();
  let partitionCount = 0;
  let isClosed = false;

  /** The connection to an address: the one that is open or being made, or another. */
  const connectionAt = async (address: BrokerAddress): Promise<BrokerConnection> => {
    if (isClosed) throw new EngineError('KAFKA_UNREACHABLE', `broker ${textOf(address)}: this client is closed`, { retryable: true });
    const name = textOf(address);
    const known = connections.get(name);
    if (known) {
      const connection = await known;
      if (connection.isOpen) return connection;
      if (connections.get(name) === known) connections.delete(name);
      return connectionAt(address);
    }
    const made = connectBroker(address, options);
    connections.set(name, made);
    try {
      return await made;
    } catch (error) {
      connections.delete(name);
      throw error;
    }
  };

  const refreshFrom = async (address: BrokerAddress): Promise<void> => {
    const connection = await connectionAt(address);
    const { metadataV9 } = await import('@platformatic/kafka');
    const { brokers, topics } = await connection.call(`Metadata of ${topic}`, metadataV9.api, [topic], false);
    const entry = topics.find(({ name }) => name === topic);
    if (entry && entry.errorCode === KAFKA_ERROR.topicAuthorizationFailed) {
      throw new EngineError('KAFKA_REFUSED', `topic ${topic}: this client may not see it`);
    }
    if (!entry || entry.errorCode === KAFKA_ERROR.unknownTopicOrPartition || entry.partitions.length === 0) {
      throw new EngineError('KAFKA_TOPIC_MISSING', `topic ${topic}: broker ${textOf(address)} has no such topic`);
    }
    for (const { nodeId, host, port } of brokers) addresses.set(nodeId, { host, port });
    leaders = new Map(
      entry.partitions
        .filter(({ leaderId }) => leaderId >= 0)
        .map(({ partitionIndex, leaderId, leaderEpoch }) => [partitionIndex, { nodeId: leaderId, epoch: leaderEpoch }]),
    );
    partitionCount = entry.partitions.length;
  };

  return {
    leaderOf: (partition) => leaders.get(partition),
    get partitionCount() {
      return partitionCount;
    },
    async refresh() {
      let last: unknown;
      for (const address of distinct([...addresses.values(), ...options.bootstrap])) {
        try {
          await refreshFrom(address);
          return;
        } catch (error) {
          if (!(error instanceof EngineError) || error.code !== 'KAFKA_UNREACHABLE') throw error;
          last = error;
        }
      }
      throw last;
    },
    async connectionTo(nodeId) {
      const address = addresses.get(nodeId);
      if (!address) throw new EngineError('KAFKA_UNREACHABLE', `broker ${nodeId}: no address is known of it`, { retryable: true });
      return connectionAt(address);
    },
    async close() {
      isClosed = true;
      const open = await Promise.allSettled(connections.values());
      await Promise.all(open.map((made) => (made.status === 'fulfilled' ? made.value.close() : undefined)));
      connections.clear();
    },
  };
}

function distinct(list: readonly BrokerAddress[]): BrokerAddress[] {
  return [...new Map(list.map((address) => [textOf(address), address])).values()];
}
