/** Connections to Postgres: how they are opened and named, and which failures may pass by themselves. */
import pg from 'pg';
import { EngineError, messageOf } from '../../core/errors.ts';

export type Connection = pg.Client;

/** Every connection of an engine process carries this name, so that one engine can see whether another still uses the server. */
export const APPLICATION_NAME = `tickwright ${process.pid}`;
const CONNECT_TIMEOUT_MS = 5000;
/** A server whose machine is gone without a word is asked for after this long; without it, after two hours. */
const KEEP_ALIVE_MS = 10_000;
/** A transaction that its client has forgotten must not hold its locks for ever. */
const IDLE_IN_TRANSACTION_MS = 30_000;

const RETRYABLE_SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
]);
/** Connection, resources, operator intervention, rollback by the server, system and I/O errors. */
const RETRYABLE_SQL_CLASSES = new Set(['08', '40', '53', '57', '58']);
const RETRYABLE_SQL_STATES = new Set(['25P03', '55P03']);
/** What the client says when a connection takes too long. */
const TIMED_OUT = /timeout expired/i;

/** An identifier in double quotes. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * Opens a connection; with a schema, every unqualified name means a table of that schema. A server that does not answer in time is asked once
 * more: a process that stood still for a while finds its time run out before it looks at the answer.
 * @throws EngineError POSTGRES_UNREACHABLE (retryable), POSTGRES_REFUSED
 */
export async function connect(connectionString: string, schema?: string): Promise<Connection> {
  try {
    return await connectOnce(connectionString, schema);
  } catch (thrown) {
    if (!(thrown instanceof EngineError && thrown.cause instanceof Error && TIMED_OUT.test(thrown.cause.message))) throw thrown;
    return await connectOnce(connectionString, schema);
  }
}

async function connectOnce(connectionString: string, schema: string | undefined): Promise<Connection> {
  let client: Connection;
  try {
    client = new pg.Client({
      connectionString,
      application_name: APPLICATION_NAME,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    });
  } catch (cause) {
    throw new EngineError(
      'POSTGRES_REFUSED',
      `postgres address: ${messageOf(cause)}; expected postgres://user:password@host:port/database`,
      {
        cause,
      },
    );
  }
  // Losing the connection also fails the statement under way; without a listener the event would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    if (schema !== undefined) await client.query(`set search_path to ${quoteIdentifier(schema)}`);
  } catch (cause) {
    await close(client);
    throw connectError(cause, client);
  }
  return client;
}

/** Opens a connection for the time of `work`. */
export async function withConnection<T>(
  connectionString: string,
  schema: string | undefined,
  work: (client: Connection) => Promise<T>,
): Promise<T> {
  const client = await connect(connectionString, schema);
  try {
    return await work(client);
  } finally {
    await close(client);
  }
}

/** Closes a connection that may be lost already. */
export async function close(client: Connection): Promise<void> {
  await client.end().catch(() => undefined);
}

/** The SQLSTATE or system code of a failure, empty when it has none. */
export function codeOf(thrown: unknown): string {
  if (typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return '';
}

/** True when the same transaction may succeed later: the connection was lost, or the server is out of something for now. */
export function isRetryable(thrown: unknown): boolean {
  if (thrown instanceof EngineError) return thrown.retryable;
  const code = codeOf(thrown);
  if (RETRYABLE_SYSTEM_CODES.has(code) || RETRYABLE_SQL_STATES.has(code)) return true;
  if (/^[0-9A-Z]{5}$/.test(code)) return RETRYABLE_SQL_CLASSES.has(code.slice(0, 2));
  const text = messageOf(thrown);
  return TIMED_OUT.test(text) || /connection (terminated|ended|closed)|connection error and is not queryable|Client was closed/i.test(text);
}

function connectError(cause: unknown, client: Connection): EngineError {
  const where = `${client.host}:${client.port}/${client.database ?? ''}`;
  const code = codeOf(cause);
  if (isRetryable(cause)) {
    const what = messageOf(cause) || code;
    return new EngineError('POSTGRES_UNREACHABLE', `postgres ${where}: ${what}; is the server running and the address right?`, {
      cause,
      retryable: true,
    });
  }
  const next = code.startsWith('28')
    ? 'check user and password in POSTGRES_URL or POSTGRES_*'
    : code === '3D000'
      ? 'create the database, or name another in POSTGRES_URL or POSTGRES_DB'
      : 'check POSTGRES_URL or POSTGRES_*';
  return new EngineError('POSTGRES_REFUSED', `postgres ${where}: ${messageOf(cause)}; ${next}`, { cause });
}
