/** Writes each change of a part's health into the log, so that it can be read afterwards what was red and since when. */
import type { Logger } from '../core/log.ts';
import type { HealthPart } from '../gateway/http.ts';

/** Returns a function to be called every so often with the parts as they are. A part is taken for green until it is seen. */
export function createHealthLog(log: Pick<Logger, 'info' | 'error'>): (parts: readonly HealthPart[]) => void {
  const wasUp = new Map<string, boolean>();
  return (parts) => {
    for (const { name, isUp, detail, sinceMs } of parts) {
      if (isUp === (wasUp.get(name) ?? true)) continue;
      wasUp.set(name, isUp);
      const entry = { part: name, detail, since: new Date(sinceMs).toISOString() };
      if (isUp) log.info(entry, 'part up');
      else log.error(entry, 'part down');
    }
  };
}
