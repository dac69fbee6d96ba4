/** `npm run dlq` on a real broker. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Config } from '../../config/knobs.ts';
import { loadConfig } from '../../config/load.ts';
import { decodePacked, encodePacked, PACKED_ENCODING, PACKED_RECORD_BYTES } from '../../engine/ingest/packed.ts';
import type { Rejected } from '../../engine/ingest/source.ts';
import { createTickProducer } from '../../engine/ingest/tick-producer.ts';
import { type DlqOptions, listLetters, readable, replayDlq, showLetter } from '../../engine/monitor/dlq.ts';
import { connectClient, disconnectProducer, producerSettings } from '../../engine/sinks/kafka/client.ts';
import { deadLetterOf, LETTER_RAW_BYTES_MAX } from '../../engine/sinks/kafka/dlq.ts';
import { type Broker, createTopic, NO_BROKER, openReal, REAL_BROKER, readCommitted, uniquePrefix } from './kafka-harness.ts';

const START_MS = 1_700_000_000_000;
const PARTITION = 1;
const POISON = '{"symbol":"A","event_ts":"soon"}';

describe.skipIf(REAL_BROKER === undefined)(REAL_BROKER === undefined ? NO_BROKER : 'dlq', () => {
  const prefix = uniquePrefix('dlqtool');
  const topic = `${prefix}ticks`;
  const { config } = loadConfig({ environment: { TOPIC_PREFIX: prefix, KAFKA_BROKER: REAL_BROKER ?? '' } });
  const symbols = [
    { symbol: 'P1', kind: 'trade' as const, priceDecimals: 2, lotDecimals: 0 },
    { symbol: 'P2', kind: 'trade' as const, priceDecimals: 3, lotDecimals: 1 },
  ];
  const badRecord = { symbolRef: 1, tsEventNs: 5n, price: -1, quantityLots: 3n, ask: 0 };
  let broker: Broker;

  async function run(command: (config: Config, options: DlqOptions, say: (line: string) => void) => Promise<number>, options: DlqOptions) {
    const lines: string[] = [];
    const code = await command(config, options, (line) => lines.push(line));
    return { code, text: lines.join('\n') };
  }

  beforeAll(async () => {
    broker = await openReal();
    await createTopic(broker, topic, 3);
    await createTopic(broker, `${prefix}dlq`, 1);
    const packed = encodePacked(symbols, [{ ...badRecord, price: 1 }, badRecord]);
    const ticks = await createTickProducer(broker.library, broker.brokers, topic);
    ticks.sendRaw(PARTITION, Buffer.from(POISON));
    ticks.sendRaw(PARTITION, Buffer.from([0xff, 0xfe, 0x01]));
    ticks.sendRaw(PARTITION, packed, PACKED_ENCODING);
    await ticks.flush(10_000);
    await ticks.close();
    const refused = (offset: bigint, reason: string, raw: Uint8Array, recordIndex = -1): Rejected => ({
      topic,
      partition: PARTITION,
      offset,
      recordIndex,
      reason,
      raw,
    });
    const letters = [
      refused(0n, 'malformed', Buffer.from(POISON)),
      refused(1n, 'malformed', Buffer.from([0xff, 0xfe, 0x01])),
      refused(2n, 'priceNotPositive', packed.subarray(packed.length - PACKED_RECORD_BYTES), 1),
      // Offsets that the topic does not hold: the letter's own bytes must do, if it has them all.
      refused(99n, 'malformed', Buffer.from('gone')),
      refused(100n, 'malformed', Buffer.alloc(LETTER_RAW_BYTES_MAX + 1, 'x')),
    ];
    const producer = new broker.library.Producer(producerSettings(broker.brokers, 0), {});
    await connectClient(producer, broker.brokers, 60_000);
    for (const [index, letter] of letters.entries()) {
      const { key, json } = deadLetterOf(letter, START_MS + index * 1000);
      producer.produce(`${prefix}dlq`, 0, Buffer.from(json), key, null);
    }
    producer.produce(`${prefix}dlq`, 0, Buffer.from('no letter'), 'x', null);
    await disconnectProducer(producer, 60_000);
  });

  it('lists letters by reason, topic and partition, with their offsets and times', async () => {
    const { code, text } = await run(listLetters, {});
    expect(code).toBe(0);
    const fields = text.split('\n').map((line) => line.split(/ {2,}/));
    expect(text).toContain('1 messages of');
    expect(fields).toContainEqual(['malformed', topic, '1', '4', '0', '0', '100', '2023-11-14T22:13:20.000Z', '2023-11-14T22:13:24.000Z']);
    expect(fields).toContainEqual([
      'priceNotPositive',
      topic,
      '1',
      '1',
      '0',
      '2',
      '2',
      '2023-11-14T22:13:22.000Z',
      '2023-11-14T22:13:22.000Z',
    ]);
    expect((await run(listLetters, { reason: 'priceNotPositive' })).text).not.toContain('malformed');
    expect((await run(listLetters, { topic: 'other' })).text).toContain('no letters in');
    expect((await run(listLetters, { reason: 'malformed', limit: '2' })).text).toContain('2 letters.');
    await expect(run(listLetters, { limit: 'few' })).rejects.toThrow("--limit 'few': expected a whole number");
  });

  it('shows a letter by its own place or by that of the message, as text or as hex', async () => {
    const own = await run(showLetter, { partition: '0', offset: '0' });
    expect(own.text).toContain(`message    ${topic}, partition 1, offset 0, the whole message`);
    expect(own.text).toContain(`bytes      ${POISON.length}, as text:\n${POISON}`);
    const original = await run(showLetter, { partition: '1', offset: '1', original: true });
    expect(original.text).toContain('as hex:\nfffe01');
    expect((await run(showLetter, { partition: '1', offset: '2', original: true })).text).toContain('record 1 of a packed message');
    expect((await run(showLetter, { partition: '0', offset: '4' })).text).toContain('bytes      700000, the first 700000 of 700001');
    await expect(run(showLetter, { partition: '0', offset: '77' })).rejects.toThrow('npm run dlq -- list');
    await expect(run(showLetter, {})).rejects.toThrow('--partition and --offset');
  });

  it('replays each letter once, to where it came from, and says what it cannot send', async () => {
    await expect(run(replayDlq, {})).rejects.toThrow('--dry-run');
    const dry = await run(replayDlq, { dryRun: true });
    expect(dry.text).toContain('would send 4, skipped 0 that were replayed before, cannot send 1');
    expect((await readCommitted(broker, topic)).length).toBe(3);

    const first = await run(replayDlq, { yes: true, limit: '2' });
    expect(first).toEqual({ code: 0, text: 'sent 2, skipped 0 that were replayed before, cannot send 0' });
    const second = await run(replayDlq, { yes: true });
    expect(second.code).toBe(1);
    expect(second.text).toContain('sent 2, skipped 2 that were replayed before, cannot send 1');
    expect(second.text).toContain('letter 0:4: the letter holds 700000 of 700001 bytes');
    expect((await run(replayDlq, { yes: true })).text).toContain('sent 0, skipped 4');

    const again = (await readCommitted(broker, topic)).filter(({ offset }) => offset > 2);
    const headersOf = (headers: (typeof again)[number]['headers']) =>
      Object.assign(
        {},
        ...(headers ?? []).map((header) => Object.fromEntries(Object.entries(header).map(([key, value]) => [key, String(value)]))),
      );
    expect(again.map(({ partition, headers }) => [partition, headersOf(headers)['dlq-replay']])).toEqual(
      ['0:0', '0:1', '0:2', '0:3'].map((id) => [PARTITION, id]),
    );
    expect(again.map(({ key }) => String(key))).toEqual(['raw', 'raw', 'raw', '']);
    expect([String(again[0]?.value), String(again[3]?.value)]).toEqual([POISON, 'gone']);
    expect(headersOf(again[2]?.headers)['encoding']).toBe(PACKED_ENCODING);
    expect(decodePacked(again[2]?.value ?? new Uint8Array())).toMatchObject({
      header: { symbols: [symbols[1]] },
      records: [{ tick: { ...badRecord, symbolRef: 0 } }],
    });
    expect((await run(listLetters, {})).text).toMatch(/malformed +\S+ +1 +4 +3 /);
  });

  it('reads valid UTF-8 as text and anything else as hex', () => {
    expect(readable(Buffer.from('ü'))).toEqual({ text: 'ü', form: 'text' });
    expect(readable(Buffer.alloc(33, 0xff))).toEqual({ text: `${'ff'.repeat(32)}\nff`, form: 'hex' });
  });
});
