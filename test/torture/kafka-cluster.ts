/** Three real brokers in one cluster of the driver's own: each is a controller too, so that any one of them may be killed. */
import { join } from 'node:path';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import { freePort } from '../../engine/sinks/postgres/embedded-process.ts';
import { createClusterId } from '../../infra/kafka/broker.ts';
import { brokerOf, libsFolder, type OwnBroker, type OwnKafka } from './kafka-server.ts';

// Below those of a single broker, and so below the ports that systems give to outgoing connections.
const FIRST_PORT = 20_800;
const PORTS_OF_A_RUN = 8;
/** They are started again and again on a machine that they share: a quick start is worth more than quick code. */
const JAVA_OPTIONS = ['-Xms128m', '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** With two copies acknowledged, one broker may be away, and nothing that was acknowledged is missing on the one that leads then. */
const SETTINGS = {
  'default.replication.factor': 3,
  'min.insync.replicas': 2,
  'unclean.leader.election.enable': false,
  'offsets.topic.replication.factor': 3,
  'transaction.state.log.replication.factor': 3,
  'transaction.state.log.min.isr': 2,
  'share.coordinator.state.topic.replication.factor': 3,
  'share.coordinator.state.topic.min.isr': 2,
  // A copy that stands still holds up what is acknowledged for so long, not for half a minute.
  'replica.lag.time.max.ms': 5000,
  // Leaders move when the plan says so, and when theirs is gone.
  'auto.leader.rebalance.enable': false,
} as const;

/**
 * Starts brokers with the ids 1, 2, 3.
 * @throws those of `startBroker`
 */
export async function createKafkaCluster(folder: string, say: (text: string) => void, count: number): Promise<OwnKafka> {
  const library = await requireRdkafka();
  const clusterId = createClusterId();
  const ports: number[] = [];
  for (let first = FIRST_PORT + PORTS_OF_A_RUN * (process.pid % 70); ports.length < count; first = ports.at(-1)! + 2) {
    // The next port is the controller's.
    ports.push(await freePort(first));
  }
  const voters = ports.map((port, index) => `${index + 1}@127.0.0.1:${port + 1}`).join(',');
  const nodes = ports.map((port, index): OwnBroker => {
    const settings = { 'node.id': index + 1, 'controller.quorum.voters': voters, ...SETTINGS };
    const texts = Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]));
    const member = { clusterId, settings: texts, javaOptions: JAVA_OPTIONS };
    return brokerOf({ port, folder: join(folder, String(index + 1)), libs: libsFolder(), member, say });
  });
  // One alone waits for a second before it is ready.
  const all = async (act: (node: OwnBroker) => Promise<void>): Promise<void> => {
    await Promise.all(nodes.map(act));
  };
  const each = (act: (node: OwnBroker) => void): void => {
    for (const node of nodes) act(node);
  };
  const kafka: OwnKafka = {
    library,
    brokers: nodes.map(({ address }) => address).join(','),
    nodes,
    replication: count,
    pid: () => nodes[0]?.pid(),
    kill: () => all((node) => node.kill()),
    start: () => all((node) => node.start()),
    freeze: () => each((node) => node.freeze()),
    thaw: () => each((node) => node.thaw()),
    // Told to stop, the last ones would wait for a majority of controllers that is gone.
    stop: () => all((node) => node.kill()),
    killNow: () => each((node) => node.killNow()),
  };
  try {
    await kafka.start();
  } catch (error) {
    kafka.killNow();
    throw error;
  }
  return kafka;
}
