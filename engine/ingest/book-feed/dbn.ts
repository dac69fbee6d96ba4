/** Databento files (DBN 1 to 3, schema mbo) as a book feed. Instrument definitions among the files tell the tick sizes. */
import { EngineError } from '../../core/errors.ts';
import { createDbnDecoder, DBN_INSTRUMENTS_MAX, DBN_STOP, type DbnDecoder } from '../../kernel/dbn.ts';
import { type BookBatch, type BookFeed, FEED_REFUSAL, type FeedInstrument } from '../../market/book-message.ts';
import { type ByteSource, openBytes } from './byte-source.ts';
import { DBN_MAGIC, DBN_MBO_BYTES, DBN_PRELUDE_BYTES, DBN_TYPE, DBN_VERSION_MAX, type DbnHeader, parseDbnHeader } from './dbn-layout.ts';
import { type BookFeedOptions, createRefusals, inferTickNanos, parseTickSize } from './options.ts';

const DEFINITION_TICK_AT = 24;
const DEFINITION_BYTES_MIN = 32;
/** The stage counts as full when less than a piece fits. */
const STAGE_MARGIN_BYTES = 8192;
const UNDEFINED_PRICE = 0x7fff_ffff_ffff_ffffn;
const REFUSAL_ORDER = [
  FEED_REFUSAL.offTick,
  FEED_REFUSAL.priceOutOfRange,
  FEED_REFUSAL.quantityOutOfRange,
  FEED_REFUSAL.malformed,
] as const;
const IGNORED = 4;

/** The file that is being read. */
interface Current {
  readonly label: string;
  readonly source: ByteSource;
  /** What the source gave and the decoder had no room for yet. */
  rest: Uint8Array;
  readonly hasDefinitions: boolean;
  isEnded: boolean;
}

/** @throws EngineError FEED_FILE, FEED_OPTION */
export async function openDbnFeed(files: readonly string[], options: BookFeedOptions): Promise<BookFeed> {
  const decoder = createDbnDecoder();
  const { stage } = decoder;
  const fixedTick = options.tickSize === undefined ? undefined : parseTickSize(options.tickSize);
  const instruments: FeedInstrument[] = [];
  const names = new Map<number, string>();
  const ticks = new Map<number, number>();
  const refused = createRefusals();
  const wanted = createFilter(options.symbol, instruments);
  let nextFile = 0;
  let current: Current | undefined;

  const openNext = async (): Promise<Current | undefined> => {
    const path = files[nextFile];
    if (path === undefined) return undefined;
    nextFile += 1;
    const source = await openBytes(path);
    const { header, rest } = await readHeader(source, path);
    for (const [id, symbol] of header.symbols) names.set(id, symbol);
    return { label: path, source, rest, hasDefinitions: !header.isOnlyMbo, isEnded: false };
  };
  /** Stages more bytes of the current file; false when it is used up. */
  const fill = async (file: Current): Promise<boolean> => {
    if (file.rest.length === 0 && !file.isEnded) {
      const piece = await file.source.next();
      if (piece === undefined) file.isEnded = true;
      else file.rest = piece;
    }
    if (file.isEnded) return false;
    const taken = stage.put(file.rest);
    if (file.hasDefinitions && taken > 0) noteDefinitions(decoder, ticks);
    file.rest = file.rest.subarray(taken);
    return true;
  };
  const addInstrument = async (file: Current): Promise<void> => {
    // The first prices of an instrument tell its tick, so there should be many of them.
    while (fixedTick === undefined && stage.end - stage.start < stage.bytes.length - STAGE_MARGIN_BYTES && (await fill(file)));
    const staged = stagedOf(decoder);
    const id = new DataView(staged.buffer, staged.byteOffset).getUint32(4, true);
    if (instruments.length === DBN_INSTRUMENTS_MAX) {
      throw new EngineError('FEED_FILE', `${file.label}: instrument ${id} is one too many; at most ${DBN_INSTRUMENTS_MAX} can be followed`);
    }
    const symbol = names.get(id) ?? `#${id}`;
    // A venue may number an instrument anew each day; it stays one instrument.
    let symbolIndex = instruments.findIndex((known) => known.symbol === symbol);
    if (symbolIndex < 0) {
      symbolIndex = instruments.length;
      instruments.push({ symbol, tickNanos: fixedTick ?? ticks.get(id) ?? inferTickNanos(pricesOf(staged, id)) });
    }
    decoder.add({ id, symbolIndex, tickNanos: instruments[symbolIndex]!.tickNanos });
  };
  return {
    name: 'dbn',
    instruments,
    get refused() {
      for (const [index, reason] of REFUSAL_ORDER.entries()) refused[reason] = decoder.counters[index]!;
      return refused;
    },
    get ignored() {
      return decoder.counters[IGNORED]!;
    },
    async read(batch) {
      batch.count = 0;
      while (batch.count < batch.capacity) {
        current ??= await openNext();
        if (!current) break;
        const from = batch.count;
        const stop = decoder.decode(batch);
        wanted(batch, from);
        if (stop === DBN_STOP.instrument) await addInstrument(current);
        else if (stop === DBN_STOP.broken) throw brokenRecord(current, decoder);
        else if (stop === DBN_STOP.drained && !(await fill(current))) {
          if (stage.end > stage.start) throw new EngineError('FEED_FILE', `${current.label}: ends within a record`);
          await current.source.close();
          current = undefined;
        }
      }
      return batch.count;
    },
    async close() {
      await current?.source.close();
      nextFile = files.length;
      current = undefined;
    },
  };
}

function stagedOf({ stage }: DbnDecoder): Uint8Array {
  return stage.bytes.subarray(stage.start, stage.end);
}

function brokenRecord(file: Current, decoder: DbnDecoder): EngineError {
  const [words = 0, type = 0] = stagedOf(decoder);
  return new EngineError('FEED_FILE', `${file.label}: a record of type ${type} and ${words * 4} bytes cannot be; mbo has ${DBN_MBO_BYTES}`);
}

/** Reads pieces until the header is whole; what is left of the last piece comes with it. */
async function readHeader(source: ByteSource, path: string): Promise<{ header: DbnHeader; rest: Uint8Array }> {
  let bytes = Buffer.alloc(0);
  const isWhole = (): boolean => bytes.length >= DBN_PRELUDE_BYTES && bytes.length >= DBN_PRELUDE_BYTES + bytes.readUInt32LE(4);
  for (;;) {
    const hasPrelude = bytes.length >= DBN_PRELUDE_BYTES;
    const version = bytes[3] ?? 0;
    if (hasPrelude && (bytes.toString('latin1', 0, 3) !== DBN_MAGIC || version < 1 || version > DBN_VERSION_MAX)) {
      const found = `'${bytes.toString('latin1', 0, 3).replace(/[^ -~]/g, '?')}' ${version}`;
      throw new EngineError('FEED_FILE', `${path}: begins with ${found}; expected DBN, version 1 to ${DBN_VERSION_MAX}`);
    }
    if (isWhole()) break;
    const piece = await source.next();
    if (piece === undefined) throw new EngineError('FEED_FILE', `${path}: ends within its DBN header`);
    bytes = Buffer.concat([bytes, piece]);
  }
  const end = DBN_PRELUDE_BYTES + bytes.readUInt32LE(4);
  return { header: parseDbnHeader(bytes.subarray(0, end), path), rest: bytes.subarray(end) };
}

/** Notes the tick of every definition among the bytes that were staged last; a definition cut in two is seen when its rest is there. */
function noteDefinitions(decoder: DbnDecoder, ticks: Map<number, number>): void {
  for (const { record, length } of recordsOf(stagedOf(decoder))) {
    if (record.getUint8(1) !== DBN_TYPE.definition || length < DEFINITION_BYTES_MIN) continue;
    const tick = record.getBigInt64(DEFINITION_TICK_AT, true);
    if (tick > 0n && tick !== UNDEFINED_PRICE) ticks.set(record.getUint32(4, true), Number(tick));
  }
}

function* recordsOf(bytes: Uint8Array): Generator<{ record: DataView; length: number }> {
  for (let at = 0; at < bytes.length; ) {
    const length = bytes[at]! * 4;
    if (length === 0 || at + length > bytes.length) return;
    yield { record: new DataView(bytes.buffer, bytes.byteOffset + at, length), length };
    at += length;
  }
}

function* pricesOf(bytes: Uint8Array, id: number): Generator<bigint> {
  for (const { record, length } of recordsOf(bytes)) {
    if (record.getUint8(1) !== DBN_TYPE.mbo || length < DBN_MBO_BYTES || record.getUint32(4, true) !== id) continue;
    const isResting = 'ACM'.includes(String.fromCharCode(record.getUint8(38)));
    const price = record.getBigInt64(24, true);
    if (isResting && price !== UNDEFINED_PRICE) yield price;
  }
}

/** Leaves only messages of `symbol` in the batch, from `from` on. */
function createFilter(symbol: string | undefined, instruments: readonly FeedInstrument[]): (batch: BookBatch, from: number) => void {
  if (symbol === undefined) return () => undefined;
  return (batch, from) => {
    let kept = from;
    for (let index = from; index < batch.count; index += 1) {
      if (instruments[batch.symbolIndex[index]!]?.symbol !== symbol) continue;
      if (kept !== index) moveMessage(batch, index, kept);
      kept += 1;
    }
    batch.count = kept;
  };
}

function moveMessage(batch: BookBatch, from: number, to: number): void {
  batch.tsNs[to] = batch.tsNs[from]!;
  batch.action[to] = batch.action[from]!;
  batch.side[to] = batch.side[from]!;
  batch.orderId[to] = batch.orderId[from]!;
  batch.newOrderId[to] = batch.newOrderId[from]!;
  batch.priceTicks[to] = batch.priceTicks[from]!;
  batch.quantityLots[to] = batch.quantityLots[from]!;
  batch.symbolIndex[to] = batch.symbolIndex[from]!;
  batch.flags[to] = batch.flags[from]!;
}
