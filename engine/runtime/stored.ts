/** What a replay that resumes must find. */
import { basename } from 'node:path';
import { EngineError } from '../core/errors.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { type Database, loadState } from '../sinks/postgres/runs.ts';
import type { SourceHost } from './source-host.ts';

export interface ResumeRequest extends Database {
  readonly host: Pick<SourceHost, 'name' | 'isLive'>;
  readonly timeframes: readonly Timeframe[];
  readonly files: readonly string[];
  readonly isResume: boolean;
}

/** The watermark of a partition whose files have ended. */
const ENDED_NS = 2n ** 63n - 1n;

/** @throws EngineError NOTHING_TO_RESUME, RESUME_OTHER_FILES */
export async function checkResume(request: ResumeRequest): Promise<void> {
  const { host, files, isResume, schema } = request;
  if (!isResume) return;
  const stored = await loadState({ ...request, source: host.name, lanes: [0], isLaned: false });
  if (!stored) throw nothingToResume(schema, 'there was none');
  if (stored.watermarks.some(([, watermarkNs]) => watermarkNs === ENDED_NS)) throw nothingToResume(schema, 'the last one came to its end');
  const given = files.map((file) => basename(file));
  if (given.join('\n') !== stored.files.join('\n')) {
    throw new EngineError(
      'RESUME_OTHER_FILES',
      `--resume: the stopped replay was of ${stored.files.join(', ')}; its place in them means nothing in ${given.join(', ')}`,
    );
  }
}

function nothingToResume(schema: string, why: string): EngineError {
  return new EngineError('NOTHING_TO_RESUME', `schema ${schema}: no stopped replay to resume, ${why}; run it without --resume`);
}
