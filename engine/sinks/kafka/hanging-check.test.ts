/** What the check does where it cannot know; what it finds is tested on a real broker (test/system/kafka-hanging.test.ts). */
import { afterEach, expect, it } from 'vitest';
import { metadata } from '../../../test/fetch-script.ts';
import { createManualClock } from '../../core/clock.ts';
import { HANGING_APIS } from '../../kafka-direct/hanging-transactions.ts';
import { startWireServer, type WireServer } from '../../kafka-direct/wire-server.ts';
import { createHangingCheck } from './hanging-check.ts';

const IDS = ['engine.1'];
/** Leader of a partition that has none. */
const NOBODY = -1;
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function setUp(brokers: string) {
  const clock = createManualClock(1_000_000);
  const said: string[] = [];
  const pause = async (ms: number): Promise<void> => clock.advanceMs(ms);
  const check = createHangingCheck({ brokers, topics: ['bars.1s'], clock, pause, say: (text) => said.push(text) });
  closing.push(() => check.close());
  return { check, said, clock };
}

async function serve(versions: readonly (readonly [number, number, number])[], answer: () => Uint8Array | undefined): Promise<WireServer> {
  const server = await startWireServer(versions, answer);
  closing.push(() => server.close());
  return server;
}

const addressOf = ({ address }: WireServer): string => `${address.host}:${address.port}`;

it('does not look where brokers lack what it takes, and says so once', async () => {
  const server = await serve([[HANGING_APIS.Metadata.key, 0, 12]], () => undefined);
  const { check, said } = setUp(addressOf(server));
  await check.find(IDS);
  await check.find(IDS);
  await check.end(IDS);
  expect(said).toEqual([expect.stringMatching(/are not looked for: broker .*: DescribeProducers version 0, it has none/)]);
});

it('fails in a way that passes where nobody answers: who opens a publisher then comes again', async () => {
  const server = await serve([], () => undefined);
  const address = addressOf(server);
  await server.close();
  const { check, said } = setUp(address);
  await expect(check.find(IDS)).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE', retryable: true });
  await check.end(IDS);
  expect(said).toEqual([]);
});

it('waits 10 s for brokers that do not know yet, then goes on and says so', async () => {
  const versions = Object.values(HANGING_APIS).map(({ key, version }) => [key, 0, version] as const);
  const server: WireServer = await serve(versions, () => metadata([server], { leaders: [NOBODY] }));
  const { check, said, clock } = setUp(addressOf(server));
  const startUs = clock.monotonicUs();
  await check.find(IDS);
  expect(clock.monotonicUs() - startUs).toBe(10_000_000);
  expect(said).toEqual([
    expect.stringContaining('not looked for: transactions left open: not known yet: topic ticks partition 0 has no leader'),
  ]);
});
