/** The lines of a text feed file. */
import { EngineError } from '../../core/errors.ts';
import type { ByteSource } from './byte-source.ts';

const LINE_CHARS_MAX = 65_536;

/**
 * Lines without their ends, empty ones left out.
 * @throws EngineError FEED_FILE when a line is longer than 65,536 characters
 */
export async function* linesOf(source: ByteSource, label: string): AsyncGenerator<string, undefined> {
  let rest = '';
  for (let piece = await source.next(); piece !== undefined; piece = await source.next()) {
    const lines = (rest + Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LINE_CHARS_MAX) throw new EngineError('FEED_FILE', `${label}: a line is longer than ${LINE_CHARS_MAX} characters`);
    for (const line of lines) {
      const text = line.endsWith('\r') ? line.slice(0, -1) : line;
      if (text !== '') yield text;
    }
  }
  if (rest !== '') yield rest;
  return undefined;
}
