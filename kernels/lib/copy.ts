// Copies for decoders whose matches may overlap what they write.

/**
 * Copies `length` bytes forward, one after the other as it seems: a source less than `length` before the target repeats itself. Reads and
 * writes nothing else.
 */
export function copyForward(to: usize, from: usize, length: u32): void {
  const end = to + <usize>length;
  if (to - from >= 8) {
    while (end - to >= 8) {
      store<u64>(to, load<u64>(from));
      to += 8;
      from += 8;
    }
  }
  while (to < end) {
    store<u8>(to, load<u8>(from));
    to += 1;
    from += 1;
  }
}
