/**
 * The duty cycle of main: pull the source into the rings, put barriers, publish what is committed, and end in order.
 *
 *   running ─▶ draining (source stopped, final barrier out) ─▶ done (final epoch committed, shards ended, publications acknowledged)
 *
 * Nothing here waits on another thread while it holds a record: a full ring only means that less is taken from the source.
 */
import { BARRIER_FLAG } from '../../schemas/records.ts';
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Source, SourcePosition } from '../ingest/source.ts';
import type { CommittedEpoch } from '../sinks/kafka/publisher.ts';
import type { FromWriter, ToWriter } from '../sinks/messages.ts';
import type { Letters } from './letters.ts';
import type { TurnWatch } from './turn-watch.ts';
import type { WorkerHandle } from './workers.ts';

/** Records taken from the source in one turn. */
export const POLL_BUDGET = 4096;
/** Epochs that may be on their way to the database: one being committed, one being filled. */
const OPEN_EPOCHS_MAX = 2;
/** An epoch of this many records ends before its time, lest a long FLUSH_MS makes one that does not fit the writer's memory. */
const EPOCH_RECORDS_MAX = 262_144;
/** Bytes of refused messages after which an epoch ends before its time, and after which nothing more is taken from the source. */
const LETTERS_EPOCH_BYTES = 4_194_304;
const LETTERS_HOLD_BYTES = 16_777_216;
/** How long an idle turn rests, in ms. */
export const REST_MS = 1;
const IDLE_CHECK_MS = 50;

/** `revoked`: the group wants the partitions back. */
export type StopReason = 'source ended' | 'stopped' | 'stopped before all was written' | 'revoked' | 'failed';

/** The Kafka side as the duty cycle sees it. */
export interface Publication {
  poll(): number;
  outstanding(): number;
  epochCommitted(epoch: CommittedEpoch): void;
  /** Database epoch up to which everything is published. */
  readonly publishedEpoch: number;
  failure(): Error | undefined;
}

export interface EngineParts {
  readonly source: Source;
  readonly ingest: Ingest;
  readonly shards: readonly WorkerHandle<never>[];
  readonly writer: WorkerHandle<ToWriter>;
  readonly publisher: Publication | undefined;
  readonly clock: Clock;
  readonly pause: Pause;
  readonly flushMs: number;
  readonly idleMs: number;
  /** Of BARRIER_FLAG, for every barrier but the final one. */
  readonly barrierFlags: number;
  /** How long after a stop was asked for draining is given up, where the source can be read again from the last checkpoint. */
  readonly stopMs: number;
  /** Messages refused since the last barrier. */
  readonly letters: Letters;
  /** Records of the epoch that the writer is collecting. */
  collecting(): number;
  /** A worker that does not move any more, if there is one. */
  wedged(): Error | undefined;
  /** Watches how long main stands still, where somebody wants to know. */
  readonly turns?: TurnWatch;
}

export interface Engine {
  /** Runs until the source ends, `requestStop` or a failure, then drains. Rejects with the failure, or with DRAIN_CUT when it takes too long. */
  run(): Promise<StopReason>;
  requestStop(): void;
  fail(error: Error): void;
  /** What the Postgres writer says. */
  onWriterMessage(message: FromWriter): void;
  readonly phase: 'running' | 'draining' | 'done';
  /** Epochs given to the writer and not yet committed. */
  readonly openEpochs: number;
  readonly committedEpoch: number;
  /** Ticks accepted and not committed yet. */
  readonly uncommittedTicks: number;
  /** Wall time between the last two barriers, in ms: more than FLUSH_MS where the database does not keep up. */
  readonly epochIntervalMs: number;
  /** Wall time of the barrier of the last committed epoch, ms: what came later is not durable yet. */
  readonly durableToMs: number;
}

/** What main keeps of an epoch until it is committed. */
interface OpenEpoch {
  readonly position: SourcePosition;
  readonly letters: ReturnType<Letters['take']>;
  readonly atMs: number;
  readonly acceptedTicks: number;
}

export function createEngine(parts: EngineParts): Engine {
  const { source, ingest, clock, letters } = parts;
  const openEpochs = new Map<number, OpenEpoch>();
  let phase: Engine['phase'] = 'running';
  let stopRequestedMs: number | undefined;
  let failure: Error | undefined;
  let lastEpoch = 0;
  let committedEpoch = 0;
  let isFinalCommitted = false;
  let lastBarrierMs = clock.wallMs();
  let lastIdleCheckMs = lastBarrierMs;
  let epochIntervalMs = 0;
  let durableToMs = lastBarrierMs;
  let lastDatabaseEpoch = 0;
  let committedTicks = 0;

  /** Puts a barrier into every ring and tells the writer what it stands for; false when some ring has no room yet. */
  const putBarrier = (flags: number): boolean => {
    const epoch = lastEpoch + 1;
    if (!ingest.publishBarrier(epoch, flags)) return false;
    const position = source.position();
    const atMs = clock.wallMs();
    const refused = letters.take();
    const accepted = ingest.takeAccepted();
    const acceptedTicks = accepted.reduce((sum, { tradeCount, quoteCount }) => sum + Number(tradeCount + quoteCount), 0);
    openEpochs.set(epoch, { position, letters: refused, atMs, acceptedTicks });
    lastEpoch = epoch;
    epochIntervalMs = atMs - lastBarrierMs;
    lastBarrierMs = atMs;
    parts.writer.post({
      type: 'epoch',
      epoch,
      offsets: [...position.offsets],
      watermarks: ingest.watermarks(),
      isFinal: (flags & BARRIER_FLAG.final) !== 0,
      accepted,
      letters: refused.map(({ lane, json }) => ({ lane, json })),
      published: parts.publisher?.publishedEpoch ?? 0,
    });
    return true;
  };

  const hasRoomForEpoch = (): boolean => lastEpoch - committedEpoch < OPEN_EPOCHS_MAX;

  const isBarrierDue = (nowMs: number): boolean => {
    if (nowMs - lastBarrierMs >= parts.flushMs) return hasRoomForEpoch();
    // With a barrier on its way already, the epoch ends as it is.
    if (lastEpoch !== committedEpoch) return false;
    return parts.collecting() >= EPOCH_RECORDS_MAX || letters.bytes >= LETTERS_EPOCH_BYTES;
  };

  const throwIfFailed = (): void => {
    failure ??= source.failure() ?? parts.publisher?.failure() ?? parts.wedged();
    if (failure) throw failure;
  };

  const rest = async (work: number): Promise<void> => {
    const restMs = work > 0 ? 0 : REST_MS;
    await parts.pause(restMs);
    parts.turns?.turned(restMs);
  };

  const turn = (): number => {
    let work = letters.bytes < LETTERS_HOLD_BYTES ? source.poll(POLL_BUDGET) : 0;
    work += parts.publisher?.poll() ?? 0;
    const nowMs = clock.wallMs();
    if (isBarrierDue(nowMs)) putBarrier(parts.barrierFlags);
    if (source.isLive && nowMs - lastIdleCheckMs >= IDLE_CHECK_MS) {
      lastIdleCheckMs = nowMs;
      for (const partition of source.partitions) {
        if (source.isCaughtUp(partition)) ingest.advanceIdle(partition, nowMs, parts.idleMs);
      }
    }
    return work;
  };

  /** A stop need not wait for what can be read again: rings and epochs may hold more than the database takes in the time there is. */
  const throwIfLate = (): void => {
    if (stopRequestedMs === undefined || !source.isReplayable || clock.wallMs() - stopRequestedMs < parts.stopMs) return;
    const text = `not drained ${parts.stopMs} ms after the stop was asked for: ${lastEpoch - committedEpoch} epochs not committed`;
    throw new EngineError('DRAIN_CUT', `${text}, ${parts.publisher?.outstanding() ?? 0} bars not published`);
  };

  /** Repeats `step` until it says true, publishing meanwhile so that the writer is never held up by a full ring. */
  const until = async (step: () => boolean): Promise<void> => {
    for (;;) {
      throwIfFailed();
      if (step()) return;
      throwIfLate();
      await rest(parts.publisher?.poll() ?? 0);
    }
  };

  const isPublished = (publisher: Publication): boolean => publisher.outstanding() === 0 && publisher.publishedEpoch >= lastDatabaseEpoch;

  const drain = async (): Promise<void> => {
    phase = 'draining';
    const isComplete = source.isEnded && !source.isLive;
    await source.stop();
    // A replay's files are complete: what they hold is final. Anything else may go on later, so its open buckets are stored as open.
    if (isComplete) await until(() => ingest.closeAll());
    for (const shard of parts.shards) shard.expectExit();
    await until(() => hasRoomForEpoch() && putBarrier(BARRIER_FLAG.withOpenState | BARRIER_FLAG.final));
    await until(() => isFinalCommitted && parts.shards.every((shard) => shard.isStopped));
    await until(() => parts.publisher === undefined || isPublished(parts.publisher));
    phase = 'done';
  };

  return {
    async run() {
      while (stopRequestedMs === undefined && !source.isEnded && source.isRevoked !== true) {
        throwIfFailed();
        await rest(turn());
      }
      const reason: StopReason = stopRequestedMs !== undefined ? 'stopped' : source.isEnded ? 'source ended' : 'revoked';
      await drain();
      return reason;
    },
    requestStop() {
      stopRequestedMs ??= clock.wallMs();
    },
    fail(error) {
      failure ??= error;
    },
    onWriterMessage(message) {
      if (message.type === 'failed') failure ??= new EngineError(message.code || 'WRITER_FAILED', message.message);
      if (message.type !== 'committed') return;
      committedEpoch = message.epoch;
      if (message.isFinal) {
        isFinalCommitted = true;
        parts.writer.expectExit();
      }
      const done = openEpochs.get(message.epoch);
      openEpochs.delete(message.epoch);
      if (done === undefined) return;
      durableToMs = done.atMs;
      committedTicks += done.acceptedTicks;
      lastDatabaseEpoch = message.databaseEpoch;
      parts.publisher?.epochCommitted({ databaseEpoch: message.databaseEpoch, bars: message.bars, letters: done.letters });
      source.committed(done.position);
    },
    get phase() {
      return phase;
    },
    get openEpochs() {
      return lastEpoch - committedEpoch;
    },
    get committedEpoch() {
      return committedEpoch;
    },
    get uncommittedTicks() {
      const { acceptedTrades, acceptedQuotes } = ingest.counts();
      return acceptedTrades + acceptedQuotes - committedTicks;
    },
    get epochIntervalMs() {
      return epochIntervalMs;
    },
    get durableToMs() {
      return durableToMs;
    },
  };
}
