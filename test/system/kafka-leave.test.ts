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

  async function startMember(group: string, ...more: readonly string[]) {
    const [sessionMs = String(SESSION_MS), ...mode] = more;
    const args = [join(PROJECT_ROOT, 'dist/test/system/kafka-member.js'), opened.broker.brokers, TOPIC, group, sessionMs, ...mode];
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

  it('hears that it has been put out of its group also when it has not begun to read', async () => {
    const member = await startMember('put-out', '3000', 'opening');
    let said = '';
    member.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    member.kill('SIGSTOP');
    const group = { topic: TOPIC, group: 'put-out', engineId: '', sessionMs: 3000, clock: SYSTEM_CLOCK };
    const other = createKafkaReader({ ...opened.broker, ...group });
    try {
      await other.join();
      const hasAll = (): boolean => {
        other.pump();
        return other.assigned?.length === PARTITIONS;
      };
      await until('the other has the partitions', hasAll);
      await other.begin(new Map([0, 1].map((partition) => [partition, 0n])));
      member.kill('SIGCONT');
      await until('it has none any more', () => said.includes('has nothing'));
    } finally {
      member.kill('SIGKILL');
      await other.close();
    }
  });

  it('gets partitions of one that leaves when the group had none for it', async () => {
    const join = async () => {
      const group = { topic: TOPIC, group: 'more-than-partitions', engineId: '', sessionMs: SESSION_MS, clock: SYSTEM_CLOCK };
      const reader = createKafkaReader({ ...opened.broker, ...group });
      await reader.join();
      return reader;
    };
    /** As an engine does: what is wanted back is given back, and what is given out is read. */
    const serve = (reader: Awaited<ReturnType<typeof join>>): void => {
      reader.pump();
      if (reader.isRevoked) reader.end();
      const { assigned = [] } = reader;
      if (assigned.length === 0 || reader.partitions.length > 0 || beginning.has(reader)) return;
      beginning.add(reader);
      const offsets = new Map(assigned.map((partition) => [partition, 0n]));
      void reader
        .begin(offsets)
        .catch(() => undefined)
        .finally(() => beginning.delete(reader));
    };
    const beginning = new Set<unknown>();
    const readers = await Promise.all([join(), join(), join()]);
    const idle = () => readers.find((reader) => reader.assigned?.length === 0);
    const isShared = (): boolean => {
      for (const reader of readers) serve(reader);
      return idle() !== undefined && readers.filter((reader) => reader.partitions.length === 1).length === PARTITIONS;
    };
    await until('two have a partition each and one has none', isShared);
    const left = readers.splice(
      readers.findIndex((reader) => reader.partitions.length === 1),
      1,
    );
    try {
      await Promise.all(left.map((reader) => reader.close()));
      const hasBoth = (): boolean => {
        for (const reader of readers) serve(reader);
        return readers.every((reader) => reader.partitions.length === 1);
      };
      await until('each of those that stay has one', hasBoth);
    } finally {
      await Promise.all(readers.map((reader) => reader.close()));
    }
  });
});
