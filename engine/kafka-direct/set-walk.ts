/** How far a record set goes, by the headers of its batches alone. */
import { createWireReader } from './wire.ts';

const PREFIX_BYTES = 12;
/** From behind the length to the difference of the last offset: epoch, format, checksum, attributes. */
const TO_LAST_DELTA_BYTES = 11;
const LAST_DELTA_BYTES = 4;

/** The offset behind the last whole batch; undefined when none is whole. What is damaged is left to the decoder: the walk ends there. */
export function behindLastBatch(chunks: readonly Uint8Array[]): number | undefined {
  const reader = createWireReader(chunks, 'a record set');
  let behind: number | undefined;
  while (reader.left > PREFIX_BYTES) {
    const first = Number(reader.int64());
    const length = reader.int32();
    if (length < TO_LAST_DELTA_BYTES + LAST_DELTA_BYTES || length > reader.left) break;
    reader.skip(TO_LAST_DELTA_BYTES);
    behind = first + reader.int32() + 1;
    reader.skip(length - TO_LAST_DELTA_BYTES - LAST_DELTA_BYTES);
  }
  return behind;
}
