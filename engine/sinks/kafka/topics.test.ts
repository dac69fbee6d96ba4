import { expect, it } from 'vitest';
import { loadConfig } from '../../../config/load.ts';
import { awaitTopic, clientTrouble } from './client.ts';
import { planTopics } from './topics.ts';

it("plans the contract's topics under the prefix, with the partitions and retention of the knobs", () => {
  const environment = { TOPIC_PREFIX: 'bench.', P_BARS: '3', RF: '2', BARS15M_RETENTION_MS: '1000' };
  const { config } = loadConfig({ environment });
  const plans = planTopics(config, ['1s', '1m', '3m', '5m', '15m', '60m', '1d']);
  const day = 86_400_000;
  expect(plans.map(({ topic, partitions, retentionMs }) => [topic, partitions, retentionMs])).toEqual([
    ['bench.ticks', 6, day],
    ['bench.bars.1s', 3, 7 * day],
    ['bench.bars.1m', 3, 30 * day],
    ['bench.bars.3m', 3, 60 * day],
    ['bench.bars.5m', 3, 90 * day],
    ['bench.bars.15m', 3, 1000],
    ['bench.bars.60m', 3, 1000],
    ['bench.bars.1d', 3, 1000],
    ['bench.dlq', 1, 30 * day],
  ]);
  for (const plan of plans) expect(plan).toMatchObject({ replicationFactor: 2, segmentBytes: 268_435_456 });
});

it('tells what a client event means, by its code or by its text alone', () => {
  const event = (code: number, message: string) => Object.assign(new Error(message), { code });
  expect(clientTrouble(event(-187, ''))).toBe('allDown');
  expect(clientTrouble(event(-1, 'all broker connections are down'))).toBe('allDown');
  expect(clientTrouble(event(-1, 'broker transport failure'))).toBe('transport');
  expect(clientTrouble(event(-150, ''))).toBe('fatal');
  expect(clientTrouble(event(-1, 'fatal error'))).toBe('fatal');
  expect(clientTrouble(event(-1, 'purged in queue'))).toBe('other');
});

/** Asked for a topic, it has it from the given time on. */
function asked(from: number): { answers: () => number; client: Parameters<typeof awaitTopic>[0] } {
  let count = 0;
  return {
    answers: () => count,
    client: {
      getMetadata({ topic = '' }, done) {
        count += 1;
        const partitions = count >= from ? [{ id: 0, leader: 1 }] : [];
        done(null, { brokers: [], topics: [{ name: topic, partitions }] });
      },
    },
  };
}

it('asks for a topic that was just made until brokers know of it, and not for ever', async () => {
  let waitedMs = 0;
  const pause = async (ms: number): Promise<void> => {
    waitedMs += ms;
  };
  const soon = asked(3);
  expect(await awaitTopic(soon.client, 'bars', { timeoutMs: 1000, pause })).toEqual({ name: 'bars', partitions: [{ id: 0, leader: 1 }] });
  expect([soon.answers(), waitedMs]).toEqual([3, 200]);
  const never = asked(Number.POSITIVE_INFINITY);
  expect(await awaitTopic(never.client, 'bars', { timeoutMs: 1000, pause })).toBeUndefined();
  expect(waitedMs).toBe(200 + 5000);
});
