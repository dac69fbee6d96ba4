/**
 * Sends refused messages again, to the topic and partition where they were refused, each letter once.
 *
 * A letter is noted in `dlq.replayed` in the transaction that sends its message, so one is not without the other. All replays of a prefix
 * share a transactional id: one that starts ends any other, and reads the notes only then. What is sent again has the header `dlq-replay`
 * with the letter's `partition:offset`.
 */
import { EngineError } from '../core/errors.ts';
import { encodePacked, PACKED_ENCODING, PACKED_RECORD_BYTES, readPackedHeader } from '../ingest/packed.ts';
import {
  connectClient,
  disconnectConsumer,
  disconnectProducer,
  PRODUCER_TOPIC_SETTINGS,
  transactionalSettings,
} from '../sinks/kafka/client.ts';
import type { Consumer, Done, Header, Message, Producer } from '../sinks/kafka/rdkafka.ts';
import { type Cluster, consume, type Letter, letterId, openReader, readReplayed, replayedTopic } from './dlq-letters.ts';

const TIMEOUT_MS = 15_000;
/** Letters of one transaction. */
const BATCH = 100;
const CONSUMES_MAX = 50;
const REPLAY_HEADER = 'dlq-replay';

export interface ReplayResult {
  readonly sent: number;
  /** Replayed before. */
  readonly skipped: number;
  /** What cannot be sent again, and why, by letter. */
  readonly refused: readonly { readonly id: string; readonly reason: string }[];
}

interface Resend {
  readonly letter: Letter;
  readonly value: Buffer;
  readonly key: Buffer | string;
  readonly headers: readonly Header[];
}

/**
 * @param isDry finds out what would be sent, and sends nothing
 * @throws EngineError KAFKA_UNREACHABLE (retryable), DLQ_REPLAY
 */
export async function replayLetters(cluster: Cluster, letters: readonly Letter[], isDry: boolean): Promise<ReplayResult> {
  const producer = isDry ? undefined : await openProducer(cluster);
  const reader = await openReader(cluster);
  try {
    const replayed = await readReplayed(cluster);
    const wanted = letters.filter((letter) => !replayed.has(letterId(letter)));
    const resends: Resend[] = [];
    const refused: { id: string; reason: string }[] = [];
    for (const letter of wanted) {
      const resend = resendOf(letter, await readOriginal(reader, letter));
      if (typeof resend === 'string') refused.push({ id: letterId(letter), reason: resend });
      else resends.push(resend);
    }
    for (let at = 0; producer && at < resends.length; at += BATCH) await sendBatch(producer, cluster, resends.slice(at, at + BATCH));
    return { sent: resends.length, skipped: letters.length - wanted.length, refused };
  } finally {
    await disconnectConsumer(reader);
    if (producer) await disconnectProducer(producer, 0);
  }
}

async function openProducer({ library, prefix, ...access }: Cluster): Promise<Producer> {
  const producer = new library.Producer(transactionalSettings(access, `${prefix}tickwright.dlq-replay`, 0), PRODUCER_TOPIC_SETTINGS);
  await connectClient(producer, access, TIMEOUT_MS);
  await call('taking the transactional id', (done) => producer.initTransactions(TIMEOUT_MS, done));
  return producer;
}

async function sendBatch(producer: Producer, { prefix }: Cluster, batch: readonly Resend[]): Promise<void> {
  await call('beginning', (done) => producer.beginTransaction(done));
  for (const { letter, value, key, headers } of batch) {
    producer.produce(letter.topic, letter.partition, value, key, null, undefined, [...headers, { [REPLAY_HEADER]: letterId(letter) }]);
    const note = Buffer.from(JSON.stringify({ topic: letter.topic, partition: letter.partition, offset: String(letter.offset) }));
    producer.produce(replayedTopic(prefix), null, note, letterId(letter), null);
  }
  await call('committing', (done) => producer.commitTransaction(TIMEOUT_MS, done));
}

function call(what: string, invoke: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    invoke((error) => {
      if (!error) return resolve();
      const text = `dlq replay: ${what}: ${error.message}; what was committed before stays sent and noted, run it again for the rest`;
      reject(new EngineError('DLQ_REPLAY', text, { cause: error }));
    });
  });
}

/** The refused message as its topic has it; undefined when the topic does not hold it any more. */
async function readOriginal(reader: Consumer, { topic, partition, offset }: Letter): Promise<Message | undefined> {
  const bounds = await new Promise<{ lowOffset: number; highOffset: number } | undefined>((resolve) => {
    // An error, as of a topic that is gone, means the same as an offset that is gone.
    reader.queryWatermarkOffsets(topic, partition, TIMEOUT_MS, (error, offsets) => resolve(error ? undefined : offsets));
  });
  const wanted = Number(offset);
  if (!bounds || wanted < bounds.lowOffset || wanted >= bounds.highOffset) return undefined;
  reader.assign([{ topic, partition, offset: wanted }]);
  try {
    for (let count = 0; count < CONSUMES_MAX; count += 1) {
      const [message] = await consume(reader, 1);
      if (message) return message.offset === wanted ? message : undefined;
    }
    return undefined;
  } finally {
    reader.unassign();
  }
}

/** What is to be sent for a letter, or why nothing can be. */
function resendOf(letter: Letter, original: Message | undefined): Resend | string {
  const key = original?.key ?? '';
  if (letter.recordIndex >= 0) {
    const record = original?.value ? packedRecord(original.value, letter.raw) : undefined;
    if (!original)
      return `a record of packed message ${letter.topic}:${letter.partition}:${letter.offset}, which the topic no longer holds`;
    if (!record) return 'its record names no symbol of its message';
    return { letter, value: record, key, headers: [{ encoding: PACKED_ENCODING }] };
  }
  if (original?.value) return { letter, value: original.value, key, headers: withoutReplay(original.headers) };
  if (letter.rawBytes !== undefined) {
    return `the letter holds ${letter.raw.length} of ${letter.rawBytes} bytes, and the topic no longer holds the message`;
  }
  const headers = letter.raw.subarray(0, 4).toString('latin1') === 'TWKP' ? [{ encoding: PACKED_ENCODING }] : [];
  return { letter, value: letter.raw, key, headers };
}

/** A packed message of one record: the bytes that were refused, with their symbol. */
function packedRecord(message: Buffer, raw: Buffer): Buffer | undefined {
  const symbol = raw.length === PACKED_RECORD_BYTES ? readPackedHeader(message)?.symbols[raw.readUInt32LE(0)] : undefined;
  if (!symbol) return undefined;
  const packed = Buffer.from(encodePacked([symbol], [{ symbolRef: 0, tsEventNs: 0n, price: 0, quantityLots: 0n, ask: 0 }]));
  const at = packed.length - PACKED_RECORD_BYTES;
  packed.set(raw, at);
  packed.writeUInt32LE(0, at);
  return packed;
}

function withoutReplay(headers: readonly Header[] = []): readonly Header[] {
  return headers.filter((header) => !(REPLAY_HEADER in header));
}
