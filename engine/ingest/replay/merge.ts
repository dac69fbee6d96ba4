/** Streams in the order of their heads: event time first, then the order of the files. */
import type { RecordedStream } from './stream.ts';

export interface StreamHeap {
  readonly size: number;
  /** The stream whose head comes first. Only when `size` is not 0. */
  top(): RecordedStream;
  push(stream: RecordedStream): void;
  /** Restores the order after the top's head has changed. */
  reorderTop(): void;
  removeTop(): void;
}

function isBefore(left: RecordedStream, right: RecordedStream): boolean {
  const seconds = left.row.seconds - right.row.seconds;
  if (seconds !== 0) return seconds < 0;
  const nanos = left.row.nanos - right.row.nanos;
  return nanos === 0 ? left.order < right.order : nanos < 0;
}

export function createStreamHeap(): StreamHeap {
  const heap: RecordedStream[] = [];
  const siftDown = (): void => {
    let place = 0;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= heap.length) return;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (isBefore(heap[place]!, heap[child]!)) return;
      swap(place, child);
      place = child;
    }
  };
  const swap = (left: number, right: number): void => {
    const stream = heap[left]!;
    heap[left] = heap[right]!;
    heap[right] = stream;
  };
  return {
    get size() {
      return heap.length;
    },
    top: () => heap[0]!,
    push(stream) {
      heap.push(stream);
      for (let place = heap.length - 1; place > 0; ) {
        const parent = (place - 1) >> 1;
        if (isBefore(heap[parent]!, heap[place]!)) return;
        swap(place, parent);
        place = parent;
      }
    },
    reorderTop: siftDown,
    removeTop() {
      const last = heap.pop();
      if (last === undefined || heap.length === 0) return;
      heap[0] = last;
      siftDown();
    },
  };
}
