/**
 * Runs sessions one after the other until the source ends, a stop is asked for, or something fails for good.
 *
 *   wait for lanes ─▶ open session ─▶ run ─▶ revoked, worker dead, fenced, server away: next session
 *                                      ├──▶ stopped, source ended: done
 *                                      └──▶ failed, and no other follows: what is committed only is published, then done
 */
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { isRetryable } from '../sinks/postgres/connection.ts';
import type { StopReason } from './engine.ts';
import type { Session, Sessions } from './session.ts';
import type { SourceHost } from './source-host.ts';
import { addTotals, noTotals, type Totals } from './totals.ts';

/** Failures after which the last checkpoint is a sound place to go on from. */
const RECOVERABLE = new Set([
  'WORKER_FAILED',
  'WORKER_WEDGED',
  'FENCED',
  'KAFKA_ASSIGNMENT_CHANGED',
  'KAFKA_UNREACHABLE',
  'PUBLISHER_FAILED',
]);
/** Sessions that may fail in a row without committing an epoch, when it is not for want of a server. */
const FAILURES_MAX = 5;
const BACK_OFF_MS = 200;
const BACK_OFF_MAX_MS = 5000;
const REST_MS = 20;
/** Publishing what a failed session has left may take this long, however late it is. */
const SETTLE_LEAST_MS = 1000;

export interface SupervisorState {
  readonly phase: 'waiting' | 'opening' | 'running' | 'failed' | 'done';
  readonly detail: string;
  readonly sinceMs: number;
}

export interface Supervisor {
  run(): Promise<StopReason>;
  requestStop(): void;
  readonly session: Session | undefined;
  readonly state: SupervisorState;
  /** Of all sessions, the one that runs included. */
  totals(): Totals;
  /** Sessions begun, and those that ended by a failure, by its code. */
  readonly sessions: number;
  readonly failures: ReadonlyMap<string, number>;
  /** Ticks accepted and not committed when a session failed, of a source that cannot be read again. */
  readonly lostTicks: number;
}

export interface SupervisorOptions {
  readonly host: SourceHost;
  readonly clock: Clock;
  readonly pause: Pause;
  readonly log: Logger;
  readonly timeframeCount: number;
  /** A stop may take so long. */
  readonly stopMs: number;
  readonly sessions: Sessions;
  /** Called when a session runs, and when one has failed and another will be tried. */
  onSession(session: Session): void;
  onFailure(error: unknown): void;
  /** Called when a session is over, while it can still be looked at. */
  onSessionEnd(): void;
}

export function createSupervisor({ host, clock, pause, log, timeframeCount, ...options }: SupervisorOptions): Supervisor {
  const failures = new Map<string, number>();
  let ended = noTotals(timeframeCount);
  let session: Session | undefined;
  let state: SupervisorState = { phase: 'waiting', detail: 'starting', sinceMs: clock.wallMs() };
  let stopRequestedMs: number | undefined;
  let sessions = 0;
  let lostTicks = 0;
  let failuresInRow = 0;
  let waitMs = BACK_OFF_MS;

  const setState = (phase: SupervisorState['phase'], detail: string): void => {
    if (state.phase !== phase || state.detail !== detail) state = { phase, detail, sinceMs: clock.wallMs() };
  };

  /** The lanes of the next session; undefined when a stop is asked for meanwhile. */
  const waitForLanes = async (): Promise<readonly number[] | undefined> => {
    while (stopRequestedMs === undefined) {
      const lanes = host.lanes();
      if (lanes.length > 0) return lanes;
      setState('waiting', 'waiting for partitions');
      await pause(REST_MS);
    }
    return undefined;
  };

  const close = async (which: Session): Promise<void> => {
    options.onSessionEnd();
    ended = addTotals(ended, which.totals());
    session = undefined;
    await which.close();
  };

  const runSession = async (lanes: readonly number[]): Promise<StopReason> => {
    setState('opening', `claiming ${lanes.length} lanes`);
    const opened = await options.sessions.open(lanes);
    session = opened;
    sessions += 1;
    setState('running', 'running');
    options.onSession(opened);
    if (stopRequestedMs !== undefined) opened.topology.engine.requestStop();
    try {
      return await opened.run();
    } catch (error) {
      if (!opened.source.isReplayable) lostTicks += opened.topology.engine.uncommittedTicks;
      throw error;
    } finally {
      if (opened.topology.engine.committedEpoch > 0) {
        failuresInRow = 0;
        waitMs = BACK_OFF_MS;
      }
      await close(opened);
    }
  };

  /** Counts a failure; throws it when no session can go on after it. */
  const takeFailure = (error: unknown): void => {
    const code = error instanceof EngineError ? error.code : 'SERVER_AWAY';
    const isServerAway = isRetryable(error) || (error instanceof EngineError && error.retryable);
    if (!isServerAway && !(error instanceof EngineError && RECOVERABLE.has(error.code))) throw error;
    failures.set(code, (failures.get(code) ?? 0) + 1);
    if (!isServerAway) failuresInRow += 1;
    if (failuresInRow > FAILURES_MAX) throw error;
    log.error({ err: error }, 'the session failed; the next one goes on from the last checkpoint');
  };

  const backOff = async (error: unknown): Promise<void> => {
    setState('failed', messageOf(error));
    options.onFailure(error);
    const untilMs = clock.wallMs() + waitMs;
    waitMs = Math.min(waitMs * 2, BACK_OFF_MAX_MS);
    while (clock.wallMs() < untilMs && stopRequestedMs === undefined) await pause(REST_MS);
  };

  /** No session follows one that failed, so what it committed and could not publish is published here, as far as its lanes are still its own. */
  const settle = async (): Promise<StopReason> => {
    const spentMs = clock.wallMs() - (stopRequestedMs ?? 0);
    try {
      const published = await options.sessions.settle(Math.max(SETTLE_LEAST_MS, options.stopMs - spentMs));
      if (published > 0) log.info({ published }, 'published what the session that failed had committed only');
      return 'stopped';
    } catch (error) {
      log.error({ err: error }, 'what is committed is not all published; the next start goes on from the last checkpoint');
      return 'stopped before all was written';
    }
  };

  return {
    async run() {
      for (;;) {
        const lanes = await waitForLanes();
        if (lanes === undefined) return settle();
        try {
          const reason = await runSession(lanes);
          if (reason !== 'revoked') {
            setState('done', reason);
            return reason;
          }
          log.info({ lanes }, 'partitions given back');
        } catch (error) {
          takeFailure(error);
          // What it had not committed is read again by whoever comes next, or counted as lost.
          if (stopRequestedMs !== undefined) return await settle();
          await backOff(error);
        } finally {
          host.endSession();
        }
      }
    },
    requestStop() {
      stopRequestedMs ??= clock.wallMs();
      session?.topology.engine.requestStop();
    },
    get session() {
      return session;
    },
    get state() {
      return state;
    },
    totals: () => (session ? addTotals(ended, session.totals()) : ended),
    get sessions() {
      return sessions;
    },
    failures,
    get lostTicks() {
      return lostTicks;
    },
  };
}
