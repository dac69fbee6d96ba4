/** The summary of the stage `ingest`: what the source offered, what Kafka acknowledged. */
import { formatCount, formatTable } from './text.ts';

export interface IngestCounts {
  readonly offered: number;
  /** Ticks given to the producer, and those that Kafka has acknowledged. */
  readonly accepted: number;
  readonly acknowledged: number;
  /** Ticks that no message can express, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface IngestSummary extends IngestCounts {
  readonly stage: string;
  readonly source: string;
  readonly topic: string;
  readonly reason: string;
  readonly elapsedSec: number;
  readonly messages: number;
  /** Messages that had to be sent again by another producer, and how often one was replaced. */
  readonly failedDeliveries: number;
  readonly replacedProducers: number;
  readonly isConserved: boolean;
}

/** Offered = acknowledged + refused: nothing is on its way and nothing was left out. */
export function isIngestConserved({ offered, accepted, acknowledged, refused }: IngestCounts): boolean {
  const refusedCount = Object.values(refused).reduce((sum, count) => sum + count, 0);
  return offered === accepted + refusedCount && accepted === acknowledged;
}

export function renderIngestSummary(summary: IngestSummary, title: string): string[] {
  const { offered, accepted, acknowledged, refused, topic, replacedProducers, failedDeliveries } = summary;
  const reasons = Object.entries(refused).filter(([, count]) => count > 0);
  const unknown = accepted - acknowledged;
  return [
    '',
    `Summary (${title}, ${summary.reason}, ${summary.elapsedSec.toFixed(1)} s)`,
    ...formatTable([
      ['  ticks offered', formatCount(offered)],
      [`  written to ${topic}`, formatCount(accepted)],
      ['  acknowledged by Kafka', formatCount(acknowledged)],
      ...reasons.map(([reason, count]) => [`  dropped: ${reason}`, formatCount(count)]),
      ...(reasons.length === 0 ? [['  dropped', '0']] : []),
      ['  messages', formatCount(summary.messages)],
    ]),
    `Conservation: ${summary.isConserved ? 'CONSERVED' : 'NOT CONSERVED'} (ticks offered against ticks acknowledged and dropped)`,
    ...(unknown > 0 ? [`note: ${formatCount(unknown)} ticks were NOT acknowledged: ${topic} may hold them or not`] : []),
    ...(replacedProducers > 0
      ? [`note: the producer was replaced ${replacedProducers} times, ${formatCount(failedDeliveries)} messages were sent again by another`]
      : []),
  ];
}
