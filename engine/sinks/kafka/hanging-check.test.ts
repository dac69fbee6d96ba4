/** What the check does where it cannot know; what it finds is tested on a real broker (test/system/kafka-hanging.test.ts). */
import { afterEach, expect, it } from 'vitest';
import { createManualClock } from '../../core/clock.ts';
import { HANGING_APIS } from '../../kafka-direct/hanging-transactions.ts';
import { startWireServer, type WireServer, wireBytes } from '../../kafka-direct/wire-server.ts';
import { createHangingCheck } from './hanging-check.ts';

const IDS = ['engine.1'];
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

/** Metadata of a topic with one partition that nobody leads. */
function leaderless({ address }: WireServer): Uint8Array {
  return wireBytes((writer) => {
    writer.int32(0);
    writer.compactCount(1);
    writer.int32(0);
    writer.compactString(address.host);
    writer.int32(address.port);
    writer.compactString(null);
    writer.noTags();
    writer.compactString('cluster');
    writer.int32(0);
    writer.compactCount(1);
    writer.int16(0);
    writer.compactString('bars.1s');
    writer.int8(0);
    writer.compactCount(1);
    writer.int16(0);
    for (const value of [0, -1, 7]) writer.int32(value);
    for (let lists = 0; lists < 3; lists += 1) writer.compactCount(0);
    writer.noTags();
    writer.int32(0);
    writer.noTags();
    writer.noTags();
  });
}

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
  const server: WireServer = await serve(versions, () => leaderless(server));
  const { check, said, clock } = setUp(addressOf(server));
  const startUs = clock.monotonicUs();
  await check.find(IDS);
  expect(clock.monotonicUs() - startUs).toBe(10_000_000);
  expect(said).toEqual([
    expect.stringContaining('not looked for: transactions left open: not known yet: topic bars.1s partition 0 has no leader'),
  ]);
});
