/** The ListOffsets API, version 6: where partitions begin and end. */
import type { WireRequest } from './connection.ts';
import { createWireWriter, type WireReader } from './wire.ts';

export const LIST_OFFSETS = { key: 2, version: 6 } as const;

export interface ListedOffset {
  readonly partition: number;
  /** An error code of Kafka, 0 for none. */
  readonly error: number;
  readonly offset: number;
}

const READER = -1;
/** Times that stand for the first offset there is, and for the one behind the last. */
const TIMES = { earliest: -2n, latest: -1n } as const;

/** Asks for the first offset of each partition, or the one behind its last; of what is committed, the last stable offset. */
export function offsetsRequest(
  { topic, isCommittedOnly }: { readonly topic: string; readonly isCommittedOnly: boolean },
  partitions: readonly number[],
  which: keyof typeof TIMES,
): WireRequest<ListedOffset[]> {
  const writer = createWireWriter();
  writer.int32(READER);
  writer.int8(isCommittedOnly ? 1 : 0);
  writer.compactCount(1);
  writer.compactString(topic);
  writer.compactCount(partitions.length);
  for (const partition of partitions) {
    writer.int32(partition);
    writer.int32(-1);
    writer.int64(TIMES[which]);
    writer.noTags();
  }
  writer.noTags();
  writer.noTags();
  const { key: apiKey, version } = LIST_OFFSETS;
  return { what: `ListOffsets of ${topic}`, apiKey, version, isFlexible: true, body: [writer.bytes()], read: readOffsets };
}

function readOffsets(answer: WireReader): ListedOffset[] {
  const listed: ListedOffset[] = [];
  answer.int32();
  for (let topics = answer.compactCount(); topics > 0; topics -= 1) {
    answer.compactString();
    for (let count = answer.compactCount(); count > 0; count -= 1) {
      const partition = answer.int32();
      const error = answer.int16();
      answer.int64();
      listed.push({ partition, error, offset: Number(answer.int64()) });
      answer.int32();
      answer.skipTags();
    }
    answer.skipTags();
  }
  return listed;
}
