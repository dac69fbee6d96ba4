/**
 * Lets a source without offsets write into the ticks topic, beside the sessions and their duty cycle and for longer than any of them. One
 * turn takes little and then yields, so that it does not keep main from what the rings wait for. While the log has no room the source
 * falls behind; nothing is dropped.
 *
 *   waiting (for the group) ─▶ feeding ─▶ ending (source stopped or ended; acknowledgements awaited) ─▶ done
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { messageOf } from '../core/errors.ts';
import type { LogPort } from './log-port.ts';
import type { LogWriter } from './log-writer.ts';
import type { Source } from './source.ts';
import type { LogHealth, TickLog } from './tick-log.ts';

/** Ticks of one turn: a fraction of a millisecond. */
const TURN_TICKS = 512;
const REST_MS = 1;

export interface FeederOptions {
  readonly source: Source;
  readonly log: TickLog;
  readonly port: LogPort;
  readonly writer: LogWriter;
  readonly clock: Clock;
  /** The source is started once this says true. */
  isReady(): boolean;
}

export interface Feeder {
  start(): void;
  /** The source hands over nothing more. Returns at once. */
  requestStop(): void;
  /** Ends it, and waits for acknowledgements until `limitMs` after the stop was asked for. */
  stop(limitMs: number): Promise<void>;
  /** True when the source has ended by itself and everything is acknowledged. */
  readonly isDone: boolean;
  /** What ended it out of order: a fault of the source, not of Kafka. */
  failure(): Error | undefined;
  health(): LogHealth;
  /** How far the source is behind its schedule. */
  readonly lagMs: number;
  /** Wall clock at which the oldest tick that is not acknowledged was handed over, ms. */
  readonly oldestMs: number | undefined;
}

export function createFeeder({ source, log, port, writer, clock, isReady }: FeederOptions): Feeder {
  let phase: 'waiting' | 'feeding' | 'ending' | 'done' = 'waiting';
  let isStopRequested = false;
  let isAbandoned = false;
  let failed: LogHealth | undefined;
  let failure: Error | undefined;
  let running: Promise<void> = Promise.resolve();
  const startedMs = clock.wallMs();

  const feed = async (): Promise<void> => {
    while (!isReady() && !isStopRequested) await sleep(REST_MS);
    if (!isStopRequested) await source.start(port, undefined);
    phase = 'feeding';
    while (!isStopRequested && !source.isEnded) {
      const work = source.poll(TURN_TICKS);
      const fault = source.failure();
      if (fault) throw fault;
      writer.pump(false);
      log.poll();
      await (work > 0 ? nextTurn() : sleep(REST_MS));
    }
    phase = 'ending';
    await source.stop();
    writer.pump(true);
    while (log.unacknowledged > 0 && !isAbandoned) {
      log.poll();
      await sleep(REST_MS);
    }
    phase = 'done';
  };

  return {
    start() {
      running = feed().catch((error: unknown) => {
        failure = error instanceof Error ? error : new Error(messageOf(error));
        failed = { isUp: false, detail: `the feeder failed: ${failure.message}`, sinceMs: clock.wallMs() };
      });
    },
    requestStop() {
      isStopRequested = true;
    },
    async stop(limitMs) {
      isStopRequested = true;
      const timer = setTimeout(() => {
        isAbandoned = true;
      }, limitMs);
      await running;
      clearTimeout(timer);
    },
    get isDone() {
      return phase === 'done' && !isStopRequested;
    },
    failure: () => failure,
    health() {
      if (failed) return failed;
      if (phase === 'waiting') return { isUp: false, detail: 'waiting for the group to give out partitions', sinceMs: startedMs };
      const state = log.health();
      if (phase === 'done') return { ...state, isUp: true, detail: 'done' };
      return state.isUp && log.unacknowledged > 0 && phase === 'ending' ? { ...state, detail: 'waiting for acknowledgements' } : state;
    },
    get lagMs() {
      return phase === 'feeding' ? source.lagMs : 0;
    },
    get oldestMs() {
      return log.oldestMs ?? writer.pendingSinceMs;
    },
  };
}
