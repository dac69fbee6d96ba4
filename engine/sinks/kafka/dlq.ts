/** Dead letters: what a source could not understand or had to refuse, with its coordinates and bytes. They are published with their epoch. */
import { REFUSAL } from '../../../schemas/records.ts';
import type { Rejected } from '../../ingest/source.ts';

/**
 * Bytes of a refused message that a letter carries. In base64 these are 933,336 characters, within the million bytes that librdkafka and
 * brokers let pass by default.
 */
export const LETTER_RAW_BYTES_MAX = 700_000;

/** A letter as it goes to the topic. */
export interface DeadLetter {
  readonly key: string;
  readonly json: string;
}

/** A letter as it is read. */
export interface LetterFields {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Position in a packed message, -1 for a message as a whole. */
  readonly recordIndex: number;
  readonly reason: string;
  readonly raw: Buffer;
  /** Bytes of the message when the letter holds only the first of them. */
  readonly rawBytes: number | undefined;
  readonly tsMs: number;
}

const REASONS: ReadonlySet<string> = new Set(Object.keys(REFUSAL));

/** The payload of a letter; its schema is schemas/json/dlq.schema.json. */
export function deadLetterJson(rejected: Rejected, tsMs: number): string {
  const { raw } = rejected;
  const kept = Buffer.from(raw.buffer, raw.byteOffset, Math.min(raw.byteLength, LETTER_RAW_BYTES_MAX));
  return JSON.stringify({
    topic: rejected.topic,
    partition: rejected.partition,
    offset: String(rejected.offset),
    record_index: rejected.recordIndex,
    reason: rejected.reason,
    raw_base64: kept.toString('base64'),
    ...(kept.length < raw.byteLength ? { raw_bytes: raw.byteLength } : {}),
    ts_ms: Math.floor(tsMs),
  });
}

/** The key of a letter: where the refused message stands. */
export function deadLetterKey(letter: { readonly topic?: unknown; readonly partition?: unknown; readonly offset?: unknown }): string {
  return `${letter.topic}:${letter.partition}:${letter.offset}`;
}

/** A refused message as a letter. */
export function deadLetterOf(rejected: Rejected, tsMs: number): DeadLetter {
  return { key: deadLetterKey(rejected), json: deadLetterJson(rejected, tsMs) };
}

/** Reads a letter; undefined when it is none. */
export function parseDeadLetter(json: string): LetterFields | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(json);
  } catch {
    // Anybody may write to the topic: what is no letter is the reader's to report.
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null) return undefined;
  // A cast: each member is checked before it is used.
  const { topic, partition, offset, record_index, reason, raw_base64, raw_bytes, ts_ms } = fields as Record<string, unknown>;
  const isLetter =
    typeof topic === 'string' &&
    typeof partition === 'number' &&
    typeof offset === 'string' &&
    /^\d{1,19}$/.test(offset) &&
    typeof record_index === 'number' &&
    typeof reason === 'string' &&
    REASONS.has(reason) &&
    typeof raw_base64 === 'string' &&
    typeof ts_ms === 'number';
  if (!isLetter) return undefined;
  return {
    topic,
    partition,
    offset: BigInt(offset),
    recordIndex: record_index,
    reason,
    raw: Buffer.from(raw_base64, 'base64'),
    rawBytes: typeof raw_bytes === 'number' ? raw_bytes : undefined,
    tsMs: ts_ms,
  };
}
