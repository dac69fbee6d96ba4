/** Which Postgres the engine uses: one named by knobs, or the embedded one. */
import { isAbsolute, join } from 'node:path';
import type { Config } from '../../../config/knobs.ts';
import { PROJECT_ROOT } from '../../core/root.ts';
import { withConnection } from './connection.ts';
import { openEmbedded } from './embedded.ts';

export interface PostgresServer {
  /** With the password: for connecting, not for printing. */
  readonly connectionString: string;
  /** A command to look at the data, fit to print: only the embedded server's throw-away password is in it. */
  readonly psqlCommand: string;
  readonly isEmbedded: boolean;
  readonly serverVersion: string;
  /** Stops an embedded server when this engine is the last that uses it; leaves any other server alone. */
  stop(): Promise<void>;
}

export interface ServerAddress {
  readonly connectionString: string;
  readonly isEmbedded: boolean;
  stop(): Promise<void>;
}

/**
 * Finds or starts the server and asks it for its version. `onProgress` is told what takes time.
 * @throws EngineError POSTGRES_UNREACHABLE, POSTGRES_REFUSED, EMBEDDED_POSTGRES
 */
export async function openPostgres(config: Config, onProgress: (text: string) => void): Promise<PostgresServer> {
  const named = namedServer(config);
  const address: ServerAddress =
    named === undefined
      ? await openEmbedded({ folder: stateFolder(config), firstPort: config.EMBEDDED_PG_PORT, onProgress })
      : { connectionString: named, isEmbedded: false, stop: async () => undefined };
  try {
    const serverVersion = await withConnection(address.connectionString, undefined, async (client) => {
      const { rows } = await client.query<{ server_version: string }>('show server_version');
      return rows[0]?.server_version ?? '';
    });
    return {
      ...address,
      serverVersion,
      psqlCommand: psqlCommand(address, config.PG_SCHEMA),
    };
  } catch (thrown) {
    await address.stop();
    throw thrown;
  }
}

/** The address that POSTGRES_URL or POSTGRES_HOST names; undefined when neither is set. */
export function namedServer(config: Config): string | undefined {
  if (config.POSTGRES_URL !== '') return config.POSTGRES_URL;
  if (config.POSTGRES_HOST === '') return undefined;
  const user = encodeURIComponent(config.POSTGRES_USER);
  const password = encodeURIComponent(config.POSTGRES_PASSWORD);
  const host = config.POSTGRES_HOST.includes(':') ? `[${config.POSTGRES_HOST}]` : config.POSTGRES_HOST;
  return `postgres://${user}:${password}@${host}:${config.POSTGRES_PORT}/${encodeURIComponent(config.POSTGRES_DB)}`;
}

function stateFolder(config: Config): string {
  const folder = isAbsolute(config.STATE_DIR) ? config.STATE_DIR : join(PROJECT_ROOT, config.STATE_DIR);
  return join(folder, 'postgres');
}

function psqlCommand(address: ServerAddress, schema: string): string {
  const shown = address.isEmbedded ? address.connectionString : withoutPassword(address.connectionString);
  const path = schema === 'public' ? '' : `PGOPTIONS='-c search_path=${schema}' `;
  return `${path}psql '${shown}'`;
}

/** A connection string fit to print. */
export function withoutPassword(connectionString: string): string {
  try {
    const url = new URL(connectionString);
    url.password = '';
    url.searchParams.delete('password');
    return url.toString();
  } catch {
    // Not a URL (a libpq keyword string, say): nothing of it is shown rather than a part that might hold the password.
    return 'postgres://(address not shown)';
  }
}
