/** Knobs of the topics that a run creates. */
import type { Knob } from './knobs.ts';

export const DAY_MS = 86_400_000;

function retention<Name extends string>(name: Name, days: number, topic: string) {
  const doc = `retention.ms of ${topic}`;
  return { name, kind: 'integer', fallback: days * DAY_MS, min: 1, max: 3650 * DAY_MS, group: 'Topics', doc } as const;
}

export const TOPIC_KNOBS = [
  { name: 'P_TICKS', kind: 'integer', fallback: 6, min: 1, max: 1024, group: 'Topics', doc: 'partitions of ticks' },
  { name: 'P_BARS', kind: 'integer', fallback: 6, min: 1, max: 1024, group: 'Topics', doc: 'partitions of bars.*' },
  { name: 'P_DLQ', kind: 'integer', fallback: 1, min: 1, max: 1024, group: 'Topics', doc: 'partitions of dlq' },
  {
    name: 'P_ORDERS',
    kind: 'integer',
    fallback: 1,
    min: 1,
    max: 1,
    group: 'Topics',
    doc: 'partitions of orders: one, as it is the order of all',
  },
  { name: 'P_FILLS', kind: 'integer', fallback: 6, min: 1, max: 1024, group: 'Topics', doc: 'partitions of fills' },
  { name: 'RF', kind: 'integer', fallback: 1, min: 1, max: 9, group: 'Topics', doc: 'replication factor' },
  {
    name: 'SEGMENT_BYTES',
    kind: 'integer',
    fallback: 268435456,
    min: 1048576,
    max: 1073741824,
    group: 'Topics',
    doc: 'segment.bytes of every topic',
  },
  retention('TICKS_RETENTION_MS', 1, 'ticks'),
  retention('BARS1S_RETENTION_MS', 7, 'bars.1s'),
  retention('BARS1M_RETENTION_MS', 30, 'bars.1m'),
  retention('BARS3M_RETENTION_MS', 60, 'bars.3m'),
  retention('BARS5M_RETENTION_MS', 90, 'bars.5m'),
  retention('BARS15M_RETENTION_MS', 180, 'bars.15m and longer'),
  retention('DLQ_RETENTION_MS', 30, 'dlq'),
  retention('ORDERS_RETENTION_MS', 7, 'orders'),
  retention('FILLS_RETENTION_MS', 30, 'fills'),
] as const satisfies readonly Knob[];
