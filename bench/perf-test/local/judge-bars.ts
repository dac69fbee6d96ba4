/** Whether the bars of a kernel cell are right: the first pass bar by bar, every other one by its hash, and all by their ticks. */

import type { SymbolDictionary } from '../../../engine/market/instruments.ts';
import { type BarRecord, readBar } from '../../../engine/market/ring-record.ts';
import type { Timeframe } from '../../../engine/market/timeframes.ts';
import * as L from '../../../schemas/layout.gen.ts';
import { type BarTexts, barText, hashBars } from '../expected-bars.ts';
import type { Verdict } from '../report-model.ts';
import type { Folded } from './bar-fold.ts';

const DIFFERENCES_SHOWN = 12;
const NS_PER_SECOND = 1_000_000_000n;

export interface Judged {
  readonly expected: BarTexts;
  readonly folded: Folded;
  readonly timeframes: readonly Timeframe[];
  readonly symbols: Pick<SymbolDictionary, 'read'>;
  /** Ticks of a pass, passes, and ticks that ingest has counted as accepted. */
  readonly ticks: number;
  readonly passes: number;
  readonly accepted: number;
}

export function judgeBars(judged: Judged): Verdict {
  const { expected, folded } = judged;
  const { texts: found, doubled } = textsOf(judged);
  const differences = [...differencesOfSums(judged), ...doubled.map((key) => `${key}: came twice`)];
  for (const [key, text] of expected) {
    const value = found.get(key);
    if (value === undefined) differences.push(`${key}: missing, expected ${text}`);
    else if (value !== text) differences.push(`${key}: ${value}, expected ${text}`);
  }
  for (const [key, text] of found) if (!expected.has(key)) differences.push(`${key}: ${text}, expected no such bar`);
  const more = differences.length - DIFFERENCES_SHOWN;
  return {
    isRight: differences.length === 0,
    differences: [...differences.slice(0, DIFFERENCES_SHOWN), ...(more > 0 ? [`and ${more} more`] : [])],
    barsCompared: folded.passes.reduce((sum, { bars }) => sum + bars, 0),
    messagesCompared: 0,
    expectedHash: hashBars(expected),
    foundHash: hashBars(found),
  };
}

function differencesOfSums({ folded, timeframes, ticks, passes, accepted }: Judged): string[] {
  const [first] = folded.passes;
  const wrong: string[] = [];
  if (accepted !== ticks * passes) wrong.push(`ingest accepted ${accepted} ticks of ${passes} passes of ${ticks}`);
  if (folded.passes.length !== passes) wrong.push(`bars of ${folded.passes.length} passes, ${passes} were sent`);
  if (folded.amended > 0) wrong.push(`${folded.amended} amendments, expected none: ticks came in the order of their times`);
  if (folded.late > 0) wrong.push(`${folded.late} late ticks, expected none: ticks came in the order of their times`);
  for (const [index, pass] of folded.passes.entries()) {
    for (const [at, sum] of pass.ticks.entries()) {
      if (sum !== ticks) wrong.push(`conservation, pass ${index}: ${sum} ticks in the bars of ${timeframes[at]?.name}, expected ${ticks}`);
    }
    if (first === undefined || (pass.hash[0] === first.hash[0] && pass.hash[1] === first.hash[1] && pass.bars === first.bars)) continue;
    wrong.push(`pass ${index}: ${pass.bars} bars of hash ${pass.hash.join(' ')}, the first has ${first.bars} of ${first.hash.join(' ')}`);
  }
  return wrong;
}

function textsOf({ folded: { first }, timeframes, symbols }: Judged) {
  const texts: BarTexts = new Map();
  const doubled: string[] = [];
  const view = new DataView(first.buffer, first.byteOffset, first.byteLength);
  for (let at = 0; at < first.byteLength; at += L.BAR_SIZE) {
    const bar = readBar(view, at);
    const start = bar.tsStartNs / NS_PER_SECOND;
    const key = `${timeframes[bar.timeframeIndex]?.name} ${symbols.read(bar.symbolIndex)?.name} ${start}`;
    if (texts.has(key)) doubled.push(key);
    texts.set(key, textOf(bar));
  }
  return { texts, doubled };
}

function textOf({ open, high, low, close, volumeLots, tradeCount, firstNs, lastNs }: BarRecord): string {
  return barText({
    ...{ o: open, h: high, l: low, c: close, vol: `${volumeLots}`, n: tradeCount },
    ...{ first: `${firstNs}`, last: `${lastNs}` },
  });
}
