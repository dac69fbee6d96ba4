/** Greetings of brokers in the process that do as they are told. */
import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import type { Security } from '../../config/kafka-access.ts';
import { textOf } from './connection.ts';
import { greetBrokers } from './greeting.ts';
import { sendAnswer, startWireServer, type WireCall, type WireServer, wireBytes } from './wire-server.ts';

const METADATA = 3;
const HANDSHAKE = 17;
const AUTHENTICATE = 36;
const VERSIONS = [
  [METADATA, 0, 12],
  [HANDSHAKE, 0, 1],
  [AUTHENTICATE, 0, 2],
] as const;

const SASL: Security = { sasl: { mechanism: 'SCRAM-SHA-256', username: 'engine', password: () => 'hunter2' } };

const servers: WireServer[] = [];

async function start(answer: (call: WireCall) => Uint8Array | undefined): Promise<string> {
  const server = await startWireServer(VERSIONS, answer);
  servers.push(server);
  return textOf(server.address);
}

/** The answer of a broker that has no other broker and no topic. */
function metadata(): Uint8Array {
  return wireBytes((writer) => {
    writer.int32(0);
    writer.compactCount(0);
    writer.compactString('cluster');
    writer.int32(1);
    writer.compactCount(0);
    writer.int32(0);
    writer.noTags();
  });
}

/** Answers SaslHandshake, whose header has no tagged fields. */
function handshake(call: WireCall, code: number, mechanisms: readonly string[]): undefined {
  const names = mechanisms.map((name) => Buffer.concat([wireBytes((writer) => writer.int16(name.length)), Buffer.from(name)]));
  const head = wireBytes((writer) => {
    writer.int16(code);
    writer.int32(names.length);
  });
  sendAnswer(call, Buffer.concat([head, ...names]), false);
  return undefined;
}

/** A broker that refuses whoever comes, by a code and a text. */
function refusal(code: number, text: string): Uint8Array {
  return wireBytes((writer) => {
    writer.int16(code);
    writer.compactString(text);
    writer.compactCount(0);
    writer.int32(0);
    writer.int32(0);
    writer.noTags();
  });
}

function hangUp({ socket }: WireCall): undefined {
  socket.destroy();
  return undefined;
}

async function failureOf(brokers: string, security: Security): Promise<Error> {
  const failure: unknown = await greetBrokers({ brokers, security }).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(Error);
  // A cast: checked just before.
  return failure as Error;
}

describe('a greeting', () => {
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });

  it('is content with one broker that lets this client in, whatever the others say', async () => {
    const good = await start(() => metadata());
    const bad = await start((call) => (call.apiKey === HANDSHAKE ? handshake(call, 0, ['PLAIN']) : hangUp(call)));
    await greetBrokers({ brokers: `${bad},${good}` });
    expect(servers[0]?.calls.map(({ apiKey }) => apiKey)).toContain(METADATA);
  });

  it('leaves brokers that are away, and that hang up for no reason of access, to those who wait for them', async () => {
    const silent = await start((call) => (call.apiKey === HANDSHAKE ? handshake(call, 34, []) : hangUp(call)));
    const mute = await start(hangUp);
    await greetBrokers({ brokers: silent });
    await greetBrokers({ brokers: mute });
    await servers[1]?.close();
    await greetBrokers({ brokers: mute });
    await greetBrokers({ brokers: mute, security: SASL });
  });

  it('says that a broker wants SASL which hangs up on strangers', async () => {
    const broker = await start((call) => (call.apiKey === HANDSHAKE ? handshake(call, 33, ['SCRAM-SHA-512', 'PLAIN']) : hangUp(call)));
    expect(await failureOf(broker, {})).toMatchObject({
      code: 'KAFKA_SECURITY',
      retryable: false,
      message: `broker ${broker} wants SASL: KAFKA_SECURITY_PROTOCOL is plaintext, expected sasl_plaintext with one of SCRAM-SHA-512, PLAIN`,
    });
  });

  it('says which mechanisms a broker has instead, or that it has none', async () => {
    let mechanisms = ['PLAIN'];
    const broker = await start((call) => (call.apiKey === HANDSHAKE ? handshake(call, 33, mechanisms) : undefined));
    const begin = `broker ${broker}, SASL SCRAM-SHA-256 as 'engine':`;
    expect(await failureOf(broker, SASL)).toMatchObject({
      code: 'KAFKA_REFUSED',
      message: `${begin} it does not take this mechanism; KAFKA_SASL_MECHANISM is to be one of PLAIN`,
    });
    mechanisms = [];
    expect((await failureOf(broker, SASL)).message).toBe(
      `${begin} this listener has no SASL; KAFKA_SECURITY_PROTOCOL is to be plaintext or ssl`,
    );
  });

  it('says what a broker has against a user, without the password', async () => {
    const broker = await start((call) =>
      call.apiKey === HANDSHAKE ? handshake(call, 0, ['SCRAM-SHA-256']) : refusal(58, 'invalid credentials'),
    );
    const failure = await failureOf(broker, SASL);
    expect(failure).toMatchObject({ code: 'KAFKA_REFUSED', retryable: false });
    expect(failure.message).toBe(
      `broker ${broker}, SASL SCRAM-SHA-256 as 'engine': invalid credentials; are KAFKA_USERNAME and KAFKA_PASSWORD right?`,
    );
    expect(inspect(failure, { depth: 9 })).not.toContain('hunter2');
  });

  it('does not take a line that ends while a user is proven for a refusal', async () => {
    const broker = await start((call) => (call.apiKey === HANDSHAKE ? handshake(call, 0, ['SCRAM-SHA-256']) : hangUp(call)));
    await greetBrokers({ brokers: broker, security: SASL });
    expect(servers[0]?.calls.map(({ apiKey }) => apiKey)).toContain(AUTHENTICATE);
  });
});
