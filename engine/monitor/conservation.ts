/** The conservation verdict: what ingest accepted, before the rings, against what is held of it. */

/** Sums over the bars of one timeframe, or over accepted ticks. */
export interface TimeframeSums {
  readonly volumeLots: bigint;
  readonly tradeCount: bigint;
  readonly quoteCount: bigint;
}

export interface ConservationLine {
  readonly timeframe: string;
  readonly expected: TimeframeSums;
  readonly found: TimeframeSums;
  readonly isConserved: boolean;
}

export interface ConservationInput {
  readonly timeframe: string;
  /** Over rows and open buckets. */
  readonly held: TimeframeSums;
  /** Over late ticks that ingest had accepted and the timeframe did not take. */
  readonly missed: TimeframeSums;
}

/** For each timeframe: held = accepted - missed. */
export function judgeConservation(accepted: TimeframeSums, inputs: readonly ConservationInput[]): ConservationLine[] {
  return inputs.map(({ timeframe, held, missed }) => {
    const expected = {
      volumeLots: accepted.volumeLots - missed.volumeLots,
      tradeCount: accepted.tradeCount - missed.tradeCount,
      quoteCount: accepted.quoteCount - missed.quoteCount,
    };
    const isConserved =
      expected.volumeLots === held.volumeLots && expected.tradeCount === held.tradeCount && expected.quoteCount === held.quoteCount;
    return { timeframe, expected, found: held, isConserved };
  });
}

/** What came since `before`, line by line: both sides less what they were then. */
export function sinceLines(before: readonly ConservationLine[], after: readonly ConservationLine[]): ConservationLine[] {
  return after.map((line, index) => {
    const earlier = before[index];
    const expected = less(line.expected, earlier?.expected);
    const found = less(line.found, earlier?.found);
    const isConserved =
      expected.volumeLots === found.volumeLots && expected.tradeCount === found.tradeCount && expected.quoteCount === found.quoteCount;
    return { timeframe: line.timeframe, expected, found, isConserved };
  });
}

function less(now: TimeframeSums, earlier: TimeframeSums | undefined): TimeframeSums {
  return {
    volumeLots: now.volumeLots - (earlier?.volumeLots ?? 0n),
    tradeCount: now.tradeCount - (earlier?.tradeCount ?? 0n),
    quoteCount: now.quoteCount - (earlier?.quoteCount ?? 0n),
  };
}
