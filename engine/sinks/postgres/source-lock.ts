/** One engine at a time may write what a source yields into a schema, unless they share it by lanes: a second one is told so. */
import { EngineError } from '../../core/errors.ts';
import { type Connection, codeOf } from './connection.ts';

const LOCK_TIMEOUT = '55P03';
/** The session of an engine that has just been killed may hold the lock for a moment longer. */
const WAIT_MS = 3000;

export interface SourceLock {
  readonly schema: string;
  readonly source: string;
  /** True when a wait may help: the holder may be this engine's own lost connection. */
  readonly isRetryable: boolean;
}

/**
 * Takes the lock of a source for as long as the connection lasts.
 * @throws EngineError SOURCE_TAKEN when another connection holds it
 */
export async function lockSource(client: Connection, { schema, source, isRetryable }: SourceLock): Promise<void> {
  await keepAlive(client);
  await client.query(`set lock_timeout = ${WAIT_MS}`);
  try {
    await client.query('select pg_advisory_lock(hashtext($1), hashtext($2))', [`tickwright ${schema}`, source]);
  } catch (cause) {
    if (codeOf(cause) !== LOCK_TIMEOUT) throw cause;
    throw new EngineError(
      'SOURCE_TAKEN',
      `another engine writes source ${source} into schema ${schema}; stop it, or use another PG_SCHEMA`,
      {
        cause,
        retryable: isRetryable,
      },
    );
  }
  await client.query('set lock_timeout = default');
}

/** From now on a client that is gone without a word loses its session after half a minute. */
export async function keepAlive(client: Connection): Promise<void> {
  await client.query('set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 4');
}
