import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as L from '../../../schemas/layout.gen.ts';
import { OUT_KIND } from '../../../schemas/records.ts';
import { SYSTEM_CLOCK } from '../../core/clock.ts';
import { allocateSymbols, openSymbols } from '../../market/instruments.ts';
import { murmur2Part } from '../../market/murmur2.ts';
import { parseTimeframes } from '../../market/timeframes.ts';
import { allocateRing, createRing } from '../../memory/ring.ts';
import { createBarPublisher } from './publisher.ts';
import type { DeliveryReport, Metadata, Producer, Rdkafka, RdkafkaError } from './rdkafka.ts';

/** What the next messages meet: accepted, a full queue, or a failure that ends the producer before the message is stored. */
type Fate = 'stored' | 'full' | 'failed' | 'refused';

interface Stored {
  readonly symbol: string;
  readonly ts: number;
}

const PARTITIONS = 3;
const SYMBOLS = 5;
const TIMEFRAMES = parseTimeframes('1s');

function rdkafkaError(code: number, message: string): RdkafkaError {
  return Object.assign(new Error(message), { code });
}

/**
 * A broker of three partitions behind librdkafka's interface, which does with each message what the script says. As with an
 * idempotent producer that keeps no gaps, nothing behind a failed message is stored until there is another producer.
 */
function scriptedRdkafka(script: readonly Fate[]): {
  readonly library: Rdkafka;
  readonly log: Stored[][];
  readonly producers: () => number;
} {
  const log: Stored[][] = Array.from({ length: PARTITIONS }, () => []);
  let turn = 0;
  let producers = 0;
  const nextFate = (): Fate => {
    const fate = script[turn % Math.max(1, script.length)] ?? 'stored';
    turn += 1;
    // In the end everything is stored, or a run would not end.
    return turn > 4 * script.length ? 'stored' : fate;
  };

  class ScriptedProducer implements Producer {
    isOpen = false;
    hasFailed = false;
    readonly reports: { error: RdkafkaError | null; report: DeliveryReport }[] = [];
    readonly listeners: ((error: RdkafkaError | null, report: DeliveryReport) => void)[] = [];

    connect(_options: object, done: (error: RdkafkaError | null, metadata: Metadata) => void): void {
      producers += 1;
      this.isOpen = true;
      setImmediate(() => done(null, { topics: [], brokers: [] }));
    }

    produce(
      topic: string,
      _partition: number | null,
      value: Buffer,
      key: Buffer | string,
      _timestamp: number | null,
      opaque?: unknown,
    ): void {
      const fate = this.hasFailed ? 'failed' : nextFate();
      if (fate === 'full') throw rdkafkaError(-184, 'Local: Queue full');
      if (fate === 'refused') throw rdkafkaError(-150, 'Local: Fatal error');
      const partition = murmur2Part(Buffer.from(key), PARTITIONS);
      const report = { topic, partition, offset: 0, opaque };
      if (fate === 'failed') {
        this.hasFailed = true;
        this.reports.push({ error: rdkafkaError(-148, 'Local: Gapless guarantee'), report });
        return;
      }
      const { symbol, ts } = JSON.parse(String(value));
      log[partition]!.push({ symbol, ts });
      this.reports.push({ error: null, report });
    }

    poll(): void {
      const due = this.reports.splice(0);
      setImmediate(() => {
        for (const { error, report } of due) for (const listener of this.listeners) listener(error, report);
      });
    }

    on(event: string, listener: (error: never, report: never) => void): void {
      // A cast: the two events have listeners of different shapes, and only reports are sent here.
      if (event === 'delivery-report') this.listeners.push(listener as (error: RdkafkaError | null, report: DeliveryReport) => void);
    }

    disconnect(_timeoutMs: number, done: () => void): void {
      this.poll();
      this.isOpen = false;
      setImmediate(done);
    }

    flush(_timeoutMs: number, done: (error: RdkafkaError | null) => void): void {
      setImmediate(() => done(null));
    }

    isConnected(): boolean {
      return this.isOpen;
    }

    getMetadata(): void {
      throw new Error('the publisher asks for no metadata');
    }

    queryWatermarkOffsets(): void {
      throw new Error('the publisher asks for no offsets');
    }
  }

  const absent = (): never => {
    throw new Error('the publisher only produces');
  };
  const library: Rdkafka = {
    Producer: ScriptedProducer,
    get KafkaConsumer(): never {
      return absent();
    },
    AdminClient: { create: absent },
    librdkafkaVersion: 'scripted',
  };
  return { library, log, producers: () => producers };
}

const fates = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: fc.constant<Fate>('stored') },
    { weight: 3, arbitrary: fc.constant<Fate>('full') },
    { weight: 1, arbitrary: fc.constant<Fate>('failed') },
    { weight: 1, arbitrary: fc.constant<Fate>('refused') },
  ),
  { minLength: 8, maxLength: 60 },
);

it('stores every bar, in order by symbol, whatever fails on the way', { timeout: 120_000 }, async () => {
  const seed = Number(process.env['SEED'] ?? 20_261_121);
  await fc.assert(
    fc.asyncProperty(fates, fc.integer({ min: 1, max: 24 }), async (script, seconds) => {
      const { library, log } = scriptedRdkafka(script);
      const committedRing = allocateRing(32, L.BAR_SIZE);
      const ring = createRing(committedRing, 0);
      const symbols = openSymbols(allocateSymbols(SYMBOLS));
      for (let index = 0; index < SYMBOLS; index += 1) {
        symbols.write(index, {
          name: `S${index}`,
          partition: 0,
          shard: 0,
          localIndex: index,
          priceDecimals: 2,
          lotDecimals: 0,
          isQuote: false,
        });
      }
      const publisher = createBarPublisher({
        library,
        brokers: 'scripted',
        prefix: '',
        committedRing,
        symbols,
        timeframes: TIMEFRAMES,
        clock: SYSTEM_CLOCK,
        isLive: false,
        lingerMs: 0,
        retryFirstMs: 1,
      });
      await publisher.connect();
      const record = new Int32Array(L.BAR_SIZE >> 2);
      record[L.BAR_KIND_I32] = OUT_KIND.barFinal;
      for (let second = 1; second <= seconds; second += 1) {
        for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
          while (ring.free() === 0) await publisher.drain(1);
          record[L.BAR_SYMBOL_INDEX_I32] = symbol;
          new BigInt64Array(record.buffer)[L.BAR_TS_START_NS_I64] = BigInt(second) * 1_000_000_000n;
          ring.publish(record, 0, 1);
        }
      }
      expect(await publisher.drain(30_000)).toBe(0);
      expect(publisher.totals()).toMatchObject({ acked: seconds * SYMBOLS, inFlight: 0, outstanding: 0 });
      expect(publisher.counters().published[0]).toBe(seconds * SYMBOLS);
      expect(publisher.health().isUp).toBe(true);
      const everySecond = Array.from({ length: seconds }, (_, index) => index + 1);
      for (let symbol = 0; symbol < SYMBOLS; symbol += 1) {
        const home = log[murmur2Part(Buffer.from(`S${symbol}`), PARTITIONS)]!;
        const times = home.filter((bar) => bar.symbol === `S${symbol}`).map((bar) => bar.ts);
        expect(times).toEqual(everySecond);
      }
      await publisher.close();
    }),
    { seed, numRuns: 40 },
  );
});

it('counts failures by their text, says so in its health, and how many bars were sent again', async () => {
  const { library, producers } = scriptedRdkafka(['stored', 'failed']);
  const committedRing = allocateRing(32, L.BAR_SIZE);
  const ring = createRing(committedRing, 0);
  const symbols = openSymbols(allocateSymbols(1));
  symbols.write(0, { name: 'S0', partition: 0, shard: 0, localIndex: 0, priceDecimals: 2, lotDecimals: 0, isQuote: false });
  const options = { library, brokers: 'scripted', prefix: '', committedRing, symbols, timeframes: TIMEFRAMES, clock: SYSTEM_CLOCK };
  const publisher = createBarPublisher({ ...options, isLive: false, lingerMs: 0, retryFirstMs: 1 });
  expect(publisher.health()).toMatchObject({ isUp: false, detail: 'not connected yet' });
  await publisher.connect();
  const record = new Int32Array(L.BAR_SIZE >> 2);
  for (let second = 1; second <= 3; second += 1) ring.publish(record, 0, 1);
  publisher.poll();
  publisher.poll();
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  expect(publisher.health()).toMatchObject({ isUp: false, detail: 'Local: Gapless guarantee' });
  expect(await publisher.drain(10_000)).toBe(0);
  expect(producers()).toBeGreaterThan(1);
  expect(publisher.counters().failed.get('Local: Gapless guarantee')).toBeGreaterThanOrEqual(1);
  expect(publisher.totals().retried).toBeGreaterThanOrEqual(2);
  await publisher.close();
  expect(publisher.health()).toMatchObject({ isUp: false, detail: 'closed' });
});
