/** How members leave their group: real processes, since what holds up the end of one does not show within it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { createKafkaReader } from '../../engine/ingest/kafka-reader.ts';
import { ensureTopics } from '../../engine/sinks/kafka/topics.ts';
import { runningPid } from '../../infra/kafka/broker.ts';
import { until } from './kafka-harness.ts';
import { closeLocal, type Local, openLocal, whyNoLocal } from './kafka-local-broker.ts';

const TOPIC = 'ticks';
const PARTITIONS = 2;
/** Much longer than any of these tests may take: a member that times out fails them. */
const SESSION_MS = 45_000;
const LEAVE_MS = 10_000;
const reason = whyNoLocal();

describe.skipIf(reason !== undefined)(reason ?? 'a member that leaves', () => {
  let opened: Local;
  beforeAll(async () => {
    opened = await openLocal();
    const plan = { topic: TOPIC, partitions: PARTITIONS, replicationFactor: 1, retentionMs: 3_600_000, segmentBytes: 1_048_576 };
    await ensureTopics(opened.library, opened.broker.brokers, [plan]);
  });
  afterAll(async () => {
    if (opened) await closeLocal(opened.local);
  });

  async function startMember(group: string): Promise<ChildProcess> {
    const args = [join(PROJECT_ROOT, 'dist/test/system/kafka-member.js'), opened.broker.brokers, TOPIC, group, String(SESSION_MS)];
    const member = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(member.stdout, 'data');
    return member;
  }

  /** Its exit code; undefined when it had to be killed. */
  async function stop(member: ChildProcess): Promise<number | undefined> {
    member.kill('SIGTERM');
    const late = setTimeout(() => member.kill('SIGKILL'), LEAVE_MS);
    await once(member, 'exit');
    clearTimeout(late);
    return member.exitCode ?? undefined;
  }

  it('gives its partitions to the others at once', async () => {
    const member = await startMember('leaves');
    expect(await stop(member)).toBe(0);
    const reader = createKafkaReader({
      ...opened.broker,
      topic: TOPIC,
      group: 'leaves',
      engineId: '',
      sessionMs: SESSION_MS,
      clock: SYSTEM_CLOCK,
    });
    await reader.join();
    await until('the partitions are given out', () => {
      reader.pump();
      return reader.assigned?.length === PARTITIONS;
    });
    await reader.close();
  });

  it('ends while the broker owes it an answer', async () => {
    const member = await startMember('frozen');
    const broker = runningPid(opened.local);
    if (broker === undefined) throw new Error('no broker is running');
    process.kill(broker, 'SIGSTOP');
    try {
      expect(await stop(member)).toBe(0);
    } finally {
      process.kill(broker, 'SIGCONT');
    }
  });
});
