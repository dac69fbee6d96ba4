/**
 * Brings publication to where the database is, before a session begins: whoever published these lanes before is fenced, the markers tell how
 * far the lanes are published, and what the outbox holds above them is published. Cut off anywhere and run again, it gives each message once.
 */
import type { KafkaAccess } from '../../../config/kafka-access.ts';
import { type Clock, type Pause, SYSTEM_PAUSE } from '../../core/clock.ts';
import { EngineError } from '../../core/errors.ts';
import type { OutboxRow } from '../messages.ts';
import { deadLetterKey } from './dlq.ts';
import type { HangingCheck } from './hanging-check.ts';
import type { TransactionLane } from './lane.ts';
import type { Markers, TransactionOptions } from './marker.ts';
import { type Outgoing, putAll } from './outlet.ts';
import type { Rdkafka } from './rdkafka.ts';
import { barsTopic, deadLetterTopic, fillsTopic } from './topics.ts';
import { createTransactor, fenceTransactionalId } from './transactor.ts';

/** An owner that is fenced may have a transaction under way that the brokers end first. */
const FENCE_TIMEOUT_MS = 30_000;
const TIMEOUT_MS = 60_000;
/** Text published in one transaction, unless one epoch of a lane has more. Characters. */
const TRANSACTION_CHARACTERS = 8_388_608;
/** What the JSON of a line has at least. */
const MEMBERS: Readonly<Record<OutboxRow['kind'], readonly string[]>> = {
  bars: ['symbol', 'tf'],
  dlq: ['topic', 'partition', 'offset'],
  fills: ['symbol', 'fill_id'],
};

export interface RecoveryOptions extends KafkaAccess {
  readonly library: Rdkafka;
  readonly prefix: string;
  readonly clock: Clock;
  /** As in `TransactorOptions`. */
  readonly pause?: Pause;
  /** As in `TransactorOptions`. */
  readonly retryFirstMs?: number;
  /** How long it may take; a minute unless given. */
  readonly timeoutMs?: number;
  /** As in `TransactorOptions`; one that takes bars as messages. */
  readonly lane?: TransactionLane;
  /** As in `TransactorOptions`. */
  readonly hanging?: Pick<HangingCheck, 'find' | 'end'>;
  /** Of the session that begins. */
  readonly transactions: TransactionOptions;
  /** Of every owner of these lanes since they were last recovered. */
  readonly previousTransactionalIds: readonly string[];
  /** By lane, epoch, kind and part. */
  readonly outbox: readonly OutboxRow[];
}

export interface Recovery {
  /** Messages published. */
  readonly published: number;
  /** Database epoch up to which each lane is published; a lane of which nothing ever was is left out. */
  readonly markers: Markers;
}

/** Rows of one lane and epoch are published together. */
interface Group {
  readonly lane: number;
  readonly epoch: number;
  readonly rows: OutboxRow[];
  characters: number;
}

/**
 * @throws EngineError KAFKA_UNREACHABLE (retryable), FENCED, OUTBOX_INVALID, KAFKA_MESSAGE
 */
export async function recoverPublication(options: RecoveryOptions): Promise<Recovery> {
  const { timeoutMs = TIMEOUT_MS } = options;
  const transactor = createTransactor({ ...options, lingerMs: 0 });
  const done = new AbortController();
  const close = (): Promise<void> => transactor.close();
  (options.pause ?? SYSTEM_PAUSE)(timeoutMs, done.signal).then(close, () => undefined);
  try {
    await options.hanging?.find(options.previousTransactionalIds);
    // First the session's own id: who claims the lanes from now on fences it, and with it everything below.
    await transactor.open();
    await Promise.all(options.previousTransactionalIds.map((id) => fenceTransactionalId(options, id, FENCE_TIMEOUT_MS)));
    await options.hanging?.end(options.previousTransactionalIds);
    // Read after the fencing: nobody else moves them any more.
    const markers = new Map(await transactor.markers());
    let published = 0;
    for (const groups of transactionsOf(groupRows(options.outbox, markers))) {
      const moved = new Map(groups.map(({ lane, epoch }) => [lane, epoch]));
      const messages = groups.flatMap(({ rows }) => rows.flatMap((row) => messagesOf(row, options.prefix)));
      await transactor.publish({ markers: moved, send: (outlet) => putAll(outlet, messages, (message) => message) });
      published += messages.length;
      for (const [lane, epoch] of moved) markers.set(lane, epoch);
    }
    return { published, markers };
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'KAFKA_CLOSED') throw error;
    const text = `outbox: not published in ${timeoutMs} ms: ${[...transactor.failed.keys()].at(-1) ?? 'no answer'}`;
    throw new EngineError('KAFKA_UNREACHABLE', text, { cause: error, retryable: true });
  } finally {
    done.abort();
    await close();
  }
}

/** Rows above the markers, by lane and epoch. */
function groupRows(outbox: readonly OutboxRow[], markers: Markers): Group[] {
  const groups = new Map<string, Group>();
  for (const row of outbox) {
    if (row.epoch <= (markers.get(row.lane) ?? -1)) continue;
    const key = `${row.lane}:${row.epoch}`;
    const group = groups.get(key) ?? { lane: row.lane, epoch: row.epoch, rows: [], characters: 0 };
    groups.set(key, group);
    group.rows.push(row);
    group.characters += row.lines.length;
  }
  for (const { rows } of groups.values()) rows.sort((left, right) => left.kind.localeCompare(right.kind) || left.part - right.part);
  return [...groups.values()].sort((left, right) => left.lane - right.lane || left.epoch - right.epoch);
}

/** Groups in order, as many to a transaction as its size allows. */
function* transactionsOf(groups: readonly Group[]): Generator<readonly Group[]> {
  let taken: Group[] = [];
  let characters = 0;
  for (const group of groups) {
    if (taken.length > 0 && characters + group.characters > TRANSACTION_CHARACTERS) {
      yield taken;
      taken = [];
      characters = 0;
    }
    taken.push(group);
    characters += group.characters;
  }
  if (taken.length > 0) yield taken;
}

function messagesOf(row: OutboxRow, prefix: string): Outgoing[] {
  return row.lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const payload = Buffer.from(line);
      const fields = parseLine(row, line);
      if (row.kind === 'dlq') return { topic: deadLetterTopic(prefix), key: deadLetterKey(fields), payload };
      if (row.kind === 'fills') return { topic: fillsTopic(prefix), key: String(fields['symbol']), payload };
      return { topic: barsTopic(prefix, String(fields['tf'])), key: String(fields['symbol']), payload };
    });
}

function parseLine(row: OutboxRow, line: string): Readonly<Record<string, unknown>> {
  const names = MEMBERS[row.kind];
  try {
    const fields: unknown = JSON.parse(line);
    // A cast: an object, of which only the members looked at below are relied upon.
    if (typeof fields === 'object' && fields !== null && names.every((name) => name in fields)) return fields as Record<string, unknown>;
  } catch {
    // Told below, like any other line that is not what it should be.
  }
  const where = `outbox lane ${row.lane}, epoch ${row.epoch}, ${row.kind}, part ${row.part}`;
  throw new EngineError('OUTBOX_INVALID', `${where}: expected JSON with ${names.join(', ')}, found ${line.slice(0, 80)}`);
}
