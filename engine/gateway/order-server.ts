/**
 * The orders' TCP server: one JSON object on a line, one reply on a line. As the contract has it, a connection is closed after the reply to a
 * request; one that carries an `id` keeps it open, its reply carries the same `id`, and others may follow before that is there.
 */
import { BlockList, createServer, isIPv6, type Server, type Socket } from 'node:net';
import { EngineError } from '../core/errors.ts';

/** Takes a line and calls back once, at most. */
export type TakeLine = (line: string, answer: (reply: Readonly<Record<string, unknown>>) => void) => void;

export interface OrderServerOptions {
  readonly host: string;
  readonly port: number;
  /** The longest line, without its end, in bytes. */
  readonly lineBytes: number;
  take: TakeLine;
  /** The reply to a line that is too long; the connection is closed behind it. */
  tooLong(): Readonly<Record<string, unknown>>;
}

export interface OrderServer {
  readonly port: number;
  /** What people must know when others than this machine can reach the port, as there is no authentication; empty when they cannot. */
  readonly warning: string;
  readonly connections: number;
  /** Takes no more connections, and lets those that wait for a reply have it for so long. */
  close(graceMs: number): Promise<void>;
}

const NEWLINE = 10;
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');
/** A connection that says nothing for this long, and waits for nothing, is closed. */
const IDLE_MS = 300_000;
/** Requests of one connection that may wait for their replies; it is not read until there are fewer. */
const PENDING_MAX = 4096;
/** Replies that a client has not read, in bytes; it is not read from until it has. */
const UNREAD_BYTES = 1_048_576;
const CONNECTIONS_MAX = 1024;

/**
 * Listens on host:port (0: a free one).
 * @throws EngineError PORT_IN_USE
 */
export async function startOrderServer(options: OrderServerOptions): Promise<OrderServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket, options);
  });
  server.maxConnections = CONNECTIONS_MAX;
  await listen(server, options);
  const bound = server.address();
  const { address, port } = typeof bound === 'object' && bound !== null ? bound : { address: options.host, port: options.port };
  return {
    port,
    warning: isLoopback(address)
      ? ''
      : `orders are taken from whoever reaches ${address}:${port}, without authentication; MATCHER_HOST=127.0.0.1 keeps them to this machine`,
    get connections() {
      return sockets.size;
    },
    close: (graceMs) =>
      new Promise((resolve) => {
        const cut = setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, graceMs);
        server.close(() => {
          clearTimeout(cut);
          resolve();
        });
        for (const socket of sockets) socket.emit('timeout');
      }),
  };
}

/** One connection. */
function serve(socket: Socket, { take, tooLong, lineBytes }: OrderServerOptions): void {
  let parts: Buffer[] = [];
  let held = 0;
  let pending = 0;
  let isClosing = false;

  const finish = (): void => {
    isClosing = true;
    parts = [];
    if (pending === 0 && !socket.destroyed) socket.end();
  };

  const reply = (value: Readonly<Record<string, unknown>>): void => {
    if (socket.writable) socket.write(`${JSON.stringify(value)}\n`);
  };

  const mayRead = (): boolean => pending < PENDING_MAX && socket.writableLength < UNREAD_BYTES;

  const takeOne = (line: string): void => {
    if (line.trim() === '') return;
    pending += 1;
    take(line, (value) => {
      pending -= 1;
      reply(value);
      if (!('id' in value)) isClosing = true;
      if (isClosing) finish();
      else if (mayRead()) socket.resume();
    });
    if (!mayRead()) socket.pause();
  };

  const refuseLong = (): void => {
    reply(tooLong());
    finish();
  };

  /** Whole lines are taken; what is left waits for the rest of its line. */
  const read = (chunk: Buffer): void => {
    let from = 0;
    while (!isClosing) {
      const end = chunk.indexOf(NEWLINE, from);
      const until = end < 0 ? chunk.length : end;
      held += until - from;
      if (held > lineBytes) {
        refuseLong();
        return;
      }
      parts.push(chunk.subarray(from, until));
      if (end < 0) return;
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      held = 0;
      from = end + 1;
      takeOne(line);
    }
  };

  socket.setTimeout(IDLE_MS);
  socket.on('timeout', () => {
    if (pending === 0) finish();
    else isClosing = true;
  });
  socket.on('drain', () => {
    if (mayRead()) socket.resume();
  });
  // The other side is gone: what it asked for goes on, and nobody is told.
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    if (!isClosing) read(chunk);
  });
  socket.on('end', () => {
    // A last line may lack its end.
    if (!isClosing && held > 0) takeOne(Buffer.concat(parts).toString('utf8'));
    finish();
  });
}

/** True for addresses that only this machine can reach. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
}

function listen(server: Server, { host, port }: OrderServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'already in use; stop the other program or set MATCHER_PORT' : cause.message;
      reject(new EngineError('PORT_IN_USE', `MATCHER_PORT ${port} on ${host}: ${why}`, { cause }));
    });
    server.listen(port, host, () => resolve());
  });
}
