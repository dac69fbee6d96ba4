import { afterEach, describe, expect, it } from 'vitest';
import { type Brokers, createBrokers } from './brokers.ts';
import { METADATA } from './metadata.ts';
import { startWireServer, type WireServer } from './wire-server.ts';

const closing: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of closing.splice(0)) await one.close();
});

const start = async (): Promise<WireServer> => {
  const server = await startWireServer([[METADATA.key, 0, METADATA.version]], () => undefined);
  closing.push(server);
  return server;
};
const clientOf = ({ address }: WireServer): Brokers => {
  const brokers = createBrokers({ clientId: 'test', brokers: `${address.host}:${address.port}`, apis: { Metadata: METADATA } });
  closing.unshift(brokers);
  return brokers;
};

describe('the brokers of a cluster', () => {
  it('are those of the last answer that named any', async () => {
    const [first, second] = [await start(), await start()];
    const brokers = clientOf(first);
    brokers.learn(
      new Map([
        [1, first.address],
        [2, { host: '127.0.0.1', port: 1 }],
      ]),
    );
    brokers.learn(new Map([[3, second.address]]));
    brokers.learn(new Map());
    expect([1, 2, 3].map((brokerId) => brokers.knows(brokerId))).toEqual([false, false, true]);
    await expect(brokers.connectionTo(2)).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE', retryable: true });
    await expect(brokers.connectionTo(3)).resolves.toMatchObject({ isOpen: true });
  });

  it('are asked in turn, those that were given as well as those that were learned', async () => {
    const [first, second] = [await start(), await start()];
    const brokers = clientOf(first);
    brokers.learn(new Map([[3, second.address]]));
    const asked = new Set<unknown>();
    for (let turn = 0; turn < 4; turn += 1) asked.add(await brokers.askAny((connection) => Promise.resolve(connection)));
    expect(asked.size).toBe(2);
  });
});
