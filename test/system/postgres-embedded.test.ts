/** The embedded server's life: started, shared, stopped, and started over what a killed one left. */
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import { binaries, runAs, runToEnd } from '../../engine/sinks/postgres/embedded-process.ts';
import { openPostgres } from '../../engine/sinks/postgres/server.ts';
import { configWith } from './postgres-harness.ts';

describe('the embedded server', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-embedded-'));
  const config = configWith({ STATE_DIR: folder, EMBEDDED_PG_PORT: 55000 + (process.pid % 900) });
  const pidFile = join(folder, 'postgres/data/postmaster.pid');
  const pid = (): number => Number.parseInt(readFileSync(pidFile, 'utf8'), 10);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('starts, is used by a second engine, and keeps its data and port from run to run', async () => {
    const first = await openPostgres(config, () => undefined);
    expect(first).toMatchObject({ isEmbedded: true });
    expect(first.psqlCommand).toContain(first.connectionString);
    await withConnection(first.connectionString, undefined, (client) => client.query('create table kept (n integer)'));
    const second = await openPostgres(config, () => undefined);
    expect(second.connectionString).toBe(first.connectionString);
    await first.stop();
    const again = await openPostgres(config, () => undefined);
    expect(again.connectionString).toBe(first.connectionString);
    await withConnection(again.connectionString, undefined, (client) => client.query('select n from kept'));
    await again.stop();
  });

  it('stays while another engine is connected, and goes with the last', async () => {
    const server = await openPostgres(config, () => undefined);
    const running = pid();
    const other = new URL(server.connectionString);
    other.searchParams.set('application_name', 'tickwright 1');
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: other.toString() });
    await client.connect();
    await server.stop();
    expect(pid()).toBe(running);
    await client.end();
    const last = await openPostgres(config, () => undefined);
    await last.stop();
    // Until its parent, this process, has heard of it, there is an ended process of that id.
    await expect.poll(() => isGone(running), { timeout: 60_000 }).toBe(true);
  });

  it('starts over what a killed server left, also when its process id is another program by now', async () => {
    const server = await openPostgres(config, () => undefined);
    const killed = pid();
    const left = readFileSync(pidFile, 'utf8');
    process.kill(killed, 'SIGKILL');
    await expect.poll(() => isGone(killed), { timeout: 60_000 }).toBe(true);
    writeFileSync(pidFile, left.replace(String(killed), String(process.pid)));
    const again = await openPostgres(config, () => undefined);
    expect(again.connectionString).toBe(server.connectionString);
    await again.stop();
  });

  it.runIf(process.getuid?.() === 0)('runs for root below a folder that user postgres cannot enter', async () => {
    const hidden = mkdtempSync(join(tmpdir(), 'tickwright-hidden-'));
    chmodSync(hidden, 0o700);
    const server = await openPostgres(configWith({ STATE_DIR: join(hidden, 'state') }), () => undefined);
    const { stdout } = await promisify(execFile)('ps', [
      '-o',
      'user=',
      '-p',
      readFileSync(join(hidden, 'state/postgres/data/postmaster.pid'), 'utf8').split('\n')[0] ?? '',
    ]);
    expect(stdout.trim()).toBe('postgres');
    await server.stop();
    rmSync(hidden, { recursive: true, force: true });
  });

  it.runIf(process.getuid?.() === 0)('runs for root where its programs lie below such a folder, as in a private home', async () => {
    const hidden = mkdtempSync(join(tmpdir(), 'tickwright-hidden-'));
    chmodSync(hidden, 0o700);
    const { initdb } = await binaries();
    cpSync(dirname(dirname(initdb)), join(hidden, 'native'), { recursive: true, verbatimSymlinks: true });
    const as = await runAs(hidden);
    const data = join(hidden, 'data');
    mkdirSync(data, { mode: 0o700 });
    chownSync(data, as.uid ?? -1, as.gid ?? -1);
    // It looks for its neighbour postgres, and runs it.
    await runToEnd(as, join(hidden, 'native/bin/initdb'), [`--pgdata=${data}`, '--auth=trust', '--locale=C', '--no-sync']);
    expect(readFileSync(join(data, 'PG_VERSION'), 'utf8').trim()).toMatch(/^\d+$/);
    rmSync(hidden, { recursive: true, force: true });
  });
});

function isGone(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return false;
  } catch {
    return true;
  }
}
