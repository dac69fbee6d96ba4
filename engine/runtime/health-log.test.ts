import { expect, it } from 'vitest';
import { createHealthLog } from './health-log.ts';

it('logs each change of a part once, with since when', () => {
  const entries: string[] = [];
  const write =
    (level: string) =>
    (entry: object, text?: string): void => {
      entries.push(`${level} ${text} ${Object.values(entry).join(' ')}`);
    };
  const watch = createHealthLog({ info: write('info'), error: write('error') });
  const part = (isUp: boolean, detail: string, sinceMs: number) => ({ name: 'kafka', isUp, detail, sinceMs });
  watch([part(true, 'publishing', 0)]);
  watch([part(false, 'no answer', 1000)]);
  watch([part(false, 'still no answer', 1000)]);
  watch([]);
  watch([part(true, 'publishing', 5000)]);
  expect(entries).toEqual([
    'error part down kafka no answer 1970-01-01T00:00:01.000Z',
    'info part up kafka publishing 1970-01-01T00:00:05.000Z',
  ]);
});
