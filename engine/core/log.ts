/** The JSON log. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { EngineError, messageOf } from './errors.ts';

export type { Logger } from 'pino';

/**
 * Logs to `file` (its folder is made), or to standard error for `-`. Lines are written synchronously: none is lost when the process ends.
 * @throws EngineError LOG_FILE
 */
export function createLogger(level: string, file: string): Logger {
  return pino({ level, base: { pid: process.pid } }, openDestination(file));
}

function openDestination(file: string): DestinationStream {
  if (file === '-') return destination({ dest: 2, sync: true });
  try {
    mkdirSync(dirname(file), { recursive: true });
    return destination({ dest: file, sync: true });
  } catch (cause) {
    throw new EngineError('LOG_FILE', `LOG_FILE '${file}': ${messageOf(cause)}; name a file that can be written, or - for standard error`, {
      cause,
    });
  }
}
