/** The conservation verdict: what ingest accepted, before the rings, against what Postgres holds. */

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
  /** Rows and open state of this run when it began. */
  readonly before: TimeframeSums;
  /** The same at its end, read back. */
  readonly after: TimeframeSums;
  /** Late ticks of this run that the timeframe did not take and that ingest had accepted. */
  readonly missed: TimeframeSums;
}

/** For each timeframe: after - before = accepted - missed. */
export function judgeConservation(accepted: TimeframeSums, inputs: readonly ConservationInput[]): ConservationLine[] {
  return inputs.map(({ timeframe, before, after, missed }) => {
    const expected = combine(accepted, missed, -1n);
    const found = combine(after, before, -1n);
    const isConserved =
      expected.volumeLots === found.volumeLots && expected.tradeCount === found.tradeCount && expected.quoteCount === found.quoteCount;
    return { timeframe, expected, found, isConserved };
  });
}

function combine(left: TimeframeSums, right: TimeframeSums, sign: bigint): TimeframeSums {
  return {
    volumeLots: left.volumeLots + sign * right.volumeLots,
    tradeCount: left.tradeCount + sign * right.tradeCount,
    quoteCount: left.quoteCount + sign * right.quoteCount,
  };
}
