/**
 * What checkpoints cost: ticks merged a second with open state and outbox in every epoch, against the same engine without them. The
 * simulator offers more than the engine can take, so that the rate is the engine's own. Servers are named or embedded, as for the engine bench.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../config/load.ts';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../engine/core/clock.ts';
import { createLogger } from '../engine/core/log.ts';
import { createInstrumentBook } from '../engine/market/instrument-book.ts';
import { parseTimeframes } from '../engine/market/timeframes.ts';
import { openServers, type Servers } from '../engine/runtime/servers.ts';
import { createSessions } from '../engine/runtime/session.ts';
import { openSourceHost } from '../engine/runtime/sources.ts';
import { createSupervisor } from '../engine/runtime/supervisor.ts';
import { beginRun } from '../engine/sinks/postgres/runs.ts';
import type { BenchContext } from './harness.ts';

export const name = 'checkpoint';

const SYMBOLS = 500;
const OFFERED_PER_SECOND = 20_000_000;
const FLUSH_MS = [100, 250, 1000];
const WARM_UP_MS = 2000;
const EMBEDDED_PORT = '54351';

export async function run(context: BenchContext): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-bench-'));
  const seconds = context.isQuick ? 3 : 8;
  const environment = {
    ...process.env,
    SIM_SYMBOLS: String(SYMBOLS),
    SIM_BASE_TPS: String(OFFERED_PER_SECOND / SYMBOLS),
    SIM_HOT_SYMBOL_PCT: '0',
    PG_SCHEMA: 'bench_checkpoint',
    TOPIC_PREFIX: 'bench.checkpoint.',
    STATE_DIR: join(folder, 'state'),
    EMBEDDED_PG_PORT: EMBEDDED_PORT,
  };
  const { config } = loadConfig({ environment });
  const servers = await openServers(config, parseTimeframes(config.TIMEFRAMES), context.log);
  try {
    for (const flushMs of FLUSH_MS) {
      const measure = (isCheckpointed: boolean): Promise<number> =>
        mergedPerSecond({ servers, environment: { ...environment, FLUSH_MS: String(flushMs) }, isCheckpointed, seconds });
      await context.compare({
        work: `engine, checkpoints at FLUSH_MS ${flushMs}`,
        against: 'checkpoints off',
        unit: 'ticks/s',
        run: { work: () => measure(true), against: () => measure(false) },
      });
    }
  } finally {
    await servers.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Measurement {
  readonly servers: Servers;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly isCheckpointed: boolean;
  readonly seconds: number;
}

/** Runs an engine in this process and stops it again; returns the rate after a warm-up. */
async function mergedPerSecond({ servers, environment, isCheckpointed, seconds }: Measurement): Promise<number> {
  const loaded = loadConfig({ environment });
  const { config } = loaded;
  const timeframes = parseTimeframes(config.TIMEFRAMES);
  const database = { connectionString: servers.postgres.connectionString, schema: config.PG_SCHEMA };
  const log = createLogger('silent', '-');
  const host = openSourceHost({ loaded, files: [], isResume: false }, servers, { clock: SYSTEM_CLOCK, log });
  const run = await beginRun({ ...database, source: host.name, config, goesOn: false });
  const supervisor = createSupervisor({
    ...{ host, clock: SYSTEM_CLOCK, pause: SYSTEM_PAUSE, log, timeframeCount: timeframes.length },
    stopMs: config.STOP_MS,
    sessions: createSessions({
      ...{ config, timeframes, servers, database, host, run, log, isCheckpointed },
      loadBook: async () => createInstrumentBook([]),
      onLatency: () => undefined,
      onWriterMessage: () => undefined,
    }),
    onSession: () => undefined,
    onFailure: () => undefined,
    onSessionEnd: () => undefined,
  });
  const done = supervisor.run();
  done.catch(() => undefined);
  await sleep(WARM_UP_MS);
  const from = { ticks: supervisor.totals().ticksMerged, us: SYSTEM_CLOCK.monotonicUs() };
  await sleep(seconds * 1000);
  const to = { ticks: supervisor.totals().ticksMerged, us: SYSTEM_CLOCK.monotonicUs() };
  supervisor.requestStop();
  await done;
  return ((to.ticks - from.ticks) * 1e6) / (to.us - from.us);
}
