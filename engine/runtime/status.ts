/** What is shown while the engine runs: one live line on a terminal, plain lines elsewhere. */
import type { WriteStream } from 'node:tty';
import { createLogUpdate } from 'log-update';
import { formatCount, formatMicros, formatRate } from './text.ts';

export interface StatusSample {
  readonly atMs: number;
  /** What a single stage reads and writes. */
  readonly flow?: string | undefined;
  /** What is counted as offered; ticks unless given. */
  readonly inputUnit?: string;
  readonly offered: number;
  readonly refused: number;
  /** Final bars so far, by timeframe. */
  readonly bars: readonly { readonly timeframe: string; readonly count: number }[];
  /** Slots in use by shard. */
  readonly ringDepths: readonly number[];
  /** Undefined where no ticks are merged. */
  readonly tickToBarP99Us: number | undefined;
  readonly openEpochs: number;
  readonly phase: string;
  /** Things that are wrong now. */
  readonly alarms: readonly string[];
}

export interface StatusDisplay {
  show(sample: StatusSample): void;
  /** Prints lines that stay. */
  print(lines: readonly string[]): void;
  close(): void;
}

/** Rates of the live line are over this long: bars close once a second, so a shorter look would flicker. */
const LIVE_WINDOW_MS = 3000;

export function renderStatus(sample: StatusSample, previous: StatusSample): string {
  const seconds = Math.max((sample.atMs - previous.atMs) / 1000, 0.001);
  const rate = (now: number, before: number): string => formatRate(Math.max(0, now - before) / seconds);
  const bars = sample.bars.map((bar, index) => `${bar.timeframe} ${rate(bar.count, previous.bars[index]?.count ?? 0)}`);
  const parts = [
    sample.flow ?? '',
    sample.phase === 'running' ? '' : sample.phase,
    `${sample.inputUnit ?? 'ticks'}/s ${rate(sample.offered, previous.offered)}`,
    bars.length === 0 ? '' : `bars/s ${bars.join(' ')}`,
    sample.ringDepths.length === 0 ? '' : `ring ${sample.ringDepths.join(' ')}`,
    `dropped ${formatCount(sample.refused)}`,
    sample.tickToBarP99Us === undefined ? '' : `p99 tick to bar ${formatMicros(sample.tickToBarP99Us)}`,
    `total ${formatCount(sample.offered)}`,
    ...sample.alarms,
  ];
  return parts.filter((part) => part !== '').join(' | ');
}

/** @param plainEveryMs at most one plain line in this time where the output is not a terminal */
export function createStatusDisplay(out: NodeJS.WriteStream | WriteStream, plainEveryMs: number): StatusDisplay {
  const live = out.isTTY ? createLogUpdate(out) : undefined;
  const recent: StatusSample[] = [];
  let lastPlain: StatusSample | undefined;
  return {
    show(sample) {
      if (live) {
        recent.push(sample);
        while (recent.length > 2 && sample.atMs - recent[1]!.atMs >= LIVE_WINDOW_MS) recent.shift();
        live(renderStatus(sample, recent[0]!));
      } else if (!lastPlain) {
        lastPlain = sample;
      } else if (sample.atMs - lastPlain.atMs >= plainEveryMs) {
        out.write(`${renderStatus(sample, lastPlain)}\n`);
        lastPlain = sample;
      }
    },
    print(lines) {
      live?.clear();
      out.write(`${lines.join('\n')}\n`);
    },
    close() {
      live?.done();
    },
  };
}
