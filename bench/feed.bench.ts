/** A recorded DBN file, repeated, to a book and to columns, against a C++ reader and book on the same files. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadProcessConfig } from '../config/load.ts';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { openBytes } from '../engine/ingest/book-feed/byte-source.ts';
import { createDbnDecoder, DBN_STOP } from '../engine/kernel/dbn.ts';
import { createDbnFeedBook, type DbnFeedBook } from '../engine/kernel/feed-book.ts';
import { createBookBatch } from '../engine/market/book-message.ts';
import { buildCpp } from './cpp.ts';
import { type BenchContext, median } from './harness.ts';
import { tryRun } from './manifest.ts';

export const name = 'feed';

const RECORDING = 'dbn/es-2024-05-08-two-seconds.mbo.dbn.zst';
const INSTRUMENT = { id: 5602, symbolIndex: 0, tickNanos: 250_000_000 };
const RECORD_BYTES = 56;
const PRELUDE_BYTES = 8;
const PIECE_BYTES = 131_072;
/** Bytes that a call follows when the whole file is there. */
const FOLLOWED_BYTES = 1 << 20;
/** Bytes that are read from the file at once. */
const READ_BYTES = 1 << 24;
const COLUMNS = 8192;
/** Passes over the file in a round; their median is the round's rate. */
const PASSES = 3;
const SHAPE = { symbols: 1, orders: 16_384, pages: 256 };

interface Files {
  readonly plain: string;
  /** Undefined when nothing there can compress. */
  readonly zstd: string | undefined;
  /** The records of the plain file. */
  readonly records: Buffer;
}

/** What a book holds at the end: both sides must say the same. */
interface Outcome {
  readonly rate: number;
  readonly found: string;
}

interface Row {
  readonly work: string;
  readonly atLeast?: number;
  /** Arguments of the C++ program. */
  readonly against: readonly string[];
  readonly pass: () => Promise<Outcome>;
}

/** A book whose kernel has a whole file in the memory that it reads, as the C++ program has. */
interface Resident {
  readonly book: DbnFeedBook;
  /** Where the records begin and end. */
  readonly from: number;
  readonly to: number;
}

export async function run(context: BenchContext): Promise<void> {
  const recording = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR, RECORDING);
  if (!existsSync(recording)) {
    context.log(`  skipped: ${RECORDING} is not among the recorded data`);
    return;
  }
  const files = await prepareFiles(recording, context.isQuick ? 1_000_000 : 5_000_000);
  if (files.zstd === undefined) context.log('  skipped: the rows from zstd need the zstd program');
  const book = createDbnFeedBook(SHAPE);
  book.add(INSTRUMENT);
  const resident = createResident(files.plain);
  const rows: Row[] = [
    { work: 'DBN to book, from memory', atLeast: 0.75, against: [files.plain], pass: () => fromResident(resident) },
    { work: 'DBN to book, copied in by 128 KiB', against: [files.plain], pass: () => fromPieces(book, files.records) },
    ...(files.zstd === undefined
      ? []
      : [
          {
            work: 'DBN to book, from zstd',
            against: [files.zstd],
            pass: (
              (path) => () =>
                fromZstd(book, path)
            )(files.zstd),
          },
        ]),
    { work: 'DBN to columns, copied in by 128 KiB', against: [files.plain, 'decode'], pass: () => decode(files.records) },
  ];
  for (const { work, atLeast, against, pass } of rows) {
    let expected = '';
    const check = ({ rate, found }: Outcome): number => {
      expected ||= found;
      if (found !== expected) throw new EngineError('BENCH_CHECKSUM', `${work}: found ${found}, expected ${expected}`);
      return rate;
    };
    if (!context.hasCompiler) {
      context.report(work, { 'records/s': Math.round(check(await outcomeOf(pass))) });
      continue;
    }
    const program = buildCpp('feed');
    await context.compare({
      work,
      against: 'C++ reader and book',
      ...(atLeast === undefined ? {} : { atLeast }),
      unit: 'records/s',
      run: { work: async () => check(await outcomeOf(pass)), against: () => check(runCpp(program, against)) },
    });
  }
  if (!context.hasCompiler) context.log('  skipped: the comparison with C++ needs g++');
}

/** The recording's records as often as it takes; each time begins with a clear. */
async function prepareFiles(recording: string, count: number): Promise<Files> {
  const source = await openBytes(recording);
  const pieces: Buffer[] = [];
  for (let piece = await source.next(); piece !== undefined; piece = await source.next()) pieces.push(Buffer.from(piece));
  const whole = Buffer.concat(pieces);
  const header = whole.subarray(0, PRELUDE_BYTES + whole.readUInt32LE(4));
  const once = whole.subarray(header.length);
  const times = Math.ceil((count * RECORD_BYTES) / once.length);
  const folder = join(PROJECT_ROOT, '.data/bench');
  mkdirSync(folder, { recursive: true });
  const plain = join(folder, `feed-${times}.dbn`);
  writeFileSync(plain, Buffer.concat([header, ...Array.from({ length: times }, () => once)]));
  const zstd = `${plain}.zst`;
  const isCompressed = tryRun('zstd', ['-q', '-f', '-3', plain, '-o', zstd]) !== undefined;
  return { plain, zstd: isCompressed ? zstd : undefined, records: readFileSync(plain).subarray(header.length) };
}

async function outcomeOf(pass: () => Promise<Outcome>): Promise<Outcome> {
  const outcomes: Outcome[] = [];
  for (let index = 0; index < PASSES; index += 1) outcomes.push(await pass());
  return { rate: median(outcomes.map(({ rate }) => rate)), found: outcomes.at(-1)?.found ?? '' };
}

function describeBook(book: DbnFeedBook): string {
  const sides = ([0, 1] as const).map((side) => book.matcher.levels(0, side));
  const lots = sides.map((levels) => levels.reduce((sum, level) => sum + level.quantityLots, 0n));
  const best = sides.map((levels) => levels[0]?.priceTicks);
  return `${book.orders} orders, ${sides.map((levels) => levels.length).join('/')} levels, ${lots.join('/')} lots, best ${best.join('/')}`;
}

async function timed(work: () => Promise<void> | void, count: () => number): Promise<number> {
  const before = count();
  const fromUs = SYSTEM_CLOCK.monotonicUs();
  await work();
  return ((count() - before) * 1e6) / (SYSTEM_CLOCK.monotonicUs() - fromUs);
}

function createResident(path: string): Resident {
  const to = statSync(path).size;
  const book = createDbnFeedBook({ ...SHAPE, inputBytes: to });
  book.add(INSTRUMENT);
  const file = openSync(path, 'r');
  for (let at = 0; at < to; ) {
    const length = readSync(file, book.input, at, Math.min(READ_BYTES, to - at), at);
    if (length === 0) throw new EngineError('FEED_FILE', `${path}: ends at byte ${at} of ${to}`);
    at += length;
  }
  closeSync(file);
  return { book, from: PRELUDE_BYTES + new DataView(book.input.buffer, book.input.byteOffset).getUint32(4, true), to };
}

async function fromResident({ book, from, to }: Resident): Promise<Outcome> {
  const work = (): void => {
    for (let at = from; at < to; ) at = book.follow(at, Math.min(at + FOLLOWED_BYTES, to));
  };
  const rate = await timed(work, () => book.messages);
  return { rate, found: describeBook(book) };
}

async function fromPieces(book: DbnFeedBook, records: Buffer): Promise<Outcome> {
  const work = (): void => {
    for (let at = 0; at < records.length; at += PIECE_BYTES) book.take(records.subarray(at, at + PIECE_BYTES));
  };
  const rate = await timed(work, () => book.messages);
  return { rate, found: describeBook(book) };
}

async function fromZstd(book: DbnFeedBook, path: string): Promise<Outcome> {
  const work = async (): Promise<void> => {
    const source = await openBytes(path);
    let skip: number | undefined;
    for (let piece = await source.next(); piece !== undefined; piece = await source.next()) {
      // The header lies within the first piece.
      skip ??= PRELUDE_BYTES + new DataView(piece.buffer, piece.byteOffset).getUint32(4, true);
      book.take(skip === 0 ? piece : piece.subarray(skip));
      skip = 0;
    }
  };
  const rate = await timed(work, () => book.messages);
  return { rate, found: describeBook(book) };
}

async function decode(records: Buffer): Promise<Outcome> {
  const decoder = createDbnDecoder();
  decoder.add(INSTRUMENT);
  const batch = createBookBatch(COLUMNS);
  let count = 0;
  const work = (): void => {
    for (let at = 0; at < records.length; ) {
      at += decoder.stage.put(records.subarray(at, at + PIECE_BYTES));
      for (let stop: number = DBN_STOP.full; stop === DBN_STOP.full; count += batch.count) {
        batch.count = 0;
        stop = decoder.decode(batch);
      }
    }
  };
  const rate = await timed(work, () => count);
  return { rate, found: `${count} messages` };
}

interface CppResult {
  readonly rate: number;
  readonly messages: number;
  readonly faults: number;
  readonly orders: number;
  readonly levels: readonly [number, number];
  readonly lots: readonly [number, number];
  readonly best: readonly [number, number];
}

function runCpp(program: string, [file = '', mode]: readonly string[]): Outcome {
  const args = [file, String(INSTRUMENT.tickNanos), String(PASSES), ...(mode === undefined ? [] : [mode])];
  const result: CppResult = JSON.parse(execFileSync(program, args, { encoding: 'utf8' }));
  if (mode !== undefined) return { rate: result.rate, found: `${result.messages} messages` };
  const { orders, levels, lots, best } = result;
  return { rate: result.rate, found: `${orders} orders, ${levels.join('/')} levels, ${lots.join('/')} lots, best ${best.join('/')}` };
}
