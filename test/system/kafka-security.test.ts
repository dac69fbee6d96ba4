/** Both lanes against a real broker that wants TLS and a user, and what is said to those whom it turns away. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kafkaAccess } from '../../config/kafka-access.ts';
import { loadConfig } from '../../config/load.ts';
import { createTickProducer } from '../../engine/ingest/tick-producer.ts';
import { connectClient, connectionSettings, greetAccess, requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { openClient } from '../order-client.ts';
import { createWorkspace, type EngineResult, runToEnd, startEngine } from './engine-process.ts';
import { readCommitted, uniquePrefix, until } from './kafka-harness.ts';
import { whyNoLocal } from './kafka-local-broker.ts';
import { openSecureBroker, type SecureBroker, USER } from './secure-broker.ts';

const WRONG = 'Somebody elses secret';
const TICKS = 2000;
const POISON = 'not json';

const NO_BROKER = whyNoLocal();

describe.skipIf(NO_BROKER !== undefined)(`Kafka through TLS and SASL${NO_BROKER === undefined ? '' : ` (${NO_BROKER})`}`, () => {
  const workspace = createWorkspace(`t${process.pid}_sec_`);
  let broker: SecureBroker;
  beforeAll(async () => {
    broker = await openSecureBroker();
  });
  afterAll(async () => {
    await broker?.close();
    await workspace.cleanUp();
  });

  const scram = (): Record<string, string> => ({
    KAFKA_BROKER: broker.saslSsl,
    KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
    KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
    KAFKA_USERNAME: USER.name,
    KAFKA_PASSWORD: USER.password,
    KAFKA_SSL_CA: broker.caFile,
  });
  const accessOfKnobs = (environment: Record<string, string>) => kafkaAccess(loadConfig({ environment }).config);

  /** A folder of the engine's own, so that its log is all that it said. */
  function placeOf(name: string) {
    const folder = join(workspace.folder, name);
    mkdirSync(folder);
    const prefix = uniquePrefix(`sec-${name}`);
    const settings = { TOPIC_PREFIX: prefix, KAFKA_GROUP: prefix, PG_SCHEMA: `t${process.pid}_sec_${name}`, IDLE_MS: '3600000' };
    return { folder, prefix, settings };
  }

  /** Everything that an engine said: on its output, in its log and in its summary. */
  function saidBy({ output, summary }: EngineResult, folder: string): string {
    return [output, readFileSync(join(folder, 'engine.log'), 'utf8'), JSON.stringify(summary ?? {})].join('\n');
  }

  /** The topics are the same ones on the listener in the clear. */
  async function valuesOf(topic: string): Promise<string[]> {
    const library = await requireRdkafka();
    const messages: Message[] = await readCommitted({ library, brokers: broker.plaintext, close: async () => undefined }, topic);
    return messages.map(({ value }) => String(value));
  }

  /** An order that rests, and one that takes it. */
  async function trade(port: number): Promise<void> {
    const client = await openClient(port);
    const order = { op: 'new', symbol: 'BTCUSDT', qty: 3, price: 100 };
    expect(await client.send({ ...order, side: 'SELL' })).toMatchObject({ ok: true, leaves: 3 });
    expect(await client.send({ ...order, side: 'BUY' })).toMatchObject({ ok: true, filled: 3 });
    client.close();
  }

  async function feed(topic: string, environment: Record<string, string>): Promise<void> {
    const producer = await createTickProducer(await requireRdkafka(), accessOfKnobs(environment), topic);
    const startNs = 1_700_000_000_000_000_000n;
    for (let index = 0; index < TICKS; index += 1) {
      const tsEventNs = startNs + BigInt(index) * 10_000_000n;
      producer.sendJson({ symbol: `S${index % 10}`, tsEventNs, price: 100 + (index % 7), quantityLots: 1n });
    }
    producer.sendRaw(0, Buffer.from(POISON));
    await producer.flush(60_000);
    await producer.close();
  }

  it.each([
    { lane: 'librdkafka', mechanism: 'PLAIN', isFile: true },
    { lane: 'direct', mechanism: 'SCRAM-SHA-512', isFile: false },
  ])('takes ticks in and gives bars, letters and fills out, lane $lane, $mechanism', async ({ lane, mechanism, isFile }) => {
    const { folder, prefix, settings } = placeOf(lane);
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, `${USER.password}\n`);
    const knobs = {
      ...scram(),
      ...settings,
      ...(isFile ? { KAFKA_PASSWORD: '', KAFKA_PASSWORD_FILE: passwordFile } : {}),
      KAFKA_SASL_MECHANISM: mechanism,
      SOURCE: 'kafka',
      KAFKA_LANE: lane,
      MATCHER: 'on',
      MATCHER_PORT: '0',
      ORDER_JOURNAL: 'kafka',
      WORKERS: '1',
    };
    const engine = startEngine([], knobs, folder);
    const [, url] = await engine.waitFor(/metrics +(http:\S+)\/metrics/);
    const [, port] = await engine.waitFor(/orders on 127\.0\.0\.1:(\d+)/);
    await trade(Number(port));
    await feed(`${prefix}ticks`, knobs);
    let page = '';
    const look = async (): Promise<void> => {
      page = await (await fetch(`${url}/metrics`)).text();
      if (!page.includes(`tickwright_ticks_offered_total ${TICKS + 1}\n`)) setTimeout(() => void look(), 100);
    };
    void look();
    await until('every tick offered', () => page.includes(`tickwright_ticks_offered_total ${TICKS + 1}\n`));
    engine.process.kill('SIGTERM');
    const result = await engine.done;
    expect(result.code, result.output).toBe(0);
    expect(result.summary).toMatchObject({ accepted: TICKS, isConserved: true, refused: { malformed: 1 } });

    const seconds = (await valuesOf(`${prefix}bars.1s`)).map((text) => JSON.parse(text) as { n_trades: number });
    expect(seconds.length).toBeGreaterThan(150);
    expect(seconds.length).toBe(result.summary?.bars.find(({ timeframe }) => timeframe === '1s')?.final);
    expect((await valuesOf(`${prefix}dlq`)).map((text) => JSON.parse(text) as unknown)).toMatchObject([{ reason: 'malformed' }]);
    expect(await valuesOf(`${prefix}orders`)).toHaveLength(2);
    expect(await valuesOf(`${prefix}fills`)).toHaveLength(2);
    const said = saidBy(result, folder);
    expect(said).toContain(`${broker.saslSsl} (sasl_ssl, ${mechanism} as ${USER.name})`);
    expect(said).not.toContain(USER.password);

    const replayed = await runToEnd(['dlq', 'replay', '--yes'], knobs, folder);
    expect(replayed.output).toMatch(/sent 1, skipped 0/);
    expect(replayed.output).not.toContain(USER.password);
    expect((await valuesOf(`${prefix}ticks`)).filter((text) => text === POISON)).toHaveLength(2);
  });

  it('writes its own ticks, for others to read and to read back', async () => {
    const { folder, prefix, settings } = placeOf('stage');
    const sim = { SIM_SYMBOLS: '10', SIM_BASE_TPS: '20', SIM_DURATION_SEC: '1', KAFKA_LANE: 'auto' };
    const stage = await runToEnd([], { ...scram(), ...settings, ...sim, STAGES: 'ingest' }, folder);
    expect(stage.code, stage.output).toBe(0);
    const written = (await valuesOf(`${prefix}ticks`)).length;
    expect(written).toBeGreaterThan(100);
    const logFirst = await runToEnd([], { ...scram(), ...settings, ...sim, INGEST_MODE: 'log-first', PUBLISH_TICKS: 'json' }, folder);
    expect(logFirst.code, logFirst.output).toBe(0);
    const total = (await valuesOf(`${prefix}ticks`)).length;
    expect(total).toBeGreaterThan(written);
    expect(logFirst.summary).toMatchObject({ offered: total, isConserved: true });
    expect(saidBy(logFirst, folder)).not.toContain(USER.password);
  });

  it('ends with a wrong password and says at which broker and how it was tried, and not the password', async () => {
    for (const args of [[], ['dlq', 'list']]) {
      const { folder, settings } = placeOf(`wrong${args.length}`);
      const result = await runToEnd(args, { ...scram(), ...settings, SOURCE: 'kafka', KAFKA_PASSWORD: WRONG, LOG_LEVEL: 'debug' }, folder);
      expect(result.code, result.output).not.toBe(0);
      expect(result.output).toContain(`broker ${broker.saslSsl}, SASL SCRAM-SHA-512 as '${USER.name}': Authentication failed`);
      expect(result.output).not.toContain(WRONG);
    }
  });

  it('says what is wrong to every client that comes in the wrong way', async () => {
    const library = await requireRdkafka();
    const { KAFKA_BROKER: _broker, ...user } = scram();
    const ssl = { KAFKA_SECURITY_PROTOCOL: 'ssl', KAFKA_SSL_CA: broker.caFile };
    const { KAFKA_SSL_CA: _ca, ...withoutCa } = user;
    const cases: readonly (readonly [Record<string, string>, string, RegExp])[] = [
      [{}, broker.saslSsl, /speaks TLS: KAFKA_SECURITY_PROTOCOL is plaintext, expected ssl or sasl_ssl/],
      [
        { ...withoutCa, KAFKA_SECURITY_PROTOCOL: 'sasl_plaintext' },
        broker.saslSsl,
        /speaks TLS: KAFKA_SECURITY_PROTOCOL is sasl_plaintext/,
      ],
      [ssl, broker.plaintext, /speaks in the clear: KAFKA_SECURITY_PROTOCOL is ssl, expected plaintext or sasl_plaintext/],
      [user, broker.saslPlaintext, /speaks in the clear: KAFKA_SECURITY_PROTOCOL is sasl_ssl/],
      [{}, broker.saslPlaintext, /wants SASL: KAFKA_SECURITY_PROTOCOL is plaintext, expected sasl_plaintext with one of SCRAM-SHA-256/],
      [ssl, broker.saslSsl, /wants SASL: KAFKA_SECURITY_PROTOCOL is ssl, expected sasl_ssl with one of .*SCRAM-SHA-512/],
      [user, broker.ssl, /this listener has no SASL; KAFKA_SECURITY_PROTOCOL is to be plaintext or ssl/],
      [
        { ...withoutCa, KAFKA_SECURITY_PROTOCOL: 'sasl_plaintext' },
        broker.saslPlaintext,
        /SASL SCRAM-SHA-512 as 'tick.wright': it does not take this mechanism; KAFKA_SASL_MECHANISM is to be one of SCRAM-SHA-256/,
      ],
      [
        { ...user, KAFKA_SASL_MECHANISM: 'PLAIN', KAFKA_PASSWORD: WRONG },
        broker.saslSsl,
        /SASL PLAIN as 'tick.wright': Authentication failed/,
      ],
      [{ ...user, KAFKA_SSL_CA: broker.otherCaFile }, broker.saslSsl, /its certificate is not trusted: .*; is KAFKA_SSL_CA the authority/],
      [withoutCa, broker.saslSsl, /its certificate is not trusted: self-signed certificate/],
    ];
    for (const [knobs, brokers, expected] of cases) {
      const access = accessOfKnobs({ ...knobs, KAFKA_BROKER: brokers });
      const code = expect.stringMatching(/^KAFKA_(SECURITY|REFUSED)$/);
      const error = { code, retryable: false, message: expect.stringMatching(expected) };
      await expect(greetAccess(library, access), expected.source).rejects.toMatchObject(error);
    }
    for (const [knobs, brokers] of [
      [{}, broker.plaintext],
      [ssl, broker.ssl],
      [{ ...withoutCa, KAFKA_SECURITY_PROTOCOL: 'sasl_plaintext', KAFKA_SASL_MECHANISM: 'SCRAM-SHA-256' }, broker.saslPlaintext],
      [user, `127.0.0.1:1,${broker.saslSsl}`],
    ] as const) {
      await greetAccess(library, accessOfKnobs({ ...knobs, KAFKA_BROKER: brokers }));
    }
  });

  it('tells a client of librdkafka, which only hears that nobody answers, why', async () => {
    const library = await requireRdkafka();
    const access = accessOfKnobs({ ...scram(), KAFKA_PASSWORD: WRONG });
    const client = new library.KafkaConsumer({ ...connectionSettings(access), 'group.id': uniquePrefix('sec') }, {});
    const error = { code: 'KAFKA_REFUSED', message: expect.stringContaining('are KAFKA_USERNAME and KAFKA_PASSWORD right?') };
    await expect(connectClient(client, access, 2000)).rejects.toMatchObject(error);
  });

  it('is refused before it tries by a librdkafka that was built without what is needed', async () => {
    const library = { features: ['gzip', 'sasl_plain'] };
    await expect(greetAccess(library, accessOfKnobs(scram()))).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
      message: expect.stringMatching(/built without ssl and sasl_scram, which sasl_ssl, SCRAM-SHA-512 as tick.wright needs/),
    });
  });
});
