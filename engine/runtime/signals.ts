/** What signals do: the first drains, the next ends at once and says what is lost by it. */
import { SYSTEM_CLOCK } from '../core/clock.ts';
import type { Logger } from '../core/log.ts';
import type { StatusDisplay } from './status.ts';

const EXIT_ABANDONED = 130;

/** A terminal sends Ctrl-C to the whole process group and npm passes it on as well: within this time it is one Ctrl-C. */
const SAME_SIGNAL_MS = 500;

let drainedBy: NodeJS.Signals | undefined;

/** The signal that told this process to drain. */
export function drainSignal(): NodeJS.Signals | undefined {
  return drainedBy;
}

/** An engine that runs, as signals see it. */
export interface Drainable {
  requestStop(): void;
  /** What would not be written if the process ended now. */
  unwritten(): readonly string[];
}

export interface Signals {
  /** Until this call a signal ends the process at once: there is nothing to drain. */
  drainOnFirst(engine: Drainable): void;
  release(): void;
}

/** Listens from now on until `release`. */
export function handleSignals(display: StatusDisplay, log: Logger): Signals {
  let running: Drainable | undefined;
  let firstMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    const nowMs = SYSTEM_CLOCK.wallMs();
    if (firstMs !== undefined && nowMs - firstMs < SAME_SIGNAL_MS) return;
    log.info({ signal }, 'signal');
    if (running !== undefined && firstMs === undefined) {
      firstMs = nowMs;
      drainedBy = signal;
      display.print([`${signal}: draining; once more to stop at once`]);
      running.requestStop();
      return;
    }
    display.print(
      running === undefined
        ? [`${signal}: stopped before the engine was ready; no tick was read`]
        : [`${signal} again: stopped at once`, ...running.unwritten()],
    );
    process.exit(EXIT_ABANDONED);
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    drainOnFirst(engine) {
      running = engine;
    },
    release() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
