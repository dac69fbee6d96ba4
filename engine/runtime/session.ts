/**
 * One session: the lanes are claimed, what an earlier owner left unpublished is published, its state is loaded, and the engine runs on it.
 * A process has several, one after the other: a rebalance, a dead worker or being fenced ends a session, not the process.
 */
import type { Config } from '../../config/knobs.ts';
import { SYSTEM_CLOCK, SYSTEM_PAUSE } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Source } from '../ingest/source.ts';
import type { InstrumentBook } from '../market/instrument-book.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { deadLetterOf } from '../sinks/kafka/dlq.ts';
import { markerGroupOf, type TransactionOptions, transactionalIdOf } from '../sinks/kafka/marker.ts';
import { recoverPublication } from '../sinks/kafka/recover.ts';
import type { FromWriter } from '../sinks/messages.ts';
import { createLaneStore, type LaneStore } from '../sinks/postgres/lane-store.ts';
import type { LaneClaim } from '../sinks/postgres/lanes.ts';
import type { Database } from '../sinks/postgres/runs.ts';
import type { StopReason } from './engine.ts';
import { createLetters } from './letters.ts';
import type { Servers } from './servers.ts';
import type { SourceHost } from './source-host.ts';
import { stageOf } from './stage.ts';
import { buildTopology, type Seams, type Topology } from './topology.ts';
import { readTotals, type Totals } from './totals.ts';

const RELEASE_ATTEMPTS = 5;
const RELEASE_REST_MS = 300;

export interface SessionParts {
  readonly config: Config;
  readonly timeframes: readonly Timeframe[];
  readonly servers: Servers;
  readonly database: Database;
  readonly host: SourceHost;
  readonly run: number;
  readonly log: Logger;
  /** False only to measure what checkpoints cost. */
  readonly isCheckpointed: boolean;
  /** Instruments as the file and the database know them now. */
  loadBook(): Promise<InstrumentBook>;
  onLatency(stage: string, encoded: string, worker: string): void;
  onWriterMessage(message: FromWriter): void;
  readonly seams?: SessionSeams;
}

/** What a session is joined to; by default the database, clock and threads of the process. */
export interface SessionSeams extends Seams {
  readonly store?: LaneStore;
}

export interface Session {
  readonly lanes: readonly number[];
  readonly source: Source;
  readonly topology: Topology;
  /** Symbols whose open buckets were loaded, and messages published that an earlier owner had left. */
  readonly restored: number;
  readonly recovered: number;
  /** Runs and drains. Rejects with what ended it out of order; then the lanes stay claimed, and the next claim recovers them. */
  run(): Promise<StopReason>;
  totals(): Totals;
  close(): Promise<void>;
}

/** Lanes that a session has claimed, and has not given back. */
interface Claimed {
  readonly claim: LaneClaim;
  readonly lanes: readonly number[];
  readonly transactions: TransactionOptions | undefined;
}

export interface Sessions {
  open(lanes: readonly number[]): Promise<Session>;
  /**
   * For a process that has no further session after one that failed: publishes what is committed only, of the lanes that are still its own, and
   * gives them back. Does nothing when the latest session ended well.
   * @returns messages published
   * @throws what claiming and publishing throw; then the lanes stay claimed, and their next owner publishes it
   */
  settle(timeoutMs: number): Promise<number>;
}

/** The sessions of a process, one after the other. */
export function createSessions(parts: SessionParts): Sessions {
  const { store = createLaneStore(parts.database) } = parts.seams ?? {};
  const source = parts.host.name;
  let latest: Claimed | undefined;
  return {
    async open(lanes) {
      latest = await claimLanes(parts, store, lanes);
      const session = await openSession(parts, store, latest);
      return {
        ...session,
        async run() {
          const reason = await session.run();
          latest = undefined;
          return reason;
        },
      };
    },
    async settle(timeoutMs) {
      const before = latest;
      latest = undefined;
      if (before?.transactions === undefined) return 0;
      const { token } = before.claim;
      const owned = await store.owned({ source, token, lanes: before.lanes });
      if (owned.length === 0) return 0;
      const { claim, transactions } = await claimLanes(parts, store, owned);
      const published = transactions ? await recover(parts, store, { claim, transactions, timeoutMs }) : 0;
      await store.release({ source, token: claim.token });
      return published;
    },
  };
}

async function claimLanes(parts: SessionParts, store: LaneStore, lanes: readonly number[]): Promise<Claimed> {
  const { config, timeframes, servers, database, host, run } = parts;
  const source = host.name;
  const identity = { prefix: config.TOPIC_PREFIX, schema: database.schema, source };
  const claim = await store.claim({
    source,
    run,
    lanes,
    isLaned: host.isLaned,
    timeframes,
    transactionalIdOf: (token) => (servers.kafka ? transactionalIdOf(identity, token) : undefined),
  });
  const transactions: TransactionOptions | undefined = servers.kafka && {
    transactionalId: transactionalIdOf(identity, claim.token),
    markerGroup: markerGroupOf(identity),
    // Its partitions are the lanes.
    markerTopic: stageOf(config).topic,
    lanes,
    isOwner: async () => (await store.owned({ source, token: claim.token, lanes })).length === lanes.length,
  };
  return { claim, lanes, transactions };
}

async function openSession(parts: SessionParts, store: LaneStore, { claim, lanes, transactions }: Claimed): Promise<Session> {
  const { timeframes, host } = parts;
  const { clock = SYSTEM_CLOCK } = parts.seams ?? {};
  const source = host.name;
  const recovered = transactions ? await recover(parts, store, { claim, transactions }) : 0;
  const letters = createLetters((rejected) => deadLetterOf(rejected, clock.wallMs()));
  const opened = host.open(letters, lanes);
  const topology = await buildTopology({
    ...parts,
    source: opened,
    book: await parts.loadBook(),
    claim,
    lanes,
    isLaned: host.isLaned,
    transactions,
    letters,
    openUntil: (offsets) => host.openUntil(offsets, lanes),
  });
  const close = async (): Promise<void> => {
    await topology.terminate();
    await topology.publisher?.close();
    await opened.stop();
  };
  try {
    await topology.ready;
    await opened.start(topology.ingest, { offsets: new Map(claim.state.offsets) });
  } catch (error) {
    await close();
    throw error;
  }
  return {
    lanes,
    source: opened,
    topology,
    restored: claim.state.openState.length,
    recovered,
    async run() {
      const reason = await runOrCut(topology, parts.log);
      // As after a crash: the lanes stay claimed, and their next owner publishes what is committed only.
      if (reason === 'stopped before all was written') return reason;
      const published = topology.publisher?.publishedEpoch;
      const upTo = new Map(lanes.map((lane) => [lane, published ?? 0]));
      await release(parts, async () => {
        if (published !== undefined) await store.dropOutbox({ source, token: claim.token, upTo });
        await store.release({ source, token: claim.token });
      });
      return reason;
    },
    totals: () => readTotals(topology, opened, timeframes.length),
    close,
  };
}

async function runOrCut({ engine }: Topology, log: Logger): Promise<StopReason> {
  try {
    return await engine.run();
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'DRAIN_CUT') throw error;
    log.warn({ err: error }, 'the drain is cut short; the next start goes on from the last checkpoint');
    return 'stopped before all was written';
  }
}

/** Everything is durable by now. Lanes that cannot be released are claimed by their next owner as after a crash: that is only slower. */
async function release({ log, seams }: SessionParts, attempt: () => Promise<void>): Promise<void> {
  const { pause = SYSTEM_PAUSE } = seams ?? {};
  for (let left = RELEASE_ATTEMPTS; left > 0; left -= 1) {
    try {
      await attempt();
      return;
    } catch (error) {
      log.warn({ err: error }, 'lanes not released');
      if (left > 1) await pause(RELEASE_REST_MS);
    }
  }
}

interface Recovering {
  readonly claim: LaneClaim;
  readonly transactions: TransactionOptions;
  readonly timeoutMs?: number;
}

/** Publishes what the lanes' outbox holds above their markers, and empties it. */
async function recover(parts: SessionParts, store: LaneStore, { claim, transactions, ...limit }: Recovering): Promise<number> {
  const { servers, host, config, log } = parts;
  const { clock = SYSTEM_CLOCK, pause = SYSTEM_PAUSE } = parts.seams ?? {};
  if (!servers.kafka) return 0;
  const { lanes } = transactions;
  const outbox = await store.readOutbox({ source: host.name, lanes });
  const { published } = await recoverPublication({
    ...limit,
    ...servers.kafka,
    prefix: config.TOPIC_PREFIX,
    clock,
    pause,
    transactions,
    previousTransactionalIds: claim.previousTransactionalIds,
    outbox,
  });
  if (published > 0) log.info({ published }, 'published what an earlier owner of the lanes had committed only');
  const upTo = new Map(lanes.map((lane) => [lane, claim.baseEpoch]));
  await store.dropOutbox({ source: host.name, token: claim.token, upTo });
  return published;
}
