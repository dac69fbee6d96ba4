/** A TCP proxy that can make its line slow, cut it, or let nothing through while both ends believe it is there. */
import { createServer, connect as dial, type Socket } from 'node:net';

export interface LineProxy {
  readonly port: number;
  /** Everything the client says arrives this much later, in order; 0 ends it. */
  setDelayMs(delayMs: number): void;
  /** Connections are dropped, and new ones too, until it is mended. */
  setCut(isCut: boolean): void;
  /** Bytes wait, in both directions, until it is opened again. */
  setSilent(isSilent: boolean): void;
  close(): Promise<void>;
}

interface Line {
  /** What one end said and the other has not heard, with the time at which it may. */
  readonly waiting: { readonly chunk: Buffer; readonly atMs: number }[];
  readonly from: Socket;
  readonly to: Socket;
  timer: NodeJS.Timeout | undefined;
}

/** @param upstreamPort of 127.0.0.1 */
export async function startProxy(upstreamPort: number): Promise<LineProxy> {
  let delayMs = 0;
  let isCut = false;
  let isSilent = false;
  const lines = new Set<Line>();

  const pass = (line: Line): void => {
    clearTimeout(line.timer);
    line.timer = undefined;
    if (isSilent) return;
    const nowMs = performance.now();
    for (let first = line.waiting[0]; first !== undefined && first.atMs <= nowMs; first = line.waiting[0]) {
      line.waiting.shift();
      line.to.write(first.chunk);
    }
    const next = line.waiting[0];
    if (next !== undefined) line.timer = setTimeout(pass, Math.max(1, next.atMs - nowMs), line);
  };

  const join = (from: Socket, to: Socket, isDelayed: boolean): void => {
    const line: Line = { waiting: [], from, to, timer: undefined };
    lines.add(line);
    from.on('data', (chunk) => {
      line.waiting.push({ chunk, atMs: isDelayed ? performance.now() + delayMs : 0 });
      pass(line);
    });
    const end = (): void => {
      clearTimeout(line.timer);
      lines.delete(line);
      from.destroy();
      to.destroy();
    };
    // An end that says goodbye in good order has its last words delivered.
    from.on('end', () => {
      while (line.waiting.length > 0 && !isSilent) to.write(line.waiting.shift()?.chunk ?? Buffer.alloc(0));
      to.end();
    });
    from.on('error', end);
    from.on('close', end);
  };

  const server = createServer({ allowHalfOpen: true }, (client) => {
    if (isCut) {
      client.destroy();
      return;
    }
    const upstream = dial({ port: upstreamPort, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    client.setNoDelay(true);
    join(client, upstream, true);
    join(upstream, client, false);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();

  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    setDelayMs(value) {
      delayMs = value;
    },
    setCut(value) {
      isCut = value;
      if (isCut) for (const line of lines) line.from.destroy();
    },
    setSilent(value) {
      isSilent = value;
      for (const line of lines) pass(line);
    },
    close() {
      for (const line of lines) line.from.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
