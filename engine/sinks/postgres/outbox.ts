/**
 * What is to be published of an epoch, written in its transaction: bars as the publisher will send them, then letters. It is read only when an
 * engine takes over from one that died between commit and publication.
 */
import * as L from '../../../schemas/layout.gen.ts';
import type { BarEncoder } from '../../kernel/encode.ts';
import type { OutboxRow, WriterStart } from '../messages.ts';
import { createBinaryRows } from './binary-rows.ts';
import type { Connection } from './connection.ts';
import { BINARY_HEADER, BINARY_TRAILER, copyChunks } from './copy.ts';
import type { EpochWork } from './epoch-transaction.ts';
import { BAR_WORDS, type RecordList } from './record-list.ts';

export interface OutboxContext extends Pick<WriterStart, 'source' | 'lanes'> {
  readonly encoder: BarEncoder;
  laneOfSymbol(symbolIndex: number): number;
}

/** A row ends when it has more bytes than this. */
const PART_BYTES = 1_048_576;
/** Bars encoded between two looks at the size of a row. */
const BARS_PER_LOOK = 2048;
const FIRST_BYTES = 16_384;
const COLUMN_COUNT = 6;
const NEWLINE = 10;
const COPY = 'copy outbox (source, lane, epoch, kind, part, lines) from stdin (format binary)';

/** Within the epoch's transaction: adds its messages, and deletes those that are published. */
export async function storeOutbox(client: Connection, context: OutboxContext, work: EpochWork, databaseEpoch: number): Promise<void> {
  const { batch, amendments, message } = work;
  const hasMessages = batch.finals.length + amendments.revisions.length + message.letters.length > 0;
  if (hasMessages) await copyChunks(client, COPY, outboxRows(context, work, databaseEpoch));
  if (message.published === 0) return;
  await client.query('delete from outbox where source = $1 and lane = any($2) and epoch <= $3', [
    context.source,
    context.lanes,
    message.published,
  ]);
}

interface LaneText {
  readonly lane: number;
  bytes: Buffer;
  length: number;
  part: number;
}

/** Binary rows, with header and trailer. */
function* outboxRows(context: OutboxContext, work: EpochWork, databaseEpoch: number): Generator<Buffer> {
  const rows = createBinaryRows();
  const source = Buffer.from(context.source);
  yield BINARY_HEADER;
  for (const { lane, kind, part, lines } of outboxParts(context, work)) {
    rows.beginRow(COLUMN_COUNT);
    rows.text(source);
    rows.int4(lane);
    rows.int8(BigInt(databaseEpoch));
    rows.text(Buffer.from(kind));
    rows.int4(part);
    rows.text(lines);
    yield rows.take();
  }
  yield BINARY_TRAILER;
}

export interface OutboxPart extends Pick<OutboxRow, 'lane' | 'kind' | 'part'> {
  /** Valid until the next one is asked for. */
  readonly lines: Buffer;
}

/** The messages of an epoch. Lines of a lane are in the order in which they are to be sent: first revisions before those that amend them. */
export function* outboxParts(
  context: Pick<OutboxContext, 'encoder' | 'laneOfSymbol'>,
  { batch, amendments, message }: Pick<EpochWork, 'batch' | 'amendments' | 'message'>,
): Generator<OutboxPart> {
  const partOf = (kind: OutboxPart['kind'], text: LaneText): OutboxPart => {
    // Without the last newline: they join lines.
    const { lane, part } = text;
    const lines = text.bytes.subarray(0, text.length - 1);
    text.part += 1;
    text.length = 0;
    return { lane, kind, part, lines };
  };
  const bars = new Map<number, LaneText>();
  for (const list of [batch.finals, amendments.revisions]) {
    for (let start = 0; start < list.length; start += BARS_PER_LOOK) {
      addBars(bars, context, list, start);
      for (const text of bars.values()) if (text.length > PART_BYTES) yield partOf('bars', text);
    }
  }
  for (const text of bars.values()) if (text.length > 0) yield partOf('bars', text);
  const letters = new Map<number, LaneText>();
  for (const { lane, json } of message.letters) {
    const text = textOf(letters, lane);
    addLine(text, Buffer.from(json));
    if (text.length > PART_BYTES) yield partOf('dlq', text);
  }
  for (const text of letters.values()) if (text.length > 0) yield partOf('dlq', text);
}

/** Adds the payloads of the next trade bars of a list; quote bars have none. */
function addBars(
  texts: Map<number, LaneText>,
  { encoder, laneOfSymbol }: Pick<OutboxContext, 'encoder' | 'laneOfSymbol'>,
  list: RecordList,
  start: number,
): void {
  const count = Math.min(BARS_PER_LOOK, list.length - start);
  encoder.i32.set(list.i32.subarray(start * BAR_WORDS, (start + count) * BAR_WORDS), encoder.inputI32Index);
  const { bytes, ends } = encoder.json(count);
  let from = 0;
  for (let index = 0; index < count; index += 1) {
    const end = ends[index]!;
    if (end > from) {
      const lane = laneOfSymbol(list.i32[(start + index) * BAR_WORDS + L.BAR_SYMBOL_INDEX_I32]!);
      addLine(textOf(texts, lane), bytes.subarray(from, end));
    }
    from = end;
  }
}

function textOf(texts: Map<number, LaneText>, lane: number): LaneText {
  const known = texts.get(lane);
  if (known !== undefined) return known;
  const text: LaneText = { lane, bytes: Buffer.allocUnsafeSlow(FIRST_BYTES), length: 0, part: 0 };
  texts.set(lane, text);
  return text;
}

function addLine(text: LaneText, line: Uint8Array): void {
  const length = text.length + line.length + 1;
  if (length > text.bytes.length) {
    const larger = Buffer.allocUnsafeSlow(Math.max(text.bytes.length * 2, length));
    larger.set(text.bytes.subarray(0, text.length));
    text.bytes = larger;
  }
  text.bytes.set(line, text.length);
  text.bytes[length - 1] = NEWLINE;
  text.length = length;
}
