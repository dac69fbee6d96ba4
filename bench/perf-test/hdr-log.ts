/** Histograms of a cell in the log format that HdrHistogram tools read: one interval, the measured stage, and again by worker with a tag; values in microseconds. */
import { decodeFromCompressedBase64, HistogramLogWriter } from 'hdr-histogram-js';

export interface LoggedHistogram {
  /** Compressed and in base 64. */
  readonly hdr: string;
  readonly cell: string;
  readonly stage: string;
  readonly startedAtMs: number;
  readonly durationSec: number;
  /** By worker, where workers measured the stage each for itself. */
  readonly workers?: Readonly<Record<string, { readonly hdr: string }>>;
}

/** The column of the maximum is in milliseconds, as readers of such logs expect. */
const US_PER_MAX_UNIT = 1000;

export function renderHdrLog(logged: LoggedHistogram): string {
  const lines: string[] = [];
  const writer = new HistogramLogWriter((text) => lines.push(text));
  const startedAt = new Date(logged.startedAtMs);
  writer.outputLogFormatVersion();
  writer.outputComment(`[${logged.cell}, ${logged.stage}: values in microseconds]`);
  // The base time is 0 and the times below count from it, so that readers neither guess nor add the start.
  writer.outputComment(`[StartTime: ${(logged.startedAtMs / 1000).toFixed(3)} (seconds since epoch), ${startedAt.toISOString()}]`);
  writer.outputLegend();
  const startSec = logged.startedAtMs / 1000;
  const write = (hdr: string, worker: string | undefined): void => {
    const histogram = decodeFromCompressedBase64(hdr);
    if (worker !== undefined) histogram.tag = worker;
    writer.outputIntervalHistogram(histogram, startSec, startSec + logged.durationSec, US_PER_MAX_UNIT);
  };
  write(logged.hdr, undefined);
  for (const [worker, { hdr }] of Object.entries(logged.workers ?? {})) write(hdr, worker);
  return lines.join('');
}
