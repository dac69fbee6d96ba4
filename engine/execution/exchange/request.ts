/**
 * What a client asks for, from the JSON of its line. The journal holds the same JSON, so that this is also how entries are read again.
 * Names are those of the contract (`client_order_id`, `risk_bucket`), with its older ones (`coid`, `limit_price`) understood.
 */
import { ORDER_LIMIT, ORDER_REASON, ORDER_TYPE, PHASE, SELF_MATCH, TIME_IN_FORCE } from '../../../schemas/order-records.ts';
import { DOOR_REASON, Refusal } from './refusal.ts';

export const ORDER_OPS = ['exec', 'new', 'cancel', 'reduce', 'replace', 'move', 'mass_cancel', 'phase', 'band', 'time'] as const;
export type OrderOp = (typeof ORDER_OPS)[number];

export const RISK_BUCKETS = ['LOW', 'MED', 'HIGH'] as const;

/** Prices are decimal text as given; which ticks they are is the instrument's to say. Undefined: not given. */
export interface OrderRequest {
  readonly op: OrderOp;
  /** Empty where the op needs none. */
  readonly symbol: string;
  /** Of a new order its own, empty to be given one; of other ops that of the order meant. */
  readonly clientOrderId: string;
  /** The order meant, 0 when it is named by its client_order_id. */
  readonly orderId: bigint;
  /** 0 buy, 1 sell; undefined: both, of a mass cancel. */
  readonly side: 0 | 1 | undefined;
  readonly type: number;
  readonly timeInForce: number;
  readonly selfMatch: number;
  readonly isPostOnly: boolean;
  readonly isAllOrNone: boolean;
  readonly quantityLots: number;
  readonly price: string | undefined;
  readonly stopPrice: string | undefined;
  readonly trail: string | undefined;
  readonly displayLots: number;
  readonly expiryNs: bigint;
  readonly owner: number;
  readonly strategy: string;
  readonly riskBucket: (typeof RISK_BUCKETS)[number];
  /** Of the strategy; empty: none. */
  readonly why: string;
  readonly phase: number;
  /** JSON of an object, kept with the order. */
  readonly extra: string;
}

/** How the client_order_id begins that an order without one is given. */
export const GIVEN_ID_PREFIX = 'auto-';
const TEXT_MAX = 200;
const DEPTH_MAX = 16;
const OWNER_MAX = 0xffff_ffff;
const NS_PER_MS = 1_000_000n;
/** In nanoseconds it still fits 63 bits. */
const UNTIL_MS_MAX = 9_223_372_036_854;
const ID_MAX = 0xffff_ffff_ffff_ffffn;

const TYPES: Readonly<Record<string, number>> = {
  MKT: ORDER_TYPE.market,
  LMT: ORDER_TYPE.limit,
  MTL: ORDER_TYPE.marketToLimit,
  STP: ORDER_TYPE.stop,
  STP_LMT: ORDER_TYPE.stopLimit,
  TRAIL: ORDER_TYPE.trailingStop,
};
const SELF_MATCHES: Readonly<Record<string, number>> = {
  allow: SELF_MATCH.allow,
  cancel_newest: SELF_MATCH.cancelNewest,
  cancel_oldest: SELF_MATCH.cancelOldest,
  cancel_both: SELF_MATCH.cancelBoth,
};
const FORCES: Readonly<Record<string, number>> = Object.fromEntries(
  Object.entries(TIME_IN_FORCE).map(([name, code]) => [name.toUpperCase(), code]),
);

export type Fields = Readonly<Record<string, unknown>>;

/** Thrown inside the reader, and caught by it: an expectation that a field does not meet. */
class FieldFault extends Error {
  readonly reason: number;
  constructor(reason: number, detail: string) {
    super(detail);
    this.reason = reason;
  }
}

/** The object of a line, or why it is none. */
export function parseLine(line: string): Fields | Refusal {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return new Refusal(DOOR_REASON.badJson, `no JSON: ${line.slice(0, 40)}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Refusal(DOOR_REASON.badJson, `expected an object, found ${line.slice(0, 40)}`);
  }
  if (!isShallow(value, DEPTH_MAX)) return new Refusal(DOOR_REASON.badJson, `nested deeper than ${DEPTH_MAX}`);
  // A cast: an object whose fields are checked one by one before they are used.
  return value as Fields;
}

/** True when nothing is nested deeper than `levels`: what is may be more than a stack here or in the database can take. */
function isShallow(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((member) => isShallow(member, levels - 1));
}

/** Reads a request; what it is refused for has the number of the first fault. */
export function readRequest(fields: Fields): OrderRequest | Refusal {
  try {
    return readFields(fields);
  } catch (error) {
    if (error instanceof FieldFault) return new Refusal(error.reason, error.message);
    throw error;
  }
}

function readFields(fields: Fields): OrderRequest {
  const op = opOf(fields);
  const isNew = op === 'new' || op === 'exec';
  const side = choice(fields, 'side', { BUY: 0, SELL: 1 });
  if (isNew && side === undefined) throw bad('side: expected BUY or SELL');
  const type = op === 'new' ? orderType(fields) : ORDER_TYPE.market;
  const force = op === 'exec' ? TIME_IN_FORCE.ioc : choice(fields, 'tif', FORCES);
  const clientOrderId = textOf(fields, op === 'cancel' ? ['client_order_id', 'coid', 'orig_client_order_id'] : ['client_order_id', 'coid']);
  if (isNew && clientOrderId.startsWith(GIVEN_ID_PREFIX)) throw bad(`client_order_id: ${GIVEN_ID_PREFIX} is kept for orders without one`);
  const orderId = idOf(fields);
  const isOfOrder = op === 'cancel' || op === 'reduce' || op === 'replace' || op === 'move';
  if (isOfOrder && clientOrderId === '' && orderId === 0n) throw bad('order_id or client_order_id: expected one of them');
  const symbol = textOf(fields, ['symbol']);
  if (symbol === '' && (isNew || op === 'phase' || op === 'band')) throw bad('symbol: expected a name');
  return {
    op,
    symbol,
    clientOrderId,
    orderId,
    side: side === undefined ? undefined : side === 1 ? 1 : 0,
    type,
    timeInForce: force ?? (type === ORDER_TYPE.market ? TIME_IN_FORCE.ioc : TIME_IN_FORCE.gtc),
    selfMatch: choice(fields, 'self_match', SELF_MATCHES) ?? SELF_MATCH.allow,
    isPostOnly: flag(fields, 'post_only'),
    isAllOrNone: flag(fields, 'all_or_none'),
    quantityLots: isNew || op === 'reduce' || op === 'replace' ? quantity(fields) : 0,
    price: op === 'exec' ? undefined : price(fields, op === 'band' ? ['lower'] : ['price', 'limit_price']),
    stopPrice: price(fields, op === 'band' ? ['upper'] : ['stop_price']),
    trail: price(fields, ['trail']),
    displayLots: whole(fields, 'display_qty', { min: 0, max: ORDER_LIMIT.quantityMax }) ?? 0,
    expiryNs: BigInt(whole(fields, 'valid_until', { min: 0, max: UNTIL_MS_MAX }) ?? 0) * NS_PER_MS,
    owner: whole(fields, 'owner', { min: 0, max: OWNER_MAX }) ?? 0,
    strategy: textOf(fields, ['strategy']) || 'UNKNOWN',
    riskBucket: riskBucket(fields),
    why: isNew ? textOf(fields, ['reason']) : '',
    phase: op === 'phase' ? phaseOf(fields) : 0,
    extra: extraOf(fields),
  };
}

function opOf(fields: Fields): OrderOp {
  const given = fields['op'];
  if (given === undefined || given === null || given === '') throw new FieldFault(DOOR_REASON.missingOp, 'op: missing');
  const name = typeof given === 'string' ? given.toLowerCase() : '';
  const op = ORDER_OPS.find((known) => known === name);
  if (op === undefined) throw new FieldFault(DOOR_REASON.unknownOp, `op ${shown(given)}: expected one of ping, ${ORDER_OPS.join(', ')}`);
  return op;
}

/** The type that is named; else a limit order where there is a price, and a market order where there is none. */
function orderType(fields: Fields): number {
  const given = fields['order_type'] ?? fields['type'];
  if (given === undefined)
    return fields['price'] === undefined && fields['limit_price'] === undefined ? ORDER_TYPE.market : ORDER_TYPE.limit;
  const type = typeof given === 'string' && Object.hasOwn(TYPES, given) ? TYPES[given] : undefined;
  if (type === undefined) throw bad(`type ${shown(given)}: expected one of ${Object.keys(TYPES).join(', ')}`);
  return type;
}

/** A whole number of lots that fits a record; what it must be beyond that the matcher says. */
function quantity(fields: Fields): number {
  const given = fields['qty'];
  if (typeof given !== 'number' || !Number.isInteger(given)) throw bad(`qty ${shown(given)}: expected a whole number of lots`);
  if (given < 1) throw new FieldFault(ORDER_REASON.quantityNotPositive, `qty ${given}: expected 1 or more`);
  if (given > ORDER_LIMIT.quantityMax) {
    throw new FieldFault(ORDER_REASON.quantityTooLarge, `qty ${given}: expected at most ${ORDER_LIMIT.quantityMax}`);
  }
  return given;
}

function price(fields: Fields, names: readonly string[]): string | undefined {
  const name = names.find((candidate) => fields[candidate] !== undefined && fields[candidate] !== null);
  if (name === undefined) return undefined;
  const given = fields[name];
  if (typeof given === 'number') return String(given);
  if (typeof given === 'string' && /^[+-]?\d{1,20}(\.\d{1,20})?$/.test(given)) return given;
  throw bad(`${name} ${shown(given)}: expected a decimal number`);
}

function whole(fields: Fields, name: string, { min, max }: { min: number; max: number }): number | undefined {
  const given = fields[name];
  if (given === undefined || given === null) return undefined;
  if (typeof given !== 'number' || !Number.isInteger(given) || given < min || given > max) {
    throw bad(`${name} ${shown(given)}: expected a whole number from ${min} to ${max}`);
  }
  return given;
}

function textOf(fields: Fields, names: readonly string[]): string {
  const name = names.find((candidate) => fields[candidate] !== undefined && fields[candidate] !== null);
  if (name === undefined) return '';
  const given = fields[name];
  if (typeof given !== 'string' || given.length > TEXT_MAX || /\p{Cc}|\p{Cs}/u.test(given)) {
    throw bad(`${name} ${shown(given)}: expected text of at most ${TEXT_MAX} characters without control characters`);
  }
  return given;
}

function choice(fields: Fields, name: string, codes: Readonly<Record<string, number>>): number | undefined {
  const given = fields[name];
  if (given === undefined || given === null) return undefined;
  const code = typeof given === 'string' && Object.hasOwn(codes, given) ? codes[given] : undefined;
  if (code === undefined) throw bad(`${name} ${shown(given)}: expected one of ${Object.keys(codes).join(', ')}`);
  return code;
}

function flag(fields: Fields, name: string): boolean {
  const given = fields[name];
  if (given === undefined || given === null) return false;
  if (typeof given !== 'boolean') throw bad(`${name} ${shown(given)}: expected true or false`);
  return given;
}

function riskBucket(fields: Fields): OrderRequest['riskBucket'] {
  const given = textOf(fields, ['risk_bucket']) || 'MED';
  const bucket = RISK_BUCKETS.find((known) => known === given);
  if (bucket === undefined) throw bad(`risk_bucket ${given}: expected one of ${RISK_BUCKETS.join(', ')}`);
  return bucket;
}

function idOf(fields: Fields): bigint {
  const given = fields['order_id'];
  if (given === undefined || given === null) return 0n;
  const isWhole =
    (typeof given === 'number' && Number.isSafeInteger(given) && given > 0) || (typeof given === 'string' && /^\d{1,20}$/.test(given));
  const id = isWhole ? BigInt(String(given)) : 0n;
  if (id === 0n || id > ID_MAX) throw bad(`order_id ${shown(given)}: expected a whole number, 1 and up`);
  return id;
}

function phaseOf(fields: Fields): number {
  const phase = choice(fields, 'phase', PHASE);
  if (phase === undefined) throw bad(`phase: expected one of ${Object.keys(PHASE).join(', ')}`);
  return phase;
}

function extraOf(fields: Fields): string {
  const given = fields['extra'];
  if (given === undefined || given === null) return '{}';
  if (typeof given !== 'object' || Array.isArray(given)) throw bad(`extra ${shown(given)}: expected an object`);
  const text = JSON.stringify(given);
  // Postgres keeps neither NUL nor half a character in JSON.
  if (/\\u(0000|d[89a-f])/i.test(text)) throw bad('extra: holds NUL or half a surrogate pair');
  return text;
}

function bad(detail: string): FieldFault {
  return new FieldFault(DOOR_REASON.badArgs, detail);
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 40);
}
