// The fetch kernel: what is done with the bytes of Kafka's Fetch responses where they lie. Addresses in, counts out.
import { LAYOUT_HASH } from "../schemas/layout.gen";
import { CRC32C_BYTES, placeCrc32c } from "./lib/crc32c";

export { crc32c } from "./lib/crc32c";

export function layoutHash(): i32 {
  return LAYOUT_HASH;
}

/** Bytes that `place` fills. */
export function tableBytes(): i32 {
  return CRC32C_BYTES;
}

/** Prepares the tables at `tablesAt`; once, before anything else. */
export function place(tablesAt: usize): void {
  placeCrc32c(tablesAt);
}
