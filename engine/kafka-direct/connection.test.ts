/** A broker connection against a broker in the process that does as it is told. */
import { apiVersionsV3 } from '@platformatic/kafka';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { assertApi, type BrokerConnection, connectBroker, parseBrokers, type WireRequest } from './connection.ts';
import { sendAnswer, startWireServer, type WireCall, type WireServer, wireBytes } from './wire-server.ts';

const TIMEOUT_MS = 200;
const ECHO = 1;
const SASL_HANDSHAKE = 17;
const SASL_AUTHENTICATE = 36;
const VERSIONS = [[ECHO, 4, 12]] as const;

const closing: (() => Promise<void>)[] = [];

async function open(
  answer: (call: WireCall) => Uint8Array | undefined,
  timeoutMs = TIMEOUT_MS,
): Promise<{ server: WireServer; broker: BrokerConnection }> {
  const server = await startWireServer(VERSIONS, answer);
  const broker = await connectBroker(server.address, { clientId: 'test', timeoutMs });
  closing.push(
    () => broker.close(),
    () => server.close(),
  );
  return { server, broker };
}

/** A request of a number; the answer is the number that came back. */
function echo(value: number): WireRequest<number> {
  const body = wireBytes((writer) => writer.int32(value));
  return { what: `echo ${value}`, apiKey: ECHO, version: 12, isFlexible: true, body: [body], read: (answer) => answer.int32() };
}

describe('a broker connection', () => {
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it('knows the versions that the broker has, and refuses those it has not by name', async () => {
    const { broker } = await open(() => undefined);
    expect([...broker.versions]).toEqual([[ECHO, { min: 4, max: 12 }]]);
    expect(() => assertApi(broker, { key: ECHO, version: 12 }, 'Fetch')).not.toThrow();
    expect(() => assertApi(broker, { key: ECHO, version: 13 }, 'Fetch')).toThrow(/Fetch version 13, it has 4 to 12/);
    expect(() => assertApi(broker, { key: 0, version: 9 }, 'Produce')).toThrow(/Produce version 9, it has none/);
  });

  it('gives each of several requests under way its own answer', async () => {
    const { broker } = await open(({ body }) => body);
    const values = Array.from({ length: 20 }, (_, index) => index * 7 - 3);
    expect(await Promise.all(values.map((value) => broker.ask(echo(value))))).toEqual(values);
  });

  it('passes chunks of an answer on as they came, without joining them', async () => {
    const large = Buffer.alloc(1 << 20, 7);
    const { broker } = await open(() => large);
    const taken = await broker.ask({ ...echo(0), read: (answer) => answer.take(answer.left) });
    expect(taken.length).toBeGreaterThan(1);
    expect(Buffer.concat(taken).equals(large)).toBe(true);
  });

  it('writes the parts of a request behind its header as they lie, in the order in which it was asked', async () => {
    const { broker, server } = await open(({ body }) => wireBytes((writer) => writer.int32(body.length)), 10_000);
    const requests = Array.from({ length: 12 }, (_, index) => {
      const parts = Array.from({ length: index }, (_, part) => Buffer.alloc(1 + part * 4000, index * 16 + part));
      return { ...echo(index), body: parts, bytes: Buffer.concat(parts) };
    });
    const joined = vi.spyOn(Buffer, 'concat');
    const largest = (): number => Math.max(...joined.mock.calls.map(([, total = 0]) => total));
    try {
      const answers = requests.flatMap((request) => [broker.ask(request), broker.call('versions', apiVersionsV3.api, 'test', '1')]);
      // The library joins what it is given before it writes: headers, and its own requests.
      expect(joined).toHaveBeenCalledTimes(answers.length);
      expect(largest()).toBeLessThan(100);
      const lengths = (await Promise.all(answers)).filter((answer) => typeof answer === 'number');
      expect(lengths).toEqual(requests.map(({ bytes }) => bytes.length));
    } finally {
      joined.mockRestore();
    }
    const received = server.calls.filter(({ apiKey }) => apiKey === ECHO).map(({ body }) => body);
    expect(received.map((body, index) => body.equals(requests[index]!.bytes))).toEqual(requests.map(() => true));
  });

  it('ends when an answer does not come in time, and with it everything under way', async () => {
    const { broker } = await open(({ body }) => (body.readInt32BE(0) === 1 ? body : undefined));
    const answers = [broker.ask(echo(2)), broker.ask(echo(3))];
    await expect(answers[0]).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE', retryable: true, message: /echo 2: no answer in 200 ms/ });
    await expect(answers[1]).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE' });
    expect(broker.isOpen).toBe(false);
    await expect(broker.ask(echo(1))).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE' });
  });

  it('ends with an answer that nobody asked for', async () => {
    const { broker } = await open((call) => {
      sendAnswer({ ...call, correlationId: call.correlationId + 1000 }, call.body, true);
      return undefined;
    });
    await expect(broker.ask(echo(2))).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE', message: /unexpected response/ });
  });

  it('ends when the broker hangs up', async () => {
    const { broker } = await open(({ socket }) => {
      socket.destroy();
      return undefined;
    });
    await expect(broker.ask(echo(2))).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE', retryable: true });
  });

  it('says what is wrong with an answer that is too short, and goes on', async () => {
    const { broker } = await open(({ body }) => body.subarray(0, body.readInt32BE(0) === 1 ? 4 : 2));
    await expect(broker.ask(echo(9))).rejects.toMatchObject({
      code: 'KAFKA_PROTOCOL',
      message: 'echo 9: 4 bytes at byte 0 of an answer of 2',
    });
    expect(await broker.ask(echo(1))).toBe(1);
  });

  it('is refused where nobody listens, and by one who never answers', async () => {
    const server = await startWireServer(VERSIONS, () => undefined);
    await server.close();
    const options = { clientId: 'test', timeoutMs: TIMEOUT_MS };
    await expect(connectBroker(server.address, options)).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE', message: /ECONNREFUSED/ });
    const sasl = { mechanism: 'PLAIN', username: 'u', password: () => 'p' } as const;
    const silent = await startWireServer(VERSIONS, () => undefined);
    closing.push(() => silent.close());
    await expect(connectBroker(silent.address, { ...options, security: { sasl } })).rejects.toMatchObject({
      code: 'KAFKA_UNREACHABLE',
      message: /connecting: no answer in 200 ms/,
    });
  });
});

/** Of a broker that takes any password. `proofs` says for how long each, ms; a handshake is answered when `answerHandshake` says so. */
async function openWithUser(proofs: number[]) {
  let onHandshake: (call: WireCall) => void = answerHandshake;
  const answer = (call: WireCall): Uint8Array | undefined => {
    if (call.apiKey === SASL_AUTHENTICATE) return proofFor(proofs.shift() ?? 0);
    if (call.apiKey !== SASL_HANDSHAKE) return call.body;
    onHandshake(call);
    return undefined;
  };
  const server = await startWireServer([...VERSIONS, [SASL_HANDSHAKE, 0, 1], [SASL_AUTHENTICATE, 0, 2]], answer);
  closing.push(() => server.close());
  const sasl = { mechanism: 'PLAIN', username: 'u', password: () => 'p' } as const;
  const broker = await connectBroker(server.address, { clientId: 'test', timeoutMs: 5000, inFlightMax: 3, security: { sasl } });
  closing.unshift(() => broker.close());
  const nextHandshake = new Promise<WireCall>((resolve) => {
    onHandshake = resolve;
  });
  return { server, broker, nextHandshake };
}

/** No error, and one mechanism. */
function answerHandshake(call: WireCall): void {
  const count = wireBytes((writer) => {
    writer.int16(0);
    writer.int32(1);
    writer.int16('PLAIN'.length);
  });
  sendAnswer(call, Buffer.concat([count, Buffer.from('PLAIN')]), false);
}

function proofFor(lifetimeMs: number): Uint8Array {
  return wireBytes((writer) => {
    writer.int16(0);
    writer.compactString(null);
    writer.compactCount(0);
    writer.int64(BigInt(lifetimeMs));
    writer.noTags();
  });
}

describe('a proof that grows old', () => {
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it('is given anew on the line in use, while everything else waits its turn', async () => {
    const { server, broker, nextHandshake } = await openWithUser([50]);
    const handshake = await nextHandshake;
    const answers = Promise.all([1, 2, 3, 4, 5, 6, 7].map((value) => broker.ask(echo(value))));
    // Whatever were sent before this is answered would be there by now: the line keeps the order.
    answerHandshake(handshake);
    expect(await answers).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const keys = server.calls.map(({ apiKey }) => apiKey);
    expect(keys.slice(keys.lastIndexOf(SASL_HANDSHAKE))).toEqual([SASL_HANDSHAKE, SASL_AUTHENTICATE, ...Array(7).fill(ECHO)]);
    expect(broker.isOpen).toBe(true);
  });

  it('that is not taken ends the line, and with it what waits', async () => {
    const { broker, nextHandshake } = await openWithUser([50]);
    const handshake = await nextHandshake;
    const answers = [1, 2, 3, 4].map((value) => broker.ask(echo(value)));
    handshake.socket.destroy();
    for (const answer of answers) await expect(answer).rejects.toMatchObject({ code: 'KAFKA_UNREACHABLE' });
    expect(broker.isOpen).toBe(false);
  });
});

describe('KAFKA_BROKER', () => {
  it('is a list of host:port', () => {
    expect(parseBrokers('a:1, b.c:65535,[::1]:9092')).toEqual([
      { host: 'a', port: 1 },
      { host: 'b.c', port: 65_535 },
      { host: '::1', port: 9092 },
    ]);
    for (const wrong of ['', 'a', 'a:0', 'a:65536', 'a:1,', ':1']) expect(() => parseBrokers(wrong)).toThrow(/expected host:port/);
  });
});
