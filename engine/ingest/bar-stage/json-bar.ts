/**
 * A bar as it comes from a topic, ours or another program's. The contract's fields are required; those that we add may be absent:
 *
 *   symbol ts o h l c vol n_trades      tf      rev late vwap first_ns last_ns
 *   └──────── required ───────┘   if there, right   └──────── if known ────────┘
 */
import { REFUSAL } from '../../../schemas/records.ts';
import { isSymbolName } from '../../market/instrument-book.ts';
import { MESSAGE_BYTES_MAX } from '../json-tick.ts';

export interface InputBar {
  readonly symbol: string;
  /** Start, whole seconds since the epoch. */
  readonly tsSec: number;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  /** A whole number, below 2^53. */
  readonly volumeLots: number;
  readonly tradeCount: number;
  readonly revision: number;
  readonly lateCount: number;
  /** Undefined where the producer does not say; null where it says that there is none. */
  readonly vwap: number | null | undefined;
  /** Offsets of the first and the last event from the start, ns; 0 where the producer does not say. */
  readonly firstOffsetNs: number;
  readonly lastOffsetNs: number;
}

export type InputBarResult = { readonly bar: InputBar; readonly refusal: 0 } | { readonly bar: undefined; readonly refusal: number };

/** The start of the year 2200: later times are nonsense. */
const TIME_LIMIT_SEC = 7_258_118_400;
const COUNT_MAX = 2_147_483_647;
const NS_PER_SECOND = 1_000_000_000;

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What the bars of a topic are. */
export interface InputKind {
  readonly seconds: number;
  /** As in `tf`. */
  readonly timeframe: string;
  /** Limits of one bar, such that sums over the longest bucket stay within their types. */
  readonly tradeCountMax: number;
  readonly volumeMax: number;
}

/** Limits for buckets that are made of at most `count` bars. */
export function limitsOf(count: number): Pick<InputKind, 'tradeCountMax' | 'volumeMax'> {
  return { tradeCountMax: Math.floor(COUNT_MAX / count), volumeMax: Math.min(Number.MAX_SAFE_INTEGER, Math.floor(2 ** 62 / count)) };
}

/** Decodes a bar, or says by refusal code why it is none. */
export function decodeJsonBar(message: Uint8Array, kind: InputKind): InputBarResult {
  const fields = message.length <= MESSAGE_BYTES_MAX ? parseObject(message) : undefined;
  if (fields === undefined) return refuse(REFUSAL.malformed);
  const { symbol, tf, ts, o, h, l, c, vol, n_trades: trades } = fields;
  if (typeof symbol !== 'string' || !isSymbolName(symbol)) return refuse(REFUSAL.malformed);
  if (tf !== undefined && tf !== kind.timeframe) return refuse(REFUSAL.malformed);
  if (!isNumber(ts) || !isNumber(o) || !isNumber(h) || !isNumber(l) || !isNumber(c)) return refuse(REFUSAL.malformed);
  if (!isNumber(vol) || !isNumber(trades)) return refuse(REFUSAL.malformed);
  const values = { tsSec: ts, open: o, high: h, low: l, close: c, volumeLots: vol, tradeCount: trades };
  const added = addedFields(fields);
  if (added === undefined) return refuse(REFUSAL.malformed);
  const times = timesOf(fields, ts);
  if (times === undefined) return refuse(REFUSAL.malformed);
  const reason = judge(values, times, kind);
  return reason === 0 ? { bar: { symbol, ...values, ...added, ...times }, refusal: 0 } : refuse(reason);
}

type Fields = Readonly<Record<string, unknown>>;
type Values = Pick<InputBar, 'tsSec' | 'open' | 'high' | 'low' | 'close' | 'volumeLots' | 'tradeCount'>;
type Times = Pick<InputBar, 'firstOffsetNs' | 'lastOffsetNs'>;

function refuse(refusal: number): InputBarResult {
  return { bar: undefined, refusal };
}

function parseObject(message: Uint8Array): Fields | undefined {
  try {
    const parsed: unknown = JSON.parse(decoder.decode(message));
    // A cast: an object of JSON has text keys.
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? (parsed as Fields) : undefined;
  } catch {
    // Not UTF-8 or not JSON: the caller counts it as malformed.
    return undefined;
  }
}

function addedFields({ rev = 0, late = 0, vwap }: Fields): Pick<InputBar, 'revision' | 'lateCount' | 'vwap'> | undefined {
  if (!isCount(rev) || !isCount(late)) return undefined;
  if (vwap !== undefined && vwap !== null && typeof vwap !== 'number') return undefined;
  return { revision: rev, lateCount: late, vwap };
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= COUNT_MAX;
}

/** Event times come as text, since they exceed 2^53. Undefined when they are not such text. */
function timesOf({ first_ns: first, last_ns: last }: Fields, tsSec: number): Times | undefined {
  if (first === undefined && last === undefined) return { firstOffsetNs: 0, lastOffsetNs: 0 };
  if (!isNanoseconds(first) || !isNanoseconds(last) || !Number.isSafeInteger(tsSec)) return undefined;
  const startNs = BigInt(tsSec) * BigInt(NS_PER_SECOND);
  return { firstOffsetNs: Number(BigInt(first) - startNs), lastOffsetNs: Number(BigInt(last) - startNs) };
}

function isNanoseconds(value: unknown): value is string {
  return typeof value === 'string' && /^-?\d{1,19}$/.test(value);
}

/** The reason to refuse a bar, 0 when there is none. */
function judge(values: Values, times: Times, { seconds, tradeCountMax, volumeMax }: InputKind): number {
  const { tsSec, open, high, low, close, volumeLots, tradeCount } = values;
  if (![open, high, low, close].every(Number.isFinite)) return REFUSAL.priceNotFinite;
  if (low <= 0 || open <= 0 || high <= 0 || close <= 0) return REFUSAL.priceNotPositive;
  if (volumeLots < 0) return REFUSAL.quantityNegative;
  if (!Number.isInteger(volumeLots) || volumeLots > volumeMax) return REFUSAL.quantityOffLot;
  if (!Number.isSafeInteger(tsSec) || tsSec <= 0 || tsSec >= TIME_LIMIT_SEC) return REFUSAL.eventTimeInvalid;
  const isOrdered = low <= open && low <= close && open <= high && close <= high;
  const { firstOffsetNs, lastOffsetNs } = times;
  const isInside = firstOffsetNs >= 0 && firstOffsetNs <= lastOffsetNs && lastOffsetNs < seconds * NS_PER_SECOND;
  return isOrdered && isInside && tsSec % seconds === 0 && isCount(tradeCount) && tradeCount <= tradeCountMax ? 0 : REFUSAL.barInconsistent;
}
