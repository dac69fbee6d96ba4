/**
 * The Postgres writer: collects what the shards put out into epochs and commits each in one transaction. While one epoch is committed,
 * the next is collected; when the database does not answer, collecting stops at a limit, the rings fill, and the source is held back.
 *
 *   out rings ─▶ collector ─▶ epoch ─▶ transaction, again until committed ─▶ committed ring ─▶ `committed`
 *
 * Runs in a thread of its own; the loop rests between looks so that socket events get their turn. Nothing in it blocks, so that a simulation
 * can run it on one thread with its own clock, rests and committer.
 */
import { type Clock, type Pause, SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../core/clock.ts';
import { assert, EngineError, messageOf } from '../../core/errors.ts';
import { createBarEncoder } from '../../kernel/encode.ts';
import { openSymbols } from '../../market/instruments.ts';
import { outRingOf } from '../../memory/region.ts';
import { createRing } from '../../memory/ring.ts';
import type { FromWriter, ToWriter, WriterStart } from '../messages.ts';
import { createAmendments } from './amend.ts';
import { createBatch, createCollector } from './collect.ts';
import { type Committer, type CommitterParts, createCommitter } from './committer.ts';
import type { EpochWork } from './epoch-transaction.ts';
import { publishBars } from './publish.ts';
import { WRITER_COUNTER } from './writer-counters.ts';
import { createWriterLatency } from './writer-latency.ts';

export interface PostgresWriter {
  /** What main says. */
  receive(message: ToWriter): void;
  /** Runs until the final epoch is committed, main says `abandon`, or something fails for good (`failed` is posted then). */
  run(): Promise<void>;
}

type EpochMessage = Extract<ToWriter, { type: 'epoch' }>;

/** Records taken from the rings between two looks at the event loop. */
const DRAIN_BUDGET = 8192;
/** While another epoch is being committed, collecting stops here. */
const COLLECT_LIMIT = 262_144;
const REST_MS = 1;

/** What the writer is joined to; by default Postgres and the timers of its thread. */
export interface WriterSeams {
  readonly committer?: Committer;
  readonly pause?: Pause;
}

export function createPostgresWriter(
  start: WriterStart,
  post: (message: FromWriter) => void,
  clock: Clock = SYSTEM_CLOCK,
  seams: WriterSeams = {},
): PostgresWriter {
  const counters = new Float64Array(start.counters);
  const { pause = SYSTEM_PAUSE } = seams;
  const committedRing = start.committedRing === undefined ? undefined : createRing(start.committedRing, 0);
  const latency = createWriterLatency(start, post, clock);
  const messages: EpochMessage[] = [];
  let isAbandoned = false;
  const committer = seams.committer ?? createPostgresCommitter({ start, post, clock, counters, isAbandoned: () => isAbandoned });
  const amendments = createAmendments();
  let spare = createBatch();
  const collector = createCollector(start.regions.map(outRingOf), createBatch());

  /** Hands bars on; resolves with how many. */
  const publish = async ({ batch }: EpochWork): Promise<number> => {
    let bars = 0;
    if (committedRing === undefined) return bars;
    const hooks = {
      pause,
      onFull: (): boolean => {
        counters[WRITER_COUNTER.publishWaits]! += 1;
        return !isAbandoned;
      },
    };
    // A bucket's first revision is handed on before those that amend it.
    for (const list of [batch.finals, amendments.revisions]) bars += await publishBars(committedRing, list, hooks);
    counters[WRITER_COUNTER.published]! += bars;
    return bars;
  };

  /** Commits and publishes one epoch; resolves with whether it was the last. */
  const finish = async (work: EpochWork): Promise<boolean> => {
    const { message, batch } = work;
    const startedUs = clock.monotonicUs();
    const isCommitted = await committer.commit(work);
    if (!isCommitted) return true;
    latency.record(batch.finals, clock.monotonicUs() - startedUs);
    const bars = await publish(work);
    spare = batch;
    if (message.isFinal) latency.flush();
    const { epoch, isFinal } = message;
    post({ type: 'committed', epoch, isFinal, databaseEpoch: start.baseEpoch + epoch, bars });
    return isFinal;
  };

  const takeWork = (): EpochWork | undefined => {
    const message = messages[0];
    if (!collector.isComplete || message === undefined) return undefined;
    assert(message.epoch === collector.epoch, `main speaks of epoch ${message.epoch}, the shards' barriers of ${collector.epoch}`);
    messages.shift();
    return { message, batch: collector.take(spare), amendments };
  };

  const open = async (): Promise<boolean> => {
    let isSettled = false;
    const opening = committer.open().finally(() => {
      isSettled = true;
    });
    while (!isSettled) {
      counters[WRITER_COUNTER.heartbeat]! += 1;
      await Promise.race([opening, pause(REST_MS)]);
    }
    return await opening;
  };

  const loop = async (): Promise<void> => {
    let failure: unknown;
    let isDone = false;
    let inFlight: Promise<void> | undefined;
    while (!isDone && !isAbandoned) {
      counters[WRITER_COUNTER.heartbeat]! += 1;
      const limit = inFlight === undefined ? DRAIN_BUDGET : Math.min(DRAIN_BUDGET, COLLECT_LIMIT - collector.length);
      const moved = limit > 0 ? collector.drain(limit) : 0;
      counters[WRITER_COUNTER.collecting] = collector.length;
      const work = inFlight === undefined ? takeWork() : undefined;
      if (work !== undefined) {
        inFlight = finish(work)
          .then((isLast) => {
            isDone = isLast;
          })
          .catch((thrown: unknown) => {
            failure = thrown;
            isDone = true;
          })
          .finally(() => {
            inFlight = undefined;
          });
      }
      latency.tick();
      await pause(moved > 0 ? 0 : REST_MS);
    }
    await inFlight;
    if (failure !== undefined) throw failure;
  };

  return {
    receive(message) {
      if (message.type === 'abandon') isAbandoned = true;
      else messages.push(message);
    },
    async run() {
      try {
        if (await open()) {
          post({ type: 'ready' });
          await loop();
        }
      } catch (thrown) {
        const code = thrown instanceof EngineError ? thrown.code : '';
        post({ type: 'failed', message: `postgres writer: ${messageOf(thrown)}`, code });
      } finally {
        await committer.close();
      }
    },
  };
}

function createPostgresCommitter(parts: Omit<CommitterParts, 'symbols' | 'encoder'>): Committer {
  const symbols = openSymbols(parts.start.symbols);
  const encoder = createBarEncoder(
    symbols,
    parts.start.timeframes.map(({ name }) => name),
  );
  return createCommitter({ ...parts, symbols, encoder });
}
