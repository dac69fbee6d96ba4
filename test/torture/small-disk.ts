/**
 * A disk that can be full. Where the driver may mount, the tables of a round lie on a small file system of their own, which is filled to the
 * last byte: the server then meets the real error of its system. Where it may not, a trigger of the schema raises the same SQLSTATE, 53100,
 * when a transaction commits.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../engine/core/errors.ts';
import { quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { runAs } from '../../engine/sinks/postgres/embedded-process.ts';
import type { SchemaAddress } from './read-database.ts';

export interface SmallDisk {
  /** For people. */
  readonly how: string;
  fill(): Promise<void>;
  free(): Promise<void>;
  /** Once nothing of the round is left in the database. */
  close(): Promise<void>;
}

const SIZE_MB = 160;
const TABLESPACE = 'torture_small';
const FILL_CHUNKS = [1_048_576, 4096, 1];

/** Opened before the schema is made, so that its tables come to lie there. */
export async function openSmallDisk(folder: string, address: SchemaAddress): Promise<SmallDisk> {
  const place = join(folder, 'small-disk');
  const { uid = process.getuid?.() ?? 0, gid = process.getgid?.() ?? 0 } = await runAs(folder);
  mkdirSync(place);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MB}m,mode=0700,uid=${uid},gid=${gid}`, 'tmpfs', place], { stdio: 'pipe' });
  } catch (cause) {
    return triggerDisk(address, messageOf(cause).trim().split('\n').at(-1) ?? '');
  }
  return await mountedDisk(place, address.connectionString);
}

async function mountedDisk(place: string, connectionString: string): Promise<SmallDisk> {
  const unmount = (): void => {
    execFileSync('umount', ['--lazy', place], { stdio: 'ignore' });
  };
  process.on('exit', unmount);
  const filler = join(place, 'filler');
  const run = (...statements: string[]): Promise<void> =>
    withConnection(connectionString, undefined, async (client) => {
      for (const statement of statements) await client.query(statement);
    });
  await run(
    `create tablespace ${TABLESPACE} location '${place.replaceAll("'", "''")}'`,
    `alter database trading set default_tablespace = ${TABLESPACE}`,
  );
  return {
    how: `tables on a file system of ${SIZE_MB} MB that is filled to the last byte`,
    async fill() {
      fillFile(filler);
    },
    async free() {
      rmSync(filler);
    },
    async close() {
      await run('alter database trading reset default_tablespace', `drop tablespace ${TABLESPACE}`);
      process.off('exit', unmount);
      unmount();
    },
  };
}

/** Writes until there is no room for one more byte. */
function fillFile(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const size of FILL_CHUNKS) while (writeChunk(file, Buffer.alloc(size)));
  } finally {
    closeSync(file);
  }
}

function writeChunk(file: number, chunk: Buffer): boolean {
  try {
    writeSync(file, chunk);
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOSPC') return false;
    throw thrown;
  }
}

/** @param reason why nothing could be mounted */
function triggerDisk({ connectionString, schema }: SchemaAddress, reason: string): SmallDisk {
  const name = `${quoteIdentifier(schema)}.disk_full`;
  const run = (statement: string): Promise<void> =>
    withConnection(connectionString, schema, async (client) => {
      await client.query(statement);
    });
  return {
    how: `a trigger raises 53100 at commit, since nothing can be mounted (${reason})`,
    async fill() {
      await run(
        `create function ${name}() returns trigger language plpgsql as
         $body$ begin raise exception 'no space left on device' using errcode = '53100'; end $body$`,
      );
      await run(
        `create constraint trigger disk_full after update on lanes deferrable initially deferred for each row execute function ${name}()`,
      );
    },
    free: () => run(`drop function ${name}() cascade`),
    close: async () => undefined,
  };
}
