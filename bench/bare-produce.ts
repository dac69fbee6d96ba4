/**
 * The least that a client can do: Produce requests whose bytes are ready, written to one broker by a bare socket, whose answers are counted and not read.
 * What a round of it takes is the broker's own time, beside which no client gets by.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { EngineError } from '../engine/core/errors.ts';
import type { Batch } from '../engine/kafka-direct/produce-queue.ts';
import { PRODUCE_APIS, produceRequest } from '../engine/kafka-direct/produce-requests.ts';

const CLIENT_ID = Buffer.from('bench');
const TIMEOUT_MS = 15_000;

/** A whole Produce request: its length, a header of version 2 and the body. */
export function produceFrame(batches: readonly Batch[], correlationId: number): Buffer {
  const { key, version } = PRODUCE_APIS.Produce;
  const header = Buffer.alloc(4 + 2 + 2 + 4 + 2 + CLIENT_ID.length + 1);
  header.writeInt16BE(key, 4);
  header.writeInt16BE(version, 6);
  header.writeInt32BE(correlationId, 8);
  header.writeInt16BE(CLIENT_ID.length, 12);
  CLIENT_ID.copy(header, 14);
  const frame = Buffer.concat([header, ...produceRequest(null, batches, TIMEOUT_MS).body]);
  frame.writeInt32BE(frame.length - 4, 0);
  return frame;
}

/** Sends the frames to the broker at `address` and waits for as many answers. @throws EngineError BENCH_OUTPUT when it hangs up before */
export async function sendFrames(address: string, frames: readonly Buffer[]): Promise<void> {
  const [host = '', port = ''] = address.split(':');
  const socket = connect({ host, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  const answered = countAnswers(socket, frames.length);
  for (const frame of frames) if (!socket.write(frame)) await Promise.race([once(socket, 'drain'), answered]);
  await answered;
  socket.destroy();
}

/** Until `wanted` answers have come, each a length and as many bytes. */
function countAnswers(socket: ReturnType<typeof connect>, wanted: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let answers = 0;
    let unread = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      unread = Buffer.concat([unread, chunk]);
      for (; unread.length >= 4 && unread.length >= 4 + unread.readInt32BE(0); answers += 1)
        unread = unread.subarray(4 + unread.readInt32BE(0));
      if (answers >= wanted) resolve();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new EngineError('BENCH_OUTPUT', `the broker hung up after ${answers} of ${wanted} answers`)));
  });
}
