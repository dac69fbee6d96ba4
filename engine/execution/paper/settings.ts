/** What a paper exchange assumes, validated once; every report carries it. */
import { z } from 'zod';
import { EngineError } from '../../core/errors.ts';

/** How the place of an order of ours in its queue is known or guessed; from what data, is in docs/reference/paper.md. */
export const QUEUE_MODELS = ['exact', 'trades', 'behind', 'proportional', 'ahead', 'assumed'] as const;
export type QueueModel = (typeof QUEUE_MODELS)[number];

const nanoseconds = z.number().int().min(0).max(60_000_000_000);
const latencyLeg = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('constant'), ns: nanoseconds }),
  z.strictObject({ kind: z.literal('uniform'), minNs: nanoseconds, maxNs: nanoseconds }),
  z.strictObject({ kind: z.literal('lognormal'), medianNs: nanoseconds, sigma: z.number().min(0).max(5), maxNs: nanoseconds }),
  z.strictObject({ kind: z.literal('measured'), samplesNs: z.array(nanoseconds).min(1).max(1_000_000) }),
]);
/** One leg of the way: always the same, or drawn from a seeded distribution. */
export type LatencyLeg = z.infer<typeof latencyLeg>;

/** Billionths: of the notional for a rate, of the currency for an amount. */
const billionths = z.number().int().min(0).max(1_000_000_000_000_000);
const signedRate = z.number().int().min(-1_000_000_000).max(1_000_000_000);
const signedNanos = z.number().int().min(-1_000_000_000_000).max(1_000_000_000_000);

const indiaEquity = z.strictObject({
  kind: z.literal('indiaEquity'),
  product: z.enum(['intraday', 'delivery']),
  brokerageRate: billionths.optional(),
  brokerageMaxNanos: billionths.optional(),
  exchangeRate: billionths.optional(),
  sebiRate: billionths.optional(),
  sttBuyRate: billionths.optional(),
  sttSellRate: billionths.optional(),
  stampBuyRate: billionths.optional(),
  gstRate: billionths.optional(),
  /** Contract notes carry STT in whole rupees. */
  isSttInRupees: z.boolean().optional(),
});
const alpaca = z.strictObject({
  kind: z.literal('alpaca'),
  secSellRate: billionths.optional(),
  tafSellNanosPerShare: billionths.optional(),
  tafMaxNanos: billionths.optional(),
  catNanosPerShare: billionths.optional(),
});
const makerTaker = z.strictObject({
  kind: z.literal('makerTaker'),
  currency: z.string().min(1).max(12),
  minorDigits: z.number().int().min(0).max(9),
  /** Below 0: a rebate. */
  makerRate: signedRate,
  takerRate: signedRate,
  makerNanosPerUnit: signedNanos.default(0),
  takerNanosPerUnit: signedNanos.default(0),
});
const feeSchedule = z.discriminatedUnion('kind', [z.strictObject({ kind: z.literal('none') }), makerTaker, indiaEquity, alpaca]);
export type FeeSettings = z.infer<typeof feeSchedule>;
export type IndiaEquitySettings = z.infer<typeof indiaEquity>;
export type AlpacaSettings = z.infer<typeof alpaca>;
export type MakerTakerSettings = z.infer<typeof makerTaker>;

const NO_LATENCY = { kind: 'constant', ns: 0 } as const;

const paperSettings = z.strictObject({
  model: z.enum(QUEUE_MODELS).default('exact'),
  /** `assumed`: lots that are taken to stand before each of our orders. */
  assumedAheadLots: z.number().int().min(0).max(0x40000000).default(0),
  /** Market to us, us to the venue, the venue's answer to us. */
  feed: latencyLeg.default(NO_LATENCY),
  entry: latencyLeg.default(NO_LATENCY),
  response: latencyLeg.default(NO_LATENCY),
  /** Of the sampled latencies. */
  seed: z.number().int().min(0).max(0xffffffff).default(1),
  /** An order that would trade at once is refused when the market was last heard of longer ago; 0: never. */
  staleAfterMs: z.number().int().min(0).max(86_400_000).default(0),
  fees: feeSchedule.default({ kind: 'none' }),
});
export type PaperSettings = z.infer<typeof paperSettings>;

/**
 * Validates settings and fills in what is not given.
 * @throws EngineError PAPER_SETTINGS with every fault
 */
export function parsePaperSettings(given: unknown): PaperSettings {
  const parsed = paperSettings.safeParse(given);
  const faults = parsed.success
    ? legsOf(parsed.data).flatMap(([name, leg]) =>
        leg.kind === 'uniform' && leg.minNs > leg.maxNs ? [`${name}: minNs ${leg.minNs}: expected at most maxNs, ${leg.maxNs}`] : [],
      )
    : parsed.error.issues.map((issue) => `${issue.path.join('.') || 'settings'}: ${issue.message}`);
  if (!parsed.success || faults.length > 0) throw new EngineError('PAPER_SETTINGS', `paper settings refused: ${faults.join('; ')}`);
  return parsed.data;
}

function legsOf(settings: PaperSettings): readonly (readonly [string, LatencyLeg])[] {
  return [
    ['feed', settings.feed],
    ['entry', settings.entry],
    ['response', settings.response],
  ];
}

function describeLeg(leg: LatencyLeg): string {
  if (leg.kind === 'constant') return `${leg.ns} ns`;
  if (leg.kind === 'uniform') return `uniform ${leg.minNs} to ${leg.maxNs} ns`;
  if (leg.kind === 'lognormal') return `lognormal, median ${leg.medianNs} ns, sigma ${leg.sigma}, at most ${leg.maxNs} ns`;
  return `drawn from ${leg.samplesNs.length} measured`;
}

/** The choice of models in one line, for reports. */
export function describeSettings(settings: PaperSettings): string {
  const assumed = settings.model === 'assumed' ? ` (${settings.assumedAheadLots} lots ahead)` : '';
  const legs = legsOf(settings).map(([name, leg]) => `${name} ${describeLeg(leg)}`);
  const stale = settings.staleAfterMs === 0 ? 'off' : `${settings.staleAfterMs} ms`;
  return `queue ${settings.model}${assumed}; latency ${legs.join(', ')}, seed ${settings.seed}; stale after ${stale}; fees ${settings.fees.kind}`;
}
