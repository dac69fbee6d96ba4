/**
 * How long an engine takes from a kill to caught up, while ticks go on coming at 50,000 a second. Needs a broker that KAFKA_BROKER names.
 * The group keeps a killed member's partitions for KAFKA_SESSION_MS, unless it comes back under its ENGINE_ID.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_CLOCK } from '../engine/core/clock.ts';
import { EngineError } from '../engine/core/errors.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { createTickProducer, type OutgoingTick, type TickProducer } from '../engine/ingest/tick-producer.ts';
import { requireRdkafka } from '../engine/sinks/kafka/client.ts';
import { withConnection } from '../engine/sinks/postgres/connection.ts';
import { type BenchContext, median } from './harness.ts';

export const name = 'recovery';

const SYMBOLS = 500;
const TICKS_PER_SECOND = 50_000;
const STEP_MS = 20;
const BEFORE_KILL_MS = 8000;
const VARIANTS = [
  { ENGINE_ID: '', KAFKA_SESSION_MS: '10000' },
  { ENGINE_ID: 'bench', KAFKA_SESSION_MS: '10000' },
] as const;
type Variant = (typeof VARIANTS)[number];
const CAUGHT_UP_LAG_SEC = 0.25;
const LIMIT_MS = 120_000;
const POLL_MS = 50;
const ROUNDS = 3;

export async function run(context: BenchContext): Promise<void> {
  const brokers = process.env['KAFKA_BROKER'] ?? '';
  if (brokers === '') {
    context.log('  skipped: KAFKA_BROKER is not set, and the embedded cluster is gone with the engine that is killed');
    return;
  }
  for (const variant of VARIANTS) {
    const measured: Recovery[] = [];
    for (let round = 0; round < (context.isQuick ? 1 : ROUNDS); round += 1) measured.push(await recover(brokers, variant));
    const seconds = (pick: (recovery: Recovery) => number): string => {
      const values = measured.map((recovery) => pick(recovery) / 1000);
      return `${median(values).toFixed(1)} (${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)})`;
    };
    context.report(
      `recovery from SIGKILL at ${TICKS_PER_SECOND} ticks/s, ${Object.entries(variant)
        .map(([knob, value]) => `${knob} '${value}'`)
        .join(', ')}`,
      {
        rounds: measured.length,
        'kill to the first tick read, s': seconds(({ readingMs }) => readingMs),
        'kill to caught up, s': seconds(({ caughtUpMs }) => caughtUpMs),
      },
    );
  }
}

interface Recovery {
  readonly readingMs: number;
  readonly caughtUpMs: number;
}

async function recover(brokers: string, variant: Variant): Promise<Recovery> {
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-bench-'));
  const prefix = `bench.recovery.${process.pid}.${SYSTEM_CLOCK.monotonicUs()}.`;
  const schema = `bench_recovery_${process.pid}_${SYSTEM_CLOCK.monotonicUs()}`;
  const settings = {
    SOURCE: 'kafka',
    PG_SCHEMA: schema,
    TOPIC_PREFIX: prefix,
    KAFKA_GROUP: prefix,
    ...variant,
    METRICS_PORT: '0',
    LOG_FILE: join(folder, 'engine.log'),
    STATE_DIR: join(folder, 'state'),
    EMBEDDED_PG_PORT: '54353',
  };
  const children: ChildProcess[] = [];
  let feeder: Feeder | undefined;
  try {
    const first = await startEngine(settings, children);
    const producer = await createTickProducer(await requireRdkafka(), brokers, `${prefix}ticks`);
    feeder = startFeeder(producer);
    await sleep(BEFORE_KILL_MS);
    await untilMetrics(first.url, ({ lagSec, offered }) => offered > 0 && lagSec < CAUGHT_UP_LAG_SEC);
    const killedUs = SYSTEM_CLOCK.monotonicUs();
    const sinceKillMs = (): number => (SYSTEM_CLOCK.monotonicUs() - killedUs) / 1000;
    first.child.kill('SIGKILL');
    const second = await startEngine(settings, children);
    await untilMetrics(second.url, ({ offered }) => offered > 0);
    const readingMs = sinceKillMs();
    await untilMetrics(second.url, ({ lagSec }) => lagSec < CAUGHT_UP_LAG_SEC);
    return { readingMs, caughtUpMs: sinceKillMs() };
  } finally {
    await feeder?.stop();
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map((child) => (child.exitCode === null && child.signalCode === null ? once(child) : undefined)));
    await dropSchema(schema);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** An embedded server's data goes with its folder. */
async function dropSchema(schema: string): Promise<void> {
  const server = process.env['POSTGRES_URL'] ?? '';
  if (server === '') return;
  await withConnection(server, undefined, (client) => client.query(`drop schema if exists ${schema} cascade`));
}

function once(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('close', () => resolve()));
}

/** Resolves when the engine has printed where its metrics are. */
function startEngine(settings: Readonly<Record<string, string>>, children: ChildProcess[]): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [join(PROJECT_ROOT, 'dist/engine/main.js')], {
    cwd: PROJECT_ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...settings },
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    let output = '';
    const take = (chunk: Buffer): void => {
      output += chunk.toString();
      const url = /metrics +(http:\S+)\/metrics/.exec(output)?.[1];
      if (url !== undefined) resolve({ child, url });
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('close', (code) => reject(new EngineError('BENCH_ENGINE', `the engine ended with code ${code}: ${output.slice(-1000)}`)));
  });
}

interface Figures {
  readonly offered: number;
  readonly lagSec: number;
}

async function untilMetrics(url: string, isDone: (figures: Figures) => boolean): Promise<void> {
  const endUs = SYSTEM_CLOCK.monotonicUs() + LIMIT_MS * 1000;
  const read = (text: string, metric: string): number => Number(new RegExp(`^${metric} (\\S+)`, 'm').exec(text)?.[1] ?? Number.NaN);
  while (SYSTEM_CLOCK.monotonicUs() < endUs) {
    const text = await (await fetch(`${url}/metrics`)).text();
    if (isDone({ offered: read(text, 'tickwright_ticks_offered_total'), lagSec: read(text, 'tickwright_source_lag_seconds') })) return;
    await sleep(POLL_MS);
  }
  throw new EngineError('BENCH_ENGINE', `the engine at ${url} was not caught up in ${LIMIT_MS} ms`);
}

interface Feeder {
  stop(): Promise<void>;
}

/** Sends packed ticks at the rate, on a schedule that does not wait. */
function startFeeder(producer: TickProducer): Feeder {
  const startMs = SYSTEM_CLOCK.wallMs();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((SYSTEM_CLOCK.wallMs() - startMs) * TICKS_PER_SECOND) / 1000);
    const ticks: OutgoingTick[] = [];
    for (; sent < due; sent += 1) {
      const tsEventNs = BigInt(Math.floor(startMs + (sent * 1000) / TICKS_PER_SECOND)) * 1_000_000n;
      ticks.push({ symbol: `R${sent % SYMBOLS}`, tsEventNs, price: 100 + (sent % 50) / 4, quantityLots: 1n });
    }
    if (ticks.length > 0) producer.sendPacked({ priceDecimals: 2, lotDecimals: 0, ticks });
  }, STEP_MS);
  return {
    async stop() {
      clearInterval(timer);
      await producer.close();
    },
  };
}
