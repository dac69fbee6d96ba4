import { afterEach, describe, expect, it } from 'vitest';
import { SYSTEM_PAUSE } from '../core/clock.ts';
import { KAFKA_CODE } from './broker-errors.ts';
import { type Brokers, createBrokers } from './brokers.ts';
import { createCoordinators } from './coordinators.ts';
import { PRODUCE_APIS } from './produce-requests.ts';
import { coordinatorAnswer } from './scripted-cluster.ts';
import { startWireServer, type WireServer } from './wire-server.ts';

const { FindCoordinator } = PRODUCE_APIS;
const BROKER_ID = 7;

let server: WireServer;
let brokers: Brokers;
afterEach(async () => {
  await brokers.close();
  await server.close();
});

const timesAsked = (): number => server.calls.filter(({ apiKey }) => apiKey === FindCoordinator.key).length;

/** One broker, which answers who asks for a coordinator with these codes in turn, and with itself when there are none left. */
const setUp = async (codes: readonly number[]) => {
  server = await startWireServer([[FindCoordinator.key, 0, FindCoordinator.version]], () =>
    coordinatorAnswer(codes[timesAsked() - 1] ?? KAFKA_CODE.none, BROKER_ID, server.address),
  );
  const { host, port } = server.address;
  brokers = createBrokers({ clientId: 'test', brokers: `${host}:${port}`, apis: { FindCoordinator } });
  return createCoordinators({ brokers, pause: SYSTEM_PAUSE, look: async () => brokers.learn(new Map([[BROKER_ID, server.address]])) });
};
const ANSWER = { code: KAFKA_CODE.none, throttleMs: 0 };
const QUESTION = { kind: 'transaction', key: 'id', isSafeAgain: true, ask: async () => ANSWER } as const;

describe('who coordinates', () => {
  it('is asked again while brokers say that they will know', async () => {
    const coordinate = await setUp([KAFKA_CODE.coordinatorNotAvailable, KAFKA_CODE.coordinatorLoadInProgress]);
    await expect(coordinate(QUESTION)).resolves.toBe(ANSWER);
    expect(timesAsked()).toBe(3);
  });

  it.each([KAFKA_CODE.transactionalIdAuthorizationFailed, KAFKA_CODE.groupAuthorizationFailed, KAFKA_CODE.clusterAuthorizationFailed])(
    'is not asked again when brokers turn the client away with %i',
    async (code) => {
      const coordinate = await setUp([code]);
      await expect(coordinate(QUESTION)).rejects.toMatchObject({
        code: 'KAFKA_REFUSED',
        retryable: true,
        message: expect.stringContaining('coordinator of transaction id'),
      });
      expect(timesAsked()).toBe(1);
    },
  );
});
