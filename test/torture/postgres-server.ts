/** A Postgres server of the driver's own, that it may stop in every way there is, and start again on the same port and folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../../engine/core/errors.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { binaries, freePort, lastLines, runAs, runToEnd } from '../../engine/sinks/postgres/embedded-process.ts';

// Below the ports that systems give to outgoing connections, as for the broker.
const FIRST_PORT = 22_400;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 25;

/** What a server is told to end by: clients sent away, everything dropped at once, or nothing at all. */
export type StopMode = 'fast' | 'immediate' | 'kill';

const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT', kill: 'SIGKILL' } as const;

export interface OwnPostgres {
  readonly port: number;
  /** Past every proxy. */
  readonly connectionString: string;
  start(): Promise<void>;
  stop(mode: StopMode): Promise<void>;
  /** Ends it now, for when the driver itself ends. */
  killNow(): void;
}

export function connectionStringAt(port: number): string {
  return `postgres://trader@127.0.0.1:${port}/trading`;
}

/** Makes the cluster and starts the server. @throws EngineError TORTURE_POSTGRES */
export async function createPostgres(folder: string): Promise<OwnPostgres> {
  mkdirSync(folder, { recursive: true });
  const as = await runAs(folder);
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  if (as.uid !== undefined && as.gid !== undefined) chownSync(data, as.uid, as.gid);
  const { initdb, postgres } = await binaries();
  await runToEnd(as, initdb, [`--pgdata=${data}`, '--username=trader', '--auth=trust', '--encoding=UTF8', '--locale=C']);
  const port = await freePort(FIRST_PORT + (process.pid % 400));
  const log = join(folder, 'server.log');
  let child: ChildProcess | undefined;

  const launch = (): void => {
    const output = openSync(log, 'a');
    const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=100', 'jit=off'];
    const [command, args] = as.wrap(postgres, ['-D', data, ...settings.flatMap((setting) => ['-c', setting])]);
    child = spawn(command, args, { ...as.identity, stdio: ['ignore', output, output], detached: true, cwd: '/' });
    closeSync(output);
  };
  const isRunning = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;

  const server: OwnPostgres = {
    port,
    connectionString: connectionStringAt(port),
    async start() {
      const endMs = performance.now() + START_TIMEOUT_MS;
      while (!(await answers(port))) {
        if (performance.now() > endMs)
          throw new EngineError('TORTURE_POSTGRES', `Postgres on port ${port}: not up in ${START_TIMEOUT_MS} ms:\n${lastLines(log)}`);
        // After a kill the last of the old processes may still hold the memory: then it ends at once, and is started again.
        if (!isRunning()) launch();
        await sleep(POLL_MS);
      }
    },
    async stop(mode) {
      child?.kill(SIGNALS[mode]);
      const endMs = performance.now() + STOP_TIMEOUT_MS;
      while (isRunning()) {
        if (performance.now() > endMs)
          throw new EngineError('TORTURE_POSTGRES', `Postgres on port ${port}: still there ${STOP_TIMEOUT_MS} ms after ${SIGNALS[mode]}`);
        await sleep(POLL_MS);
      }
    },
    killNow() {
      if (isRunning()) child?.kill('SIGQUIT');
    },
  };
  await server.start();
  await withConnection(`postgres://trader@127.0.0.1:${port}/postgres`, undefined, (client) => client.query('create database trading'));
  return server;
}

async function answers(port: number): Promise<boolean> {
  try {
    await withConnection(`postgres://trader@127.0.0.1:${port}/postgres`, undefined, (client) => client.query('select 1'));
    return true;
  } catch {
    // Not yet, or not any more: the caller looks again until its time is over.
    return false;
  }
}
