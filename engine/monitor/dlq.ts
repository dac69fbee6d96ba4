/** `npm run dlq`: what was refused, one letter in full, and sending it again. */
import { kafkaAccess } from '../../config/kafka-access.ts';
import type { Config } from '../../config/knobs.ts';
import { EngineError } from '../core/errors.ts';
import { greetAccess, requireRdkafka } from '../sinks/kafka/client.ts';
import { LETTER_RAW_BYTES_MAX } from '../sinks/kafka/dlq.ts';
import { deadLetterTopic, ensureTopics } from '../sinks/kafka/topics.ts';
import { type Cluster, type Letter, type LetterFilter, letterId, readLetters, readReplayed, replayedTopic } from './dlq-letters.ts';
import { type ReplayResult, replayLetters } from './dlq-replay.ts';

/** As the command line gives them. */
export interface DlqOptions {
  readonly reason?: string;
  readonly topic?: string;
  readonly partition?: string;
  readonly offset?: string;
  readonly original?: boolean;
  readonly limit?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

type Say = (line: string) => void;

const SHOWN_REFUSALS = 20;
const SEGMENT_BYTES = 16_777_216;
const COLUMNS = ['reason', 'topic', 'partition', 'letters', 'replayed', 'first offset', 'last offset', 'from', 'to'] as const;

/** Letters by reason, topic and partition of the refused message. @returns the exit code, 0 */
export async function listLetters(config: Config, options: DlqOptions, say: Say): Promise<number> {
  const cluster = await openCluster(config);
  const { letters, strangers } = await readLetters(cluster, filterOf(options));
  const replayed = await readReplayed(cluster);
  if (strangers > 0) say(`${strangers} messages of ${deadLetterTopic(cluster.prefix)} are no letters and are left out`);
  if (letters.length === 0) {
    say(`no letters in ${deadLetterTopic(cluster.prefix)}${isFiltered(options) ? ' that the filter lets through' : ''}`);
    return 0;
  }
  const groups = new Map<string, Letter[]>();
  for (const letter of letters) {
    const key = [letter.reason, letter.topic, letter.partition].join('\n');
    groups.set(key, [...(groups.get(key) ?? []), letter]);
  }
  const rows = [...groups].sort(([left], [right]) => (left < right ? -1 : 1)).map(([, members]) => rowOf(members, replayed));
  for (const line of layOut([[...COLUMNS], ...rows])) say(line);
  say(
    `${letters.length} letters. Offsets are those of the refused messages. See one: npm run dlq -- show --original --partition P --offset O`,
  );
  return 0;
}

/** One letter in full; several where a packed message had several records refused. @returns the exit code, 0 */
export async function showLetter(config: Config, options: DlqOptions, say: Say): Promise<number> {
  const cluster = await openCluster(config);
  if (options.partition === undefined || options.offset === undefined) {
    throw new EngineError(
      'DLQ_OPTIONS',
      'dlq show: --partition and --offset say which letter; with --original they are those of the refused message',
    );
  }
  const { letters } = await readLetters(cluster, filterOf(options));
  const replayed = await readReplayed(cluster);
  if (letters.length === 0) {
    const whose = options.original ? 'of a refused message' : 'of a letter';
    const text = `dlq show: nothing at partition ${options.partition}, offset ${options.offset} ${whose}; npm run dlq -- list shows what there is`;
    throw new EngineError('DLQ_LETTER', text);
  }
  for (const letter of letters) {
    const { text, form } = readable(letter.raw);
    const cut = letter.rawBytes === undefined ? '' : `, the first ${LETTER_RAW_BYTES_MAX} of ${letter.rawBytes}`;
    const record = letter.recordIndex < 0 ? 'the whole message' : `record ${letter.recordIndex} of a packed message`;
    say(`letter     ${letterId(letter)} of ${deadLetterTopic(cluster.prefix)}${replayed.has(letterId(letter)) ? ', replayed' : ''}`);
    say(`message    ${letter.topic}, partition ${letter.partition}, offset ${letter.offset}, ${record}`);
    say(`reason     ${letter.reason}`);
    say(`refused    ${new Date(letter.tsMs).toISOString()}`);
    say(`bytes      ${letter.raw.length}${cut}, as ${form}:`);
    say(text);
  }
  return 0;
}

/** Sends what the filter lets through again. @returns the exit code: 0, or 1 when something could not be sent */
export async function replayDlq(config: Config, options: DlqOptions, say: Say): Promise<number> {
  const cluster = await openCluster(config);
  if (!options.dryRun && !options.yes) {
    throw new EngineError(
      'DLQ_OPTIONS',
      'dlq replay: sends messages to the topics where they were refused; see what with --dry-run, then say --yes',
    );
  }
  const { letters } = await readLetters(cluster, filterOf(options));
  const notes = { partitions: 1, replicationFactor: config.RF, retentionMs: config.DLQ_RETENTION_MS, segmentBytes: SEGMENT_BYTES };
  if (!options.dryRun) await ensureTopics(cluster.library, cluster, [{ ...notes, topic: replayedTopic(cluster.prefix) }]);
  const result = await replayLetters(cluster, letters, options.dryRun ?? false);
  report(result, options.dryRun ?? false, say);
  return result.refused.length === 0 ? 0 : 1;
}

function report({ sent, skipped, refused }: ReplayResult, isDry: boolean, say: Say): void {
  say(`${isDry ? 'would send' : 'sent'} ${sent}, skipped ${skipped} that were replayed before, cannot send ${refused.length}`);
  for (const { id, reason } of refused.slice(0, SHOWN_REFUSALS)) say(`  letter ${id}: ${reason}`);
  if (refused.length > SHOWN_REFUSALS) say(`  and ${refused.length - SHOWN_REFUSALS} more`);
}

async function openCluster(config: Config): Promise<Cluster> {
  if (!config.KAFKA_BROKER) {
    throw new EngineError('DLQ_NO_BROKER', 'dlq: KAFKA_BROKER is not set; the embedded cluster and its letters end with the engine');
  }
  const library = await requireRdkafka();
  const access = kafkaAccess(config);
  await greetAccess(library, access);
  return { library, ...access, prefix: config.TOPIC_PREFIX };
}

/** @throws EngineError DLQ_OPTIONS */
function filterOf({ reason, topic, partition, offset, original, limit }: DlqOptions): LetterFilter {
  return {
    ...(reason === undefined ? {} : { reason }),
    ...(topic === undefined ? {} : { topic }),
    ...(partition === undefined ? {} : { partition: Number(wholeNumber('--partition', partition)) }),
    ...(offset === undefined ? {} : { offset: wholeNumber('--offset', offset) }),
    ...(limit === undefined ? {} : { limit: Number(wholeNumber('--limit', limit)) }),
    isOriginal: original ?? false,
  };
}

function wholeNumber(name: string, text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new EngineError('DLQ_OPTIONS', `dlq: ${name} '${text}': expected a whole number of at most 18 digits`);
}

function isFiltered({ reason, topic, partition, offset }: DlqOptions): boolean {
  return [reason, topic, partition, offset].some((value) => value !== undefined);
}

function rowOf(letters: readonly Letter[], replayed: ReadonlySet<string>): string[] {
  const [first] = letters;
  const ordered = letters.map(({ offset }) => offset).sort((left, right) => (left < right ? -1 : 1));
  const times = letters.map(({ tsMs }) => tsMs).sort((left, right) => left - right);
  const count = letters.filter((letter) => replayed.has(letterId(letter))).length;
  const time = (tsMs: number | undefined): string => new Date(tsMs ?? 0).toISOString();
  return [first?.reason, first?.topic, first?.partition, letters.length, count, ordered[0], ordered.at(-1)]
    .map(String)
    .concat(time(times[0]), time(times.at(-1)));
}

/** Columns of equal width, two blanks apart. */
function layOut(rows: readonly (readonly string[])[]): string[] {
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Bytes as text where they are valid UTF-8, else as hex, 32 to a line. */
export function readable(bytes: Uint8Array): { readonly text: string; readonly form: 'text' | 'hex' } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), form: 'text' };
  } catch {
    // Not text: shown as what it is.
    const hex = Buffer.from(bytes).toString('hex');
    return { text: (hex.match(/.{1,64}/g) ?? []).join('\n'), form: 'hex' };
  }
}
