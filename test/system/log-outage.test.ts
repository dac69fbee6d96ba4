import { expect, it } from 'vitest';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { createTickLog } from '../../engine/ingest/tick-log.ts';
import { ensureTopics } from '../../engine/sinks/kafka/topics.ts';
import { startBroker, stopBroker } from '../../infra/kafka/broker.ts';
import { readCommitted, until } from './kafka-harness.ts';
import { closeLocal, openLocal, whyNoLocal } from './kafka-local-broker.ts';

it('a log whose broker goes away and comes back has every message once, in order, and says that it was away', async (context) => {
  const reason = whyNoLocal();
  if (reason !== undefined) return context.skip(reason);
  const { library, local, broker } = await openLocal();
  try {
    await ensureTopics(library, broker.brokers, [
      { topic: 'ticks', partitions: 2, replicationFactor: 1, retentionMs: 3_600_000, segmentBytes: 1_048_576 },
    ]);
    const log = createTickLog({ ...broker, topic: 'ticks', clock: SYSTEM_CLOCK, lingerMs: 0, ticksMax: 1000, onTrouble: () => undefined });
    await log.open();
    let sent = 0;
    /** One more message, if there is room for it. */
    const send = (): boolean => {
      log.poll();
      if (log.room() === 0) return false;
      log.send({ partition: sent % 2, key: 'A', value: Buffer.from(String(sent)), headers: undefined, tickCount: 1 });
      sent += 1;
      return true;
    };
    await until('the first messages', () => send() && sent >= 500);
    expect(await log.flush(10_000)).toBe(0);
    expect(log.health()).toMatchObject({ isUp: true });

    await stopBroker(local);
    await until('there is no room', () => !send());
    await until('health is red', () => !send() && !log.health().isUp);
    expect(log.unacknowledged).toBe(1000);

    await startBroker(local);
    const target = sent + 500;
    await until('it goes on', () => send() && sent >= target);
    expect(await log.flush(30_000)).toBe(0);
    expect(log.health()).toMatchObject({ isUp: true });
    await log.close();

    const messages = await readCommitted(broker, 'ticks');
    for (const partition of [0, 1]) {
      const values = messages.filter((message) => message.partition === partition).map(({ value }) => Number(String(value)));
      expect(values).toEqual(Array.from({ length: sent / 2 }, (_, index) => 2 * index + partition));
    }
  } finally {
    await closeLocal(local);
  }
});
