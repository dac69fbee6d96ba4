/** The JSON log. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type { Logger } from 'pino';

/** Logs to `file` (its folder is made), or to standard error for `-`. Lines are written synchronously: none is lost when the process ends. */
export function createLogger(level: string, file: string): Logger {
  return pino({ level, base: { pid: process.pid } }, openDestination(file));
}

function openDestination(file: string): DestinationStream {
  if (file === '-') return destination({ dest: 2, sync: true });
  mkdirSync(dirname(file), { recursive: true });
  return destination({ dest: file, sync: true });
}
