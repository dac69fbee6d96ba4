/**
 * What is thrown where nobody waits for it, on main: the state is not known any more, so the process ends, and says so on the screen, in the
 * log and by its exit code. The next start goes on from the last checkpoint. Workers report theirs to main, which rebuilds them.
 */
import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { StatusDisplay } from './status.ts';

export const EXIT_CRASHED = 3;

export interface CrashParts {
  readonly display: Pick<StatusDisplay, 'print'>;
  readonly log: Pick<Logger, 'fatal'>;
  exit(code: number): void;
}

/** What Node calls with an error that nobody caught; a rejection that nobody handled comes the same way. */
export function createCrashHandler({ display, log, exit }: CrashParts): (error: unknown, origin: string) => void {
  return (error, origin) => {
    try {
      log.fatal({ err: error, origin }, 'a background task failed');
      display.print([`FAILED in the background (${origin}): ${messageOf(error)}; the next start goes on from the last checkpoint`]);
    } finally {
      exit(EXIT_CRASHED);
    }
  };
}

/** Listens from now on; returns how to stop. */
export function handleCrashes(parts: CrashParts): () => void {
  const onCrash = createCrashHandler(parts);
  process.on('uncaughtException', onCrash);
  return () => process.off('uncaughtException', onCrash);
}
