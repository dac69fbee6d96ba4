/**
 * The bars of one symbol that have been read and may still be taken back, in slots by time. A chunk covers as much time as the longest
 * bucket that is built of them:
 *
 *   chunk (f64)  [slot 0: o h l c volume trades late revision first last notional] [slot 1 ...]
 *
 * A slot that holds nothing has revision -1. `notional` is NaN where it is unknown. All are whole numbers below 2^53, prices excepted.
 */
export const KEPT = {
  open: 0,
  high: 1,
  low: 2,
  close: 3,
  volumeLots: 4,
  tradeCount: 5,
  lateCount: 6,
  revision: 7,
  firstOffsetNs: 8,
  lastOffsetNs: 9,
  notional: 10,
} as const;
const FIELDS = 11;
const NOTHING = -1;

export type KeptField = keyof typeof KEPT;
export type KeptBar = Readonly<Record<KeptField, number>>;

/** What a range of kept bars comes to. */
export interface Folded {
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volumeLots: bigint;
  readonly tradeCount: number;
  readonly lateCount: number;
  readonly firstNs: bigint;
  readonly lastNs: bigint;
  /** Undefined when that of one of them is unknown. */
  readonly notional: bigint | undefined;
}

export interface KeptBars {
  /** The bar that starts at `tsSec`; undefined when there is none. */
  find(tsSec: number): KeptBar | undefined;
  put(tsSec: number, bar: KeptBar): void;
  /** Bars that start in [fromSec, fromSec + seconds), in order of time. Undefined when there are none. */
  fold(fromSec: number, seconds: number): Folded | undefined;
  /** Forgets whole chunks that end at or before `sec`; true when there were any. */
  forgetUntil(sec: number): boolean;
  /** Start of the oldest chunk; Infinity when there is none. */
  oldestSec(): number;
  /** Start of each bar, in no order. */
  starts(): Generator<number>;
}

const NS_PER_SECOND = 1_000_000_000n;

export interface KeptShape {
  readonly inputSeconds: number;
  /** Time that a chunk covers. */
  readonly chunkSeconds: number;
}

export function createKeptBars({ inputSeconds, chunkSeconds }: KeptShape): KeptBars {
  const chunks = new Map<number, Float64Array>();
  const slots = Math.ceil(chunkSeconds / inputSeconds);
  const span = slots * inputSeconds;

  const chunkOf = (tsSec: number): Float64Array | undefined => chunks.get(tsSec - (tsSec % span));
  const placeOf = (tsSec: number): number => ((tsSec % span) / inputSeconds) * FIELDS;

  return {
    find(tsSec) {
      const chunk = chunkOf(tsSec);
      const at = placeOf(tsSec);
      if (chunk === undefined || chunk[at + KEPT.revision] === NOTHING) return undefined;
      // A cast: the entries are those of KEPT.
      return Object.fromEntries(Object.entries(KEPT).map(([name, offset]) => [name, chunk[at + offset]!])) as KeptBar;
    },
    put(tsSec, bar) {
      const from = tsSec - (tsSec % span);
      let chunk = chunks.get(from);
      if (chunk === undefined) {
        chunk = new Float64Array(slots * FIELDS).fill(NOTHING);
        chunks.set(from, chunk);
      }
      const at = placeOf(tsSec);
      for (const name of FIELD_NAMES) chunk[at + KEPT[name]] = bar[name];
    },
    fold(fromSec, seconds) {
      let folded: Folding | undefined;
      for (let tsSec = fromSec; tsSec < fromSec + seconds; tsSec += inputSeconds) {
        const chunk = chunkOf(tsSec);
        if (chunk === undefined) continue;
        const at = placeOf(tsSec);
        if (chunk[at + KEPT.revision] === NOTHING) continue;
        folded = foldIn(folded, chunk, at, tsSec);
      }
      return folded;
    },
    forgetUntil(sec) {
      const before = chunks.size;
      for (const from of chunks.keys()) if (from + span <= sec) chunks.delete(from);
      return chunks.size < before;
    },
    oldestSec: () => Math.min(...chunks.keys()),
    *starts() {
      for (const [from, chunk] of chunks) {
        for (let slot = 0; slot < slots; slot += 1) {
          if (chunk[slot * FIELDS + KEPT.revision] !== NOTHING) yield from + slot * inputSeconds;
        }
      }
    },
  };
}

// A cast: the keys of KEPT.
const FIELD_NAMES = Object.keys(KEPT) as KeptField[];

type Folding = { -readonly [Name in keyof Folded]: Folded[Name] };

function foldIn(into: Folding | undefined, chunk: Float64Array, at: number, tsSec: number): Folding {
  const startNs = BigInt(tsSec) * NS_PER_SECOND;
  const [open, high, low] = [chunk[at + KEPT.open]!, chunk[at + KEPT.high]!, chunk[at + KEPT.low]!];
  const notional = chunk[at + KEPT.notional]!;
  const exact = Number.isNaN(notional) ? undefined : BigInt(notional);
  const folded: Folding = into ?? {
    ...{ open, high, low, close: 0, volumeLots: 0n, tradeCount: 0, lateCount: 0, lastNs: 0n, notional: 0n },
    firstNs: startNs + BigInt(chunk[at + KEPT.firstOffsetNs]!),
  };
  folded.high = Math.max(folded.high, high);
  folded.low = Math.min(folded.low, low);
  folded.close = chunk[at + KEPT.close]!;
  folded.volumeLots += BigInt(chunk[at + KEPT.volumeLots]!);
  folded.tradeCount += chunk[at + KEPT.tradeCount]!;
  folded.lateCount += chunk[at + KEPT.lateCount]!;
  folded.lastNs = startNs + BigInt(chunk[at + KEPT.lastOffsetNs]!);
  folded.notional = folded.notional === undefined || exact === undefined ? undefined : folded.notional + exact;
  return folded;
}
