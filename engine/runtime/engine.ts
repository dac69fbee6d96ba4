/**
 * The duty cycle of main: pull the source into the rings, put barriers, publish what is committed, and end in order.
 *
 *   running ─▶ draining (source stopped, final barrier out) ─▶ done (final epoch committed, shards ended, publications acknowledged)
 *
 * Nothing here waits on another thread while it holds a record: a full ring only means that less is taken from the source.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { BARRIER_FLAG } from '../../schemas/records.ts';
import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Source, SourcePosition } from '../ingest/source.ts';
import type { DeadLetter } from '../sinks/kafka/dlq.ts';
import type { CommittedEpoch } from '../sinks/kafka/publisher.ts';
import type { FromWriter, ToWriter } from '../sinks/messages.ts';
import type { WorkerHandle } from './workers.ts';

/** Records taken from the source in one turn. */
const POLL_BUDGET = 4096;
/** Epochs that may be on their way to the database: one being committed, one being filled. */
const OPEN_EPOCHS_MAX = 2;
/** An epoch of this many records ends before its time, lest a long FLUSH_MS makes one that does not fit the writer's memory. */
const EPOCH_RECORDS_MAX = 262_144;
/** How long an idle turn rests, in ms. */
const REST_MS = 1;
const IDLE_CHECK_MS = 50;

export type StopReason = 'source ended' | 'stopped' | 'failed';

/** The Kafka side as the duty cycle sees it. */
export interface Publication {
  poll(): number;
  outstanding(): number;
  epochCommitted(epoch: CommittedEpoch): void;
  failure(): Error | undefined;
}

export interface EngineParts {
  readonly source: Source;
  readonly ingest: Ingest;
  readonly shards: readonly WorkerHandle<never>[];
  readonly writer: WorkerHandle<ToWriter>;
  readonly publisher: Publication | undefined;
  /** Letters collected since the last call. */
  takeLetters(): readonly DeadLetter[];
  readonly clock: Clock;
  readonly flushMs: number;
  readonly idleMs: number;
  /** Records of the epoch that the writer is collecting. */
  collecting(): number;
}

export interface Engine {
  /** Runs until the source ends, `requestStop` or a failure, then drains. Rejects with the failure. */
  run(): Promise<StopReason>;
  requestStop(): void;
  fail(error: Error): void;
  /** What the Postgres writer says. */
  onWriterMessage(message: FromWriter): void;
  readonly phase: 'running' | 'draining' | 'done';
  /** Epochs given to the writer and not yet committed. */
  readonly openEpochs: number;
  readonly committedEpoch: number;
}

export function createEngine(parts: EngineParts): Engine {
  const { source, ingest, clock } = parts;
  const positions = new Map<number, SourcePosition>();
  let phase: Engine['phase'] = 'running';
  let isStopRequested = false;
  let failure: Error | undefined;
  let lastEpoch = 0;
  let committedEpoch = 0;
  let isFinalCommitted = false;
  let lastBarrierMs = clock.wallMs();
  let lastIdleCheckMs = lastBarrierMs;

  /** Puts a barrier into every ring and tells the writer what it stands for; false when some ring has no room yet. */
  const putBarrier = (flags: number): boolean => {
    const epoch = lastEpoch + 1;
    if (!ingest.publishBarrier(epoch, flags)) return false;
    const position = source.position();
    positions.set(epoch, position);
    lastEpoch = epoch;
    lastBarrierMs = clock.wallMs();
    parts.writer.post({
      type: 'epoch',
      epoch,
      offsets: [...position.offsets],
      watermarks: ingest.watermarks(),
      isFinal: (flags & BARRIER_FLAG.final) !== 0,
    });
    return true;
  };

  const isBarrierDue = (nowMs: number): boolean => {
    if (nowMs - lastBarrierMs >= parts.flushMs) return lastEpoch - committedEpoch < OPEN_EPOCHS_MAX;
    // With a barrier on its way already, the epoch ends as it is.
    return lastEpoch === committedEpoch && parts.collecting() >= EPOCH_RECORDS_MAX;
  };

  const throwIfFailed = (): void => {
    failure ??= source.failure() ?? parts.publisher?.failure();
    if (failure) throw failure;
  };

  const rest = (work: number): Promise<unknown> => (work > 0 ? nextTurn() : sleep(REST_MS));

  const turn = (): number => {
    let work = source.poll(POLL_BUDGET);
    work += parts.publisher?.poll() ?? 0;
    const nowMs = clock.wallMs();
    if (isBarrierDue(nowMs)) putBarrier(0);
    if (source.isLive && nowMs - lastIdleCheckMs >= IDLE_CHECK_MS) {
      lastIdleCheckMs = nowMs;
      for (const partition of source.partitions) {
        if (source.isCaughtUp(partition)) ingest.advanceIdle(partition, nowMs, parts.idleMs);
      }
    }
    return work;
  };

  /** Repeats `step` until it says true, publishing meanwhile so that the writer is never held up by a full ring. */
  const until = async (step: () => boolean): Promise<void> => {
    for (;;) {
      throwIfFailed();
      if (step()) return;
      await rest(parts.publisher?.poll() ?? 0);
    }
  };

  const drain = async (): Promise<void> => {
    phase = 'draining';
    const isComplete = source.isEnded && !source.isLive;
    await source.stop();
    // A replay's files are complete: what they hold is final. Anything else may go on later, so its open buckets are stored as open.
    if (isComplete) await until(() => ingest.closeAll());
    for (const shard of parts.shards) shard.expectExit();
    await until(() => putBarrier(BARRIER_FLAG.withOpenState | BARRIER_FLAG.final));
    await until(() => isFinalCommitted && parts.shards.every((shard) => shard.isStopped));
    await until(() => (parts.publisher?.outstanding() ?? 0) === 0);
    phase = 'done';
  };

  return {
    async run() {
      while (!isStopRequested && !source.isEnded) {
        throwIfFailed();
        await rest(turn());
      }
      const reason: StopReason = isStopRequested ? 'stopped' : 'source ended';
      await drain();
      return reason;
    },
    requestStop() {
      isStopRequested = true;
    },
    fail(error) {
      failure ??= error;
    },
    onWriterMessage(message) {
      if (message.type === 'failed') failure ??= new EngineError('WRITER_FAILED', message.message);
      if (message.type !== 'committed') return;
      committedEpoch = message.epoch;
      const { databaseEpoch, bars } = message;
      parts.publisher?.epochCommitted({ databaseEpoch, bars, letters: parts.takeLetters() });
      if (message.isFinal) {
        isFinalCommitted = true;
        parts.writer.expectExit();
      }
      const position = positions.get(message.epoch);
      for (const epoch of positions.keys()) if (epoch <= message.epoch) positions.delete(epoch);
      if (position) source.committed(position);
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
  };
}
