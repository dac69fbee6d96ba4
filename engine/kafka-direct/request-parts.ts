/**
 * Requests that go to the socket in the parts in which they lie. The library joins each into a buffer of its own: of batches of half a megabyte
 * that is a copy more, and fresh buffers of that size call for a collection of all garbage every few dozen requests. So it is given requests of
 * ours without their bodies, and where it writes one, the body goes behind it and is counted in its length.
 */
import type { Connection, Writer } from '@platformatic/kafka';
import { assert } from '../core/errors.ts';

/** Where a request has its length, without these four bytes, and its number. */
const LENGTH_BYTES = 4;
const CORRELATION_OFFSET = 8;

type Parts = readonly Uint8Array[];

export interface RequestParts {
  /** What to give `connection.send` for a payload: empty for the library, and `body` on the wire. The parts are read until the answer comes. */
  payload(body: Parts): () => Writer;
  /** To be called once the connection has its socket. */
  attach(): void;
}

/** To be called before anything is sent on `connection`; `empty` makes a writer. */
export function sendInParts(connection: Connection, empty: () => Writer): RequestParts {
  const bodies = new WeakMap<() => Writer, Parts>();
  /** Of requests that were sent and not written yet, by number. */
  const unwritten = new Map<number, Parts>();
  const send = connection.send.bind(connection);
  // The library numbers requests from 1 on, in this order.
  let sent = 0;
  connection.send = (...request) => {
    const body = bodies.get(request[2]);
    sent += 1;
    if (body) unwritten.set(sent, body);
    send(...request);
  };
  return {
    payload(body) {
      const payload = (): Writer => empty();
      bodies.set(payload, body);
      return payload;
    },
    attach() {
      const { socket } = connection;
      const write = socket.write.bind(socket);
      const writeWhole = (frame: Buffer): boolean => {
        const number = frame.readInt32BE(CORRELATION_OFFSET);
        const body = unwritten.get(number);
        if (!body) return write(frame);
        unwritten.delete(number);
        const length = frame.readInt32BE(0);
        assert(length === frame.length - LENGTH_BYTES, `request ${number}: ${frame.length} bytes that say ${length}`);
        const whole = body.reduce((sum, part) => sum + part.length, length);
        frame.writeInt32BE(whole, 0);
        socket.cork();
        write(frame);
        for (const part of body) write(part);
        socket.uncork();
        return !socket.writableNeedDrain;
      };
      // Those that waited for their turn have none any more.
      socket.once('close', () => unwritten.clear());
      // A cast: of the ways in which a socket can be written to, the library knows one.
      socket.write = writeWhole as typeof socket.write;
    },
  };
}
