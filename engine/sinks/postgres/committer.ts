/** Owns the writer's connection: commits an epoch, again and again until it is durable, and says how the database is. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';
import { assert, messageOf } from '../../core/errors.ts';
import type { BarEncoder } from '../../kernel/encode.ts';
import type { SymbolDictionary } from '../../market/instruments.ts';
import type { FromWriter, WriterStart } from '../messages.ts';
import { type Connection, close, codeOf, connect, isRetryable } from './connection.ts';
import { commitEpoch, type EpochWork, entryOf } from './epoch-transaction.ts';
import type { LaneChoice } from './lane-choice.ts';
import { assertOwner } from './lane-fence.ts';
import { CREATE_OPEN_STAGE } from './open-rows.ts';
import { createOpenSince, type OpenSince } from './open-since.ts';
import { readOpenBuckets } from './open-state.ts';
import { keepAlive, lockSource } from './source-lock.ts';
import { readPositions } from './state.ts';
import { tallyRows } from './tally.ts';
import { WRITER_COUNTER } from './writer-counters.ts';

export interface CommitterParts {
  readonly start: WriterStart;
  readonly post: (message: FromWriter) => void;
  readonly clock: Clock;
  readonly counters: Float64Array;
  readonly symbols: SymbolDictionary;
  readonly encoder: BarEncoder;
  isAbandoned(): boolean;
}

export interface Committer {
  /** Gets ready, waiting for a server if need be; false when abandoned. @throws what cannot pass by itself */
  open(): Promise<boolean>;
  /** Makes an epoch durable, once, and fills its `amendments`; false when abandoned. @throws what cannot pass by itself */
  commit(work: EpochWork): Promise<boolean>;
  close(): Promise<void>;
}

const UNIQUE_VIOLATION = '23505';
/** Epochs written by upsert after rows with equal keys were met: a replay run again meets them all the way. */
const UPSERT_EPOCHS = 64;
const BACK_OFF_MS = 100;
const BACK_OFF_MAX_MS = 5000;
/** A transaction that takes longer is reported, though it succeeds in the end. */
const SLOW_MS = 5000;
const REST_MS = 50;

export function createCommitter({ start, post, clock, counters, symbols, encoder, isAbandoned }: CommitterParts): Committer {
  const laneOfSymbol = createLaneLookup(start, symbols);
  let session: Session | undefined;
  let client: Connection | undefined;
  let upsertEpochsLeft = 0;
  let symbolsStored = 0;
  let isSlow = false;
  let health: { readonly isUp: boolean; readonly detail: string; readonly sinceMs: number } | undefined;

  /** @param sinceMs when it came to be so; a new reason does not make an outage younger */
  const report = (isUp: boolean, detail: string, sinceMs: number): void => {
    if (isUp === health?.isUp && detail === health.detail) return;
    const isFirst = health === undefined;
    health = { isUp, detail, sinceMs: isUp === health?.isUp ? health.sinceMs : sinceMs };
    counters[WRITER_COUNTER.isUp] = isUp ? 1 : 0;
    // `ready` says the first good news.
    if (!(isUp && isFirst)) post({ type: 'health', ...health });
  };

  const drop = async (): Promise<void> => {
    const lost = client;
    client = undefined;
    if (lost !== undefined) await close(lost);
  };

  /** The connection, opened when there is none. */
  const connected = async (): Promise<Connection> => {
    if (client !== undefined) return client;
    const fresh = await connect(start.connectionString, start.schema);
    try {
      await keepAlive(fresh);
      await assertOwner(fresh, start);
      // Whoever still holds the lock of a source that is not shared has lost it to this claim, and will let go.
      if (!start.isLaned) await lockSource(fresh, { schema: start.schema, source: start.source, isRetryable: true });
      await fresh.query(CREATE_OPEN_STAGE);
      session ??= await openSession(fresh, start, symbols);
    } catch (thrown) {
      await close(fresh);
      throw thrown;
    }
    client = fresh;
    return fresh;
  };

  /** Repeats `attempt` while its failure may pass by itself; undefined when abandoned. */
  const insist = async <T>(what: string, attempt: () => Promise<T>): Promise<T | undefined> => {
    let waitMs = BACK_OFF_MS;
    while (!isAbandoned()) {
      try {
        const result = await attempt();
        // A database that is too slow stays red until it is quick again.
        if (!isSlow) report(true, 'connected', clock.wallMs());
        return result;
      } catch (thrown) {
        await drop();
        if (!isRetryable(thrown)) throw thrown;
        counters[WRITER_COUNTER.retries]! += 1;
        report(false, `${what}: ${messageOf(thrown)}`, clock.wallMs());
        const untilMs = clock.wallMs() + waitMs;
        while (clock.wallMs() < untilMs && !isAbandoned()) await pause(REST_MS);
        waitMs = Math.min(waitMs * 2, BACK_OFF_MAX_MS);
      }
    }
    return undefined;
  };

  const attempt = async (work: EpochWork): Promise<number> => {
    const connection = await connected();
    assert(session !== undefined, 'a connected writer knows its session');
    const startMs = clock.wallMs();
    isSlow = false;
    const slow = setTimeout(() => {
      isSlow = true;
      report(false, `epoch ${work.message.epoch} is not committed after ${SLOW_MS} ms`, startMs);
    }, SLOW_MS);
    try {
      const context = {
        ...start,
        ...session,
        symbols,
        encoder,
        laneOfSymbol,
        isPublishing: start.committedRing !== undefined && start.isCheckpointed,
      };
      const databaseEpoch = start.baseEpoch + work.message.epoch;
      const result = await commitEpoch(connection, context, { ...work, databaseEpoch, symbolsStored }, upsertEpochsLeft > 0);
      symbolsStored = result.symbolsStored;
      session.openSince.settle();
      for (const [partition, offset] of work.message.offsets) session.startOffsets.set(partition, offset);
      return result.bytes;
    } finally {
      clearTimeout(slow);
    }
  };

  const attemptOrUpsert = async (work: EpochWork): Promise<number> => {
    try {
      return await attempt(work);
    } catch (thrown) {
      if (codeOf(thrown) !== UNIQUE_VIOLATION || upsertEpochsLeft > 0) throw thrown;
      await (await connected()).query('rollback');
      upsertEpochsLeft = UPSERT_EPOCHS;
      return await attempt(work);
    }
  };

  return {
    open: async () => (await insist('connecting', connected)) !== undefined,
    async commit(work) {
      const startedUs = clock.monotonicUs();
      const bytes = await insist(`epoch ${work.message.epoch}`, () => attemptOrUpsert(work));
      if (bytes === undefined) return false;
      if (upsertEpochsLeft > 0) {
        upsertEpochsLeft -= 1;
        counters[WRITER_COUNTER.upsertEpochs]! += 1;
      }
      tallyRows(counters, work);
      const tookMs = (clock.monotonicUs() - startedUs) / 1000;
      counters[WRITER_COUNTER.lastFlushMs] = tookMs;
      counters[WRITER_COUNTER.flushMsSum]! += tookMs;
      counters[WRITER_COUNTER.bytes]! += bytes;
      counters[WRITER_COUNTER.instruments] = symbolsStored;
      counters[WRITER_COUNTER.committedEpoch] = work.message.epoch;
      counters[WRITER_COUNTER.epochs]! += 1;
      return true;
    },
    close: drop,
  };
}

/** What the writer remembers from epoch to epoch. */
interface Session {
  readonly openSince: OpenSince;
  readonly startOffsets: Map<number, bigint>;
}

async function openSession(client: Connection, lanes: LaneChoice, symbols: SymbolDictionary): Promise<Session> {
  const stored = await readOpenBuckets(client, lanes);
  const positions = await readPositions(client, lanes);
  return {
    openSince: createOpenSince(stored, (symbolIndex) => entryOf(symbols, symbolIndex).name),
    startOffsets: new Map(positions.flatMap(({ partition, nextOffset }) => (nextOffset === null ? [] : [[partition, nextOffset]]))),
  };
}

function createLaneLookup(lanes: LaneChoice, symbols: SymbolDictionary): (symbolIndex: number) => number {
  if (!lanes.isLaned) return () => 0;
  const known = new Int32Array(symbols.capacity).fill(-1);
  return (symbolIndex) => {
    const lane = known[symbolIndex]!;
    if (lane >= 0) return lane;
    const { name, partition } = entryOf(symbols, symbolIndex);
    assert(lanes.lanes.includes(partition), `symbol ${name} of partition ${partition} is of a lane owned`);
    known[symbolIndex] = partition;
    return partition;
  };
}
