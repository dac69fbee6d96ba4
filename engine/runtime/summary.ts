/** The summary of a run: what came in, what came out, whether it is conserved, how long each stage took. */
import type { LatencySummary } from '../core/latency.ts';
import type { ConservationLine } from '../monitor/conservation.ts';
import { formatCount, formatMicros, formatTable } from './text.ts';

export interface Summary {
  readonly source: string;
  /** What is counted as offered and accepted; of bars, a later revision counts too. */
  readonly input: 'ticks' | 'bars';
  readonly run: number;
  readonly reason: string;
  readonly elapsedSec: number;
  readonly offered: number;
  readonly accepted: number;
  /** Ticks refused before the rings, by reason. */
  readonly refused: Readonly<Record<string, number>>;
  readonly lateTicks: number;
  readonly bars: readonly { readonly timeframe: string; readonly final: number; readonly amended: number; readonly open: number }[];
  readonly published: number;
  readonly conservation: readonly ConservationLine[];
  readonly isConserved: boolean;
  /** By stage. */
  readonly latency: Readonly<Record<string, LatencySummary>>;
  /** Seconds of processor time of the whole process, and its resident size at the end. */
  readonly cpuSec: number;
  readonly residentBytes: number;
  readonly notes: readonly string[];
}

const STAGE_TITLES: Readonly<Record<string, string>> = {
  tickToBar: 'tick to bar (ingest to merged)',
  flush: 'flush (one transaction)',
  barToCommit: 'bar end to commit',
  barToAck: 'bar end to Kafka ack',
  mainPause: 'main standing still, in a second',
};

const CONSERVATION_OF = { ticks: 'ticks counted before the rings', bars: 'trades of the bars that were read' } as const;

/** True when everything the source offered is accounted for. */
export function isAccounted(summary: Pick<Summary, 'offered' | 'accepted' | 'refused'>): boolean {
  const refused = Object.values(summary.refused).reduce((sum, count) => sum + count, 0);
  return summary.offered === summary.accepted + refused;
}

export function renderSummary(summary: Summary): string[] {
  const lines = ['', `Summary of run ${summary.run} (${summary.source}, ${summary.reason}, ${summary.elapsedSec.toFixed(1)} s)`];
  const refused = Object.entries(summary.refused).filter(([, count]) => count > 0);
  lines.push(
    ...formatTable([
      [`  ${summary.input} offered`, formatCount(summary.offered)],
      ['  accepted', formatCount(summary.accepted)],
      ...refused.map(([reason, count]) => [`  dropped: ${reason}`, formatCount(count)]),
      ...(refused.length === 0 ? [['  dropped', '0']] : []),
      ['  late, merged by their own bucket rules', formatCount(summary.lateTicks)],
      ['  bars published to Kafka', formatCount(summary.published)],
    ]),
  );
  if (!isAccounted(summary)) lines.push('  NOT ACCOUNTED FOR: offered differs from accepted plus dropped');
  lines.push('', ...barTable(summary), '');
  const verdict = summary.isConserved ? 'CONSERVED' : 'NOT CONSERVED';
  lines.push(`Conservation: ${verdict} (${CONSERVATION_OF[summary.input]} against bars read back from Postgres)`);
  for (const line of summary.conservation) if (!line.isConserved) lines.push(`  ${line.timeframe}: ${differenceOf(line)}`);
  lines.push('', ...latencyTable(summary), ...summary.notes.map((note) => `note: ${note}`));
  return lines;
}

function barTable(summary: Summary): string[] {
  const rows = summary.bars.map((row, index) => {
    const sums = summary.conservation[index];
    return [
      `  ${row.timeframe}`,
      formatCount(row.final),
      formatCount(row.amended),
      formatCount(row.open),
      sums ? formatCount(sums.found.volumeLots) : '-',
      sums ? formatCount(sums.found.tradeCount + sums.found.quoteCount) : '-',
    ];
  });
  return formatTable([['  bars', 'final', 'amendments', 'left open', 'sum of volume (lots)', 'sum of ticks'], ...rows]);
}

function differenceOf({ expected, found }: ConservationLine): string {
  return [
    `volume ${found.volumeLots}, expected ${expected.volumeLots}`,
    `trades ${found.tradeCount}, expected ${expected.tradeCount}`,
    `quotes ${found.quoteCount}, expected ${expected.quoteCount}`,
  ].join('; ');
}

function latencyTable(summary: Summary): string[] {
  const stages = Object.entries(summary.latency).filter(([, latency]) => latency.count > 0);
  if (stages.length === 0) return [];
  return formatTable([
    ['  latency', 'p50', 'p90', 'p99', 'p99.9', 'max', 'count'],
    ...stages.map(([stage, latency]) => [
      `  ${STAGE_TITLES[stage] ?? stage}`,
      ...[latency.p50Us, latency.p90Us, latency.p99Us, latency.p999Us, latency.maxUs].map(formatMicros),
      formatCount(latency.count),
    ]),
  ]);
}

/** A form that JSON can hold: big integers as decimal text. */
export function summaryToJson(summary: Summary): string {
  return JSON.stringify(summary, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value), 2);
}
