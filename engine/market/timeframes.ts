/** The list of bars to build. */
import { EngineError } from '../core/errors.ts';
import { TIMEFRAMES_LIMIT } from '../memory/region.ts';

export interface Timeframe {
  /** As in topics and payloads: `1s`, `1m`, `1d`. Tables are `bars_<name>` and `quotes_<name>`. */
  readonly name: string;
  readonly seconds: number;
}

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86400 };

/**
 * Parses `1s,1m,3m`. The first is 1s; they ascend; each is a multiple of an earlier one and divides or is a whole number of
 * days in UTC.
 * @throws EngineError TIMEFRAMES_INVALID
 */
export function parseTimeframes(text: string): Timeframe[] {
  const frames = text.split(',').map((part): Timeframe => {
    const match = /^([1-9]\d{0,4})([smhd])$/.exec(part.trim());
    if (!match) throw invalid(text, `'${part.trim()}' is not a number with s, m, h or d`);
    return { name: part.trim(), seconds: Number(match[1]) * UNIT_SECONDS[match[2]!]! };
  });
  if (frames[0]?.seconds !== 1) throw invalid(text, 'the first must be 1s');
  if (frames.length > TIMEFRAMES_LIMIT) throw invalid(text, `${frames.length} entries, at most ${TIMEFRAMES_LIMIT}`);
  for (let index = 1; index < frames.length; index += 1) {
    const { name, seconds } = frames[index]!;
    if (seconds <= frames[index - 1]!.seconds) throw invalid(text, `${name} does not come after ${frames[index - 1]!.name}`);
    if (86400 % seconds !== 0 && seconds % 86400 !== 0) throw invalid(text, `${name} does not divide a day`);
  }
  return frames;
}

function invalid(text: string, why: string): EngineError {
  return new EngineError('TIMEFRAMES_INVALID', `TIMEFRAMES '${text}': ${why}`);
}
