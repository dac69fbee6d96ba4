/**
 * A connection to one broker. Connecting, TLS, SASL, framing and the order of answers are `@platformatic/kafka`'s; what is sent and how an
 * answer is read is the caller's, in bytes, or an API of that library where its values are enough.
 *
 * It ends by itself with the first thing that goes wrong: an answer that does not come in time, or one that nobody asked for, leaves nothing
 * to go on from. Everything under way then fails, and the owner connects again.
 */
import { isIP } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Callback, Connection, Reader } from '@platformatic/kafka';
import type { Security } from '../../config/kafka-access.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { type RequestParts, sendInParts } from './request-parts.ts';
import { createWireReader, type WireReader } from './wire.ts';

/** How long the other end may take to close its side, ms. */
const CLOSE_MS = 1000;

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

export interface BrokerOptions {
  readonly clientId: string;
  /** How long connecting may take, and each answer, ms. */
  readonly timeoutMs: number;
  /** Requests under way at a time; further ones wait. 5 unless given. */
  readonly inFlightMax?: number;
  readonly security?: Security;
}

/** Versions of an API that the broker has. */
export interface ApiRange {
  readonly min: number;
  readonly max: number;
}

/** A request in bytes of the caller's. */
export interface WireRequest<Answer> {
  /** For messages: `Fetch of ticks`. */
  readonly what: string;
  readonly apiKey: number;
  readonly version: number;
  /** True from the version on whose headers have tagged fields. */
  readonly isFlexible: boolean;
  readonly body: readonly Uint8Array[];
  /** Reads the answer behind its header. The chunks stay as they are for as long as they are held. */
  readonly read: (answer: WireReader) => Answer;
}

/** An API of the library, such as `metadataV12.api`. */
export interface LibraryApi<Arguments extends unknown[], Answer> {
  readonly async: (connection: Connection, ...parameters: Arguments) => Promise<Answer>;
  readonly key: number;
  readonly version: number;
}

export interface BrokerConnection {
  readonly address: BrokerAddress;
  readonly isOpen: boolean;
  /** By API key. */
  readonly versions: ReadonlyMap<number, ApiRange>;
  /**
   * Sends bytes of ours and reads the answer.
   * @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_PROTOCOL
   */
  ask<Answer>(request: WireRequest<Answer>): Promise<Answer>;
  /**
   * Asks by an API of the library. An answer with error codes in it is an answer: they are the caller's to read.
   * @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_PROTOCOL
   */
  call<Arguments extends unknown[], Answer>(what: string, api: LibraryApi<Arguments, Answer>, ...parameters: Arguments): Promise<Answer>;
  close(): Promise<void>;
}

const CLIENT_SOFTWARE = 'tickwright';
const SOFTWARE_VERSION = '0.1.0';
const SASL_HANDSHAKE_KEY = 17;
const SASL_AUTHENTICATE_KEY = 36;

/**
 * Connects, proves who it is, and asks which APIs the broker has.
 * @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_REFUSED when the broker does not accept the credentials, KAFKA_SECURITY
 * when this end does not accept its certificate, KAFKA_PROTOCOL
 */
export async function connectBroker(address: BrokerAddress, options: BrokerOptions): Promise<BrokerConnection> {
  const library = await import('@platformatic/kafka');
  const { security = {}, timeoutMs } = options;
  const connection = new library.Connection(options.clientId, {
    connectTimeout: timeoutMs,
    maxInflights: options.inFlightMax ?? 5,
    // A number has no name to be asked for; its certificate is checked against the number.
    ...(security.tls ? { tls: security.tls, tlsServerName: isIP(address.host) === 0 } : {}),
    ...(security.sasl ? { sasl: security.sasl } : {}),
  });
  const parts = sendInParts(connection, () => library.Writer.create());
  if (security.sasl) holdWhileProving(connection);
  const line = createLine(connection, address, { timeoutMs, security });
  await line.within('connecting', Promise.resolve(connection.connect(address.host, address.port)));
  parts.attach();
  const versions = new Map<number, ApiRange>();
  const broker: BrokerConnection = {
    address,
    versions,
    get isOpen() {
      return connection.isConnected();
    },
    ask: (request) => line.within(request.what, sendBytes(connection, parts, request)),
    call: (what, api, ...parameters) => line.within(what, answerOf(what, api.async(connection, ...parameters))),
    async close() {
      if (!connection.isConnected()) {
        connection.socket.destroy();
        return;
      }
      // A broker that stands still never closes its end.
      const late = setTimeout(() => connection.socket.destroy(), CLOSE_MS);
      await connection.close().finally(() => clearTimeout(late));
    },
  };
  const { apiKeys } = await broker.call('ApiVersions', library.apiVersionsV3.api, CLIENT_SOFTWARE, SOFTWARE_VERSION);
  for (const { apiKey, minVersion, maxVersion } of apiKeys) versions.set(apiKey, { min: minVersion, max: maxVersion });
  return broker;
}

/**
 * Checks that the broker has a version of an API.
 * @throws EngineError KAFKA_API_MISSING
 */
export function assertApi(
  { address, versions }: BrokerConnection,
  api: { readonly key: number; readonly version: number },
  name: string,
): void {
  const range = versions.get(api.key);
  if (range && api.version >= range.min && api.version <= range.max) return;
  const has = range ? `${range.min} to ${range.max}` : 'none';
  throw new EngineError('KAFKA_API_MISSING', `broker ${textOf(address)}: ${name} version ${api.version}, it has ${has}`);
}

export function textOf({ host, port }: BrokerAddress): string {
  return `${host}:${port}`;
}

/** `host:port` pairs with commas between, as in KAFKA_BROKER. @throws EngineError KAFKA_BROKER_INVALID */
export function parseBrokers(list: string): BrokerAddress[] {
  return list.split(',').map((entry) => {
    const text = entry.trim();
    const [, host, port] = /^(?:\w+:\/\/)?\[?([^\]]+?)\]?:(\d+)$/.exec(text) ?? [];
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
      throw new EngineError('KAFKA_BROKER_INVALID', `broker '${text}': expected host:port, port 1 to 65535`);
    }
    return { host, port: Number(port) };
  });
}

/**
 * Where brokers let a user's proof grow old, the library proves it again in time, on the line that is in use. Between its beginning and its end
 * they take nothing else, so that other requests wait here meanwhile, in order.
 */
function holdWhileProving(connection: Connection): void {
  const send = connection.send.bind(connection);
  let held: (() => void)[] | undefined;
  const goOn = (): void => {
    const waiting = held ?? [];
    held = undefined;
    for (const request of waiting) request();
  };
  connection.send = (...request) => {
    const [apiKey] = request;
    if (apiKey === SASL_HANDSHAKE_KEY) held ??= [];
    if (held && apiKey !== SASL_HANDSHAKE_KEY && apiKey !== SASL_AUTHENTICATE_KEY) held.push(() => send(...request));
    else send(...request);
  };
  for (const event of ['sasl:authentication', 'sasl:authentication:extended', 'error']) connection.on(event, goOn);
  connection.on('close', () => {
    goOn();
    // Also ends the timer of the next proof.
    void connection.close();
  });
}

interface LineOptions {
  readonly timeoutMs: number;
  readonly security: Security;
}

interface Line {
  /** Waits for what was asked for; when it takes too long, the connection ends. */
  within<Answer>(what: string, answer: Promise<Answer>): Promise<Answer>;
}

function createLine(connection: Connection, address: BrokerAddress, options: LineOptions): Line {
  const { timeoutMs, security } = options;
  let trouble = '';
  // Without a listener the event would end the process. A connection in error cannot be told from one that has lost its place.
  connection.on('error', (error) => {
    if (trouble === '') trouble = reasonOf(error);
    connection.socket?.destroy();
  });
  return {
    async within(what, answer) {
      const timer = setTimeout(() => {
        if (trouble === '') trouble = `no answer in ${timeoutMs} ms`;
        connection.socket?.destroy();
        // Before it is connected, nothing tells the one who waits that its socket is gone.
        if (!connection.isConnected()) connection.emit('error', new Error(trouble));
      }, timeoutMs);
      try {
        return await answer;
      } catch (cause) {
        if (cause instanceof EngineError) throw cause;
        const where = `broker ${textOf(address)}`;
        const refusal = refusalOf(cause, security) ?? distrustOf(connection, cause);
        if (refusal) throw new EngineError(refusal.code, `${where}, ${refusal.text}`, { cause });
        throw new EngineError('KAFKA_UNREACHABLE', `${where}, ${what}: ${trouble === '' ? reasonOf(cause) : trouble}`, {
          cause,
          retryable: true,
        });
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

interface Refusal {
  readonly code: 'KAFKA_REFUSED' | 'KAFKA_SECURITY';
  readonly text: string;
}

/** What the broker has against this client in its own words, or this client against how the broker proves itself; undefined when neither. */
function refusalOf(cause: unknown, { sasl }: Security): Refusal | undefined {
  const innermost = causesOf(cause).at(-1);
  if (!sasl || !causesOf(cause).some((error) => isOf(error, 'PLT_KFK_AUTHENTICATION'))) return undefined;
  const refusal = (reason: string): Refusal => ({
    code: 'KAFKA_REFUSED',
    text: `SASL ${sasl.mechanism} as '${sasl.username}': ${reason}`,
  });
  if (isOf(innermost, 'PLT_KFK_AUTHENTICATION')) return refusal(messageOf(innermost));
  // Anything else is a line that ended, on which nobody has judged anything.
  if (!isOf(innermost, 'PLT_KFK_RESPONSE')) return undefined;
  // A cast: the library gives such errors the answer that they were made of, here those to SaslHandshake and SaslAuthenticate.
  const { response } = innermost as Error & {
    readonly response?: { readonly mechanisms?: readonly string[]; readonly errorMessage?: string | null };
  };
  const { mechanisms, errorMessage } = response ?? {};
  if (!mechanisms) return refusal(`${errorMessage || messageOf(innermost)}; are KAFKA_USERNAME and KAFKA_PASSWORD right?`);
  if (mechanisms.length === 0) return refusal('this listener has no SASL; KAFKA_SECURITY_PROTOCOL is to be plaintext or ssl');
  return refusal(`it does not take this mechanism; KAFKA_SASL_MECHANISM is to be one of ${mechanisms.join(', ')}`);
}

/** What this client has against the broker's certificate; undefined when nothing, or there is none. */
function distrustOf({ socket }: Connection, cause: unknown): Refusal | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorizationError) return undefined;
  const text = `its certificate is not trusted: ${reasonOf(cause)}; is KAFKA_SSL_CA the authority of the brokers' certificates?`;
  return { code: 'KAFKA_SECURITY', text };
}

/** The message of the innermost cause: that of the outer ones only says that something failed. */
function reasonOf(thrown: unknown): string {
  return messageOf(causesOf(thrown).at(-1));
}

/** What was thrown, its cause, the cause of that, and so on. */
function causesOf(thrown: unknown): unknown[] {
  const causes = [thrown];
  for (let last = thrown; last instanceof Error && last.cause !== undefined; last = last.cause) causes.push(last.cause);
  return causes;
}

function isOf(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}

/** The library throws answers that have error codes in them; the answer is with the error. */
async function answerOf<Answer>(what: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (!isOf(error, 'PLT_KFK_RESPONSE')) throw error;
    // A cast: the library gives every such error the answer that it was made of.
    const { response } = error as Error & { readonly response?: Answer };
    if (response === undefined) throw new EngineError('KAFKA_PROTOCOL', `${what}: ${reasonOf(error)}`, { cause: error });
    return response;
  }
}

function sendBytes<Answer>(connection: Connection, parts: RequestParts, request: WireRequest<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const done: Callback<Answer> = (error, answer) => (error ? reject(error) : resolve(answer));
    const read = (_correlation: number, _key: number, _version: number, reader: Reader): Answer =>
      request.read(createWireReader(reader.buffer.subarray(reader.position).buffers, request.what));
    connection.send(request.apiKey, request.version, parts.payload(request.body), read, request.isFlexible, request.isFlexible, done);
  });
}
