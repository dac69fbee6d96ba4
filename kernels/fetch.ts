// The fetch kernel: what is done with the bytes of Kafka's Fetch responses where they lie. Addresses in, counts out.
import { LAYOUT_HASH } from "../schemas/layout.gen";
import { CRC32C_BYTES, placeCrc32c } from "./lib/crc32c";
import { expandLz4, lz4Size } from "./lib/lz4";
import { expandSnappy, snappySize } from "./lib/snappy";

export { crc32c } from "./lib/crc32c";
export {
  batchBodyAt,
  batchBodyBytes,
  batchCodec,
  batchEndAt,
  batchFirstOffset,
  batchIsTransactional,
  batchLastOffset,
  batchProducer,
  batchRecordCount,
  isBatchBroken,
  listRecords,
  openBatch,
  openRecords,
  recordsLeftInBatch,
} from "./lib/record-batch";

const CODEC_SNAPPY: i32 = 2;
const CODEC_LZ4: i32 = 3;

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

/** Bytes that the checksum needs from where `place` puts its tables. */
export function tableBytes(): i32 {
  return CRC32C_BYTES;
}

/** Prepares the tables at `tablesAt`; once, before anything else. */
export function place(tablesAt: usize): void {
  placeCrc32c(tablesAt);
}

/** Room that `expand` needs for `length` bytes at `from` of a codec that it has; -1 when they are damaged, or of another codec. */
export function expandedSize(codec: i32, from: usize, length: u32): f64 {
  if (codec == CODEC_SNAPPY) return <f64>snappySize(from, length);
  return codec == CODEC_LZ4 ? <f64>lz4Size(from, length) : -1;
}

/** Expands `length` bytes at `from` to `to`. Returns how many there were; -1 when they are damaged, do not fit, or are of another codec. */
export function expand(codec: i32, from: usize, length: u32, to: usize, capacity: u32): i32 {
  if (codec == CODEC_SNAPPY) return expandSnappy(from, length, to, capacity);
  return codec == CODEC_LZ4 ? expandLz4(from, length, to, capacity) : -1;
}
