/** The file that a summary is also written to. */
import { writeFileSync } from 'node:fs';
import { EngineError, messageOf } from '../core/errors.ts';

/** Writes nothing when `path` is empty. @throws EngineError SUMMARY_UNWRITTEN */
export function writeSummary(path: string, json: string): void {
  if (path === '') return;
  try {
    writeFileSync(path, json);
  } catch (cause) {
    throw new EngineError('SUMMARY_UNWRITTEN', `SUMMARY_JSON '${path}': ${messageOf(cause)}; name a file that can be written`, { cause });
  }
}
