/** A simulated engine process: the supervisor, sessions and duty cycle of the engine over simulated threads, servers and time. */
import { loadConfig } from '../../config/load.ts';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { createLogger } from '../../engine/core/log.ts';
import { createBarEncoder } from '../../engine/kernel/encode.ts';
import { createMemory } from '../../engine/kernel/host.ts';
import { createInstrumentBook } from '../../engine/market/instrument-book.ts';
import type { Timeframe } from '../../engine/market/timeframes.ts';
import type { Servers } from '../../engine/runtime/servers.ts';
import { createSessions } from '../../engine/runtime/session.ts';
import { openSourceHost } from '../../engine/runtime/sources.ts';
import { createSupervisor, type Supervisor } from '../../engine/runtime/supervisor.ts';
import type { Rdkafka } from '../../engine/sinks/kafka/rdkafka.ts';
import { isRetryable } from '../../engine/sinks/postgres/connection.ts';
import type { Broker } from './broker.ts';
import type { CommitterBugs } from './committer.ts';
import { SimConsumer } from './consumer.ts';
import type { Database } from './database.ts';
import type { Group, TickLog } from './group.ts';
import type { ProcessPlan, SimPlan } from './plan.ts';
import { SimProducer } from './producer.ts';
import { createOwner, type Owner, type Scheduler } from './scheduler.ts';
import { createThreads, type Threads } from './threads.ts';

export interface World {
  readonly plan: SimPlan;
  readonly timeframes: readonly Timeframe[];
  readonly scheduler: Scheduler;
  readonly database: Database;
  readonly broker: Broker;
  readonly group: Group;
  readonly log: TickLog;
  readonly bugs: CommitterBugs;
  note(text: string): void;
}

export interface SimProcess {
  readonly owner: Owner;
  readonly threads: Threads;
  readonly supervisor: Supervisor;
  readonly consumers: readonly SimConsumer[];
  /** Undefined while it runs. */
  readonly ending: string | undefined;
  /** What should not have ended it. */
  readonly fault: unknown;
  requestStop(): void;
}

const BASE = loadConfig({ environment: { SOURCE: 'kafka', KAFKA_BROKER: 'simulated:1' } });
const SILENT = createLogger('silent', '-');
export const PREFIX = 'sim.';

/** Failures of a session, too many of them in a row, that may end a process when nothing but its world is at fault. */
const WORLDLY = new Set([
  'WORKER_FAILED',
  'WORKER_WEDGED',
  'FENCED',
  'KAFKA_ASSIGNMENT_CHANGED',
  'KAFKA_UNREACHABLE',
  'PUBLISHER_FAILED',
  'KAFKA_CLOSED',
]);

export function startProcess(world: World, name: string, knobs: ProcessPlan): SimProcess {
  const { scheduler, database, broker, group, log, timeframes, plan } = world;
  const { clock } = scheduler;
  const owner = createOwner(name);
  const pause = scheduler.pauseOf(owner);
  const consumers: SimConsumer[] = [];
  const client = { scheduler, broker, owner };
  const library: Rdkafka = {
    Producer: class extends SimProducer {
      constructor(settings: ConstructorParameters<Rdkafka['Producer']>[0]) {
        super(client, settings);
      }
    },
    KafkaConsumer: class extends SimConsumer {
      constructor(settings: ConstructorParameters<Rdkafka['KafkaConsumer']>[0]) {
        super({ ...client, group, log }, settings);
        consumers.push(this);
      }
    },
    AdminClient: {
      create() {
        throw new Error('a process makes no topics here');
      },
    },
    librdkafkaVersion: 'simulated',
  };
  const config = {
    ...BASE.config,
    ...{ WORKERS: knobs.workers, QUEUE: knobs.queue, FLUSH_MS: knobs.flushMs, COMMITTED_QUEUE: knobs.committedQueue },
    ...{ TIMEFRAMES: plan.timeframes, LATENESS_MS: plan.feed.latenessMs, AMEND_SEC: plan.feed.amendSec, LATE_POLICY: 'amend' as const },
    // An hour: nothing moves by the wall clock.
    ...{ IDLE_MS: 3_600_000, SYMBOLS_MAX: plan.symbolsMax, TOPIC_PREFIX: PREFIX, PG_SCHEMA: 'sim' },
  };
  const servers: Servers = {
    postgres: { connectionString: '', psqlCommand: '', isEmbedded: false, serverVersion: '', stop: async () => undefined },
    kafka: { library, brokers: 'simulated:1', isEmbedded: false },
    kafkaLabel: 'simulated',
    close: async () => undefined,
  };
  const host = openSourceHost({ loaded: { ...BASE, config }, files: [], isResume: false }, servers, { clock, log: SILENT, pause });
  const names = timeframes.map((timeframe) => timeframe.name);
  const threads = createThreads({
    ...{ scheduler, database, process: owner, bugs: world.bugs },
    encoderOf: (symbols) => createBarEncoder(symbols, names),
  });
  const seams = {
    ...{ clock, pause, start: threads.start, store: database.laneStore(owner) },
    place: { outCapacity: knobs.outQueue, createMemory },
  };
  const supervisor = createSupervisor({
    ...{ host, clock, pause, log: SILENT, timeframeCount: timeframes.length },
    stopMs: config.STOP_MS,
    sessions: createSessions({
      ...{ config, timeframes, servers, host, run: 1, log: SILENT, isCheckpointed: true, seams },
      database: { connectionString: '', schema: 'sim' },
      loadBook: async () => createInstrumentBook([]),
      onLatency: () => undefined,
      onWriterMessage: () => undefined,
    }),
    onSession: (session) => world.note(`${name} runs a session on lanes ${session.lanes.join(', ')}, recovered ${session.recovered}`),
    onFailure: (text) => world.note(`${name}: ${text}`),
    onSessionEnd: () => undefined,
  });
  let ending: string | undefined;
  let fault: unknown;
  const run = async (): Promise<void> => {
    try {
      await host.start();
      ending = await supervisor.run();
    } catch (error) {
      ending = `failed: ${messageOf(error)}`;
      if (!isRetryable(error) && !(error instanceof EngineError && WORLDLY.has(error.code))) fault = error;
    }
    world.note(`${name} ${ending}`);
    await host.close();
    owner.isDead = true;
  };
  scheduler.after(owner, 0, () => void run());
  return {
    owner,
    threads,
    supervisor,
    consumers,
    get ending() {
      return ending;
    },
    get fault() {
      return fault;
    },
    requestStop: () => supervisor.requestStop(),
  };
}
