/** A line to a Postgres server that a test can cut. */
import { type AddressInfo, connect as connectSocket, createServer, type Socket } from 'node:net';

export interface Proxy {
  readonly connectionString: string;
  /** From now on: lets the next message that contains `text` through to the server, then cuts the line before the answer comes back. */
  cutAfter(text: string, onCut?: () => void): void;
  /** Cuts every line and lets none through until `mend`. */
  cut(): void;
  mend(): void;
  /** Takes the next line and says nothing on it. */
  silenceNext(): void;
  close(): Promise<void>;
}

/** A line to the server that can be cut at a chosen moment. */
export async function startProxy(connectionString: string): Promise<Proxy> {
  const url = new URL(connectionString);
  const target = { host: url.hostname, port: Number(url.port || 5432) };
  const sockets = new Set<Socket>();
  let cutText: string | undefined;
  let tellCut = (): void => undefined;
  let isCut = false;
  let isNextSilent = false;
  const proxy = createServer((near) => {
    if (isCut) {
      near.destroy();
      return;
    }
    if (isNextSilent) {
      isNextSilent = false;
      sockets.add(near.on('error', () => undefined));
      return;
    }
    const far = connectSocket(target);
    let isCutting = false;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (bytes) => {
      if (cutText !== undefined && bytes.includes(cutText)) {
        cutText = undefined;
        isCutting = true;
      }
      far.write(bytes);
    });
    far.on('data', (bytes) => {
      if (isCutting) {
        near.destroy();
        tellCut();
      } else near.write(bytes);
    });
  });
  await new Promise<void>((resolve) => proxy.listen({ port: 0, host: '127.0.0.1' }, resolve));
  url.hostname = '127.0.0.1';
  // A cast: a TCP server's address is never a string.
  url.port = String((proxy.address() as AddressInfo).port);
  return {
    connectionString: url.toString(),
    cutAfter(text, onCut = () => undefined) {
      cutText = text;
      tellCut = onCut;
    },
    cut() {
      isCut = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      isCut = false;
    },
    silenceNext() {
      isNextSilent = true;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => proxy.close(resolve));
    },
  };
}
