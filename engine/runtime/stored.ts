/** What a run goes on from: the open state its source left, and the instruments that the schema knows. */
import { basename } from 'node:path';
import { EngineError } from '../core/errors.ts';
import type { Source } from '../ingest/source.ts';
import type { Timeframe } from '../market/timeframes.ts';
import { type Database, loadState } from '../sinks/postgres/runs.ts';
import type { StoredState } from '../sinks/postgres/state.ts';

export interface StoredRequest extends Database {
  readonly source: Pick<Source, 'name' | 'isLive'>;
  readonly timeframes: readonly Timeframe[];
  readonly files: readonly string[];
  readonly isResume: boolean;
}

/** The watermark of a partition whose files have ended. */
const ENDED_NS = 2n ** 63n - 1n;

/**
 * Sources that go on for ever continue from what is stored, also after a kill. A replay starts clean unless told to resume.
 * @throws EngineError NOTHING_TO_RESUME, RESUME_OTHER_FILES
 */
export async function storedStateFor(request: StoredRequest): Promise<StoredState | undefined> {
  const { source, files, isResume, schema } = request;
  if (!source.isLive && !isResume) return undefined;
  const stored = await loadState({ ...request, source: source.name, lanes: [0], isLaned: false });
  if (!isResume) return stored;
  if (!stored) throw nothingToResume(schema, 'there was none');
  if (stored.watermarks.some(([, watermarkNs]) => watermarkNs === ENDED_NS)) throw nothingToResume(schema, 'the last one came to its end');
  const given = files.map((file) => basename(file));
  if (given.join('\n') !== stored.files.join('\n')) {
    throw new EngineError(
      'RESUME_OTHER_FILES',
      `--resume: the stopped replay was of ${stored.files.join(', ')}; its place in them means nothing in ${given.join(', ')}`,
    );
  }
  return stored;
}

function nothingToResume(schema: string, why: string): EngineError {
  return new EngineError('NOTHING_TO_RESUME', `schema ${schema}: no stopped replay to resume, ${why}; run it without --resume`);
}
