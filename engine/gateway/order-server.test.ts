import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { isLoopback, type OrderServer, startOrderServer, type TakeLine } from './order-server.ts';

const LINE_BYTES = 1000;
let server: OrderServer | undefined;
afterEach(async () => {
  await server?.close(0);
  server = undefined;
});

/** Answers with the line itself, and its id if it has one. */
const echo: TakeLine = (line, answer) => {
  const id = /"id":(\d+)/.exec(line)?.[1];
  answer(id === undefined ? { line } : { id: Number(id), line });
};

async function start(take: TakeLine = echo): Promise<number> {
  server = await startOrderServer({ host: '127.0.0.1', port: 0, lineBytes: LINE_BYTES, take, tooLong: () => ({ err: 'line_too_long' }) });
  return server.port;
}

interface Client {
  readonly socket: Socket;
  /** All replies, once the server has closed the connection. */
  readonly closed: Promise<readonly Record<string, unknown>[]>;
}

function client(port: number): Client {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const closed = new Promise<readonly Record<string, unknown>[]>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('end', () => {
      socket.end();
      resolve(
        text
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line)),
      );
    });
  });
  return { socket, closed };
}

describe('the order server', () => {
  it('answers one line and closes the connection, as the contract has it', async () => {
    const { socket, closed } = client(await start());
    socket.write('{"op":"ping"}\n{"op":"late"}\n');
    expect(await closed).toEqual([{ line: '{"op":"ping"}' }]);
  });

  it('keeps the connection open for requests with an id', async () => {
    const { socket, closed } = client(await start());
    socket.write('{"id":1}\n{"id":2}\n');
    socket.write('{"id":3}\n\n  \n{"no":4}\n');
    expect(await closed).toEqual([
      { id: 1, line: '{"id":1}' },
      { id: 2, line: '{"id":2}' },
      { id: 3, line: '{"id":3}' },
      { line: '{"no":4}' },
    ]);
  });

  it('puts lines together that come in pieces, also within a character', async () => {
    const { socket, closed } = client(await start());
    const bytes = Buffer.from('{"id":1,"name":"₹"}\r\n');
    for (const byte of bytes) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.end('{"last":"without an end"}');
    expect(await closed).toEqual([{ id: 1, line: '{"id":1,"name":"₹"}\r' }, { line: '{"last":"without an end"}' }]);
  });

  it.each([LINE_BYTES + 1, 70_000, 1_000_000])('refuses a line of %i bytes without holding it', async (length) => {
    const lines: string[] = [];
    const { socket, closed } = client(
      await start((line, answer) => {
        lines.push(line);
        answer({ ok: true });
      }),
    );
    socket.write('x'.repeat(length));
    expect(await closed).toEqual([{ err: 'line_too_long' }]);
    expect(lines).toEqual([]);
  });

  it('takes a line of the greatest length', async () => {
    const { socket, closed } = client(await start((line, answer) => answer({ length: line.length })));
    socket.write(`${'x'.repeat(LINE_BYTES)}\n`);
    expect(await closed).toEqual([{ length: LINE_BYTES }]);
  });

  it('waits for replies that come later, and gives them in the order in which they are there', async () => {
    const answers: (() => void)[] = [];
    const { socket, closed } = client(await start((line, answer) => void answers.push(() => echo(line, answer))));
    socket.end('{"id":1}\n{"id":2}\n');
    while (answers.length < 2) await new Promise((resolve) => setImmediate(resolve));
    answers[1]?.();
    answers[0]?.();
    expect((await closed).map(({ id }) => id)).toEqual([2, 1]);
  });

  it('goes on when a client is gone before its reply', async () => {
    const answers: (() => void)[] = [];
    const port = await start((line, answer) => {
      if (line.includes('wait')) answers.push(() => answer({ ok: true }));
      else answer({ ok: true });
    });
    const gone = client(port);
    gone.closed.catch(() => undefined);
    gone.socket.write('{"wait":1}\n');
    while (answers.length === 0) await new Promise((resolve) => setImmediate(resolve));
    gone.socket.resetAndDestroy();
    while ((server?.connections ?? 0) > 0) await new Promise((resolve) => setImmediate(resolve));
    answers[0]?.();
    const next = client(port);
    next.socket.write('{}\n');
    expect(await next.closed).toEqual([{ ok: true }]);
  });

  it('stops reading from a client that does not read its replies', async () => {
    let taken = 0;
    const port = await start((line, answer) => {
      taken += 1;
      answer({ id: taken, text: 'x'.repeat(50_000), line });
    });
    const { socket } = client(port);
    socket.pause();
    const lines = '{"id":1}\n'.repeat(1000);
    let sent = 0;
    while (sent < 400 && socket.write(lines)) sent += 1;
    let before = -1;
    while (taken !== before) {
      before = taken;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(taken).toBeLessThan(10_000);
    socket.destroy();
  });

  it.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['10.0.0.5', false],
    ['::ffff:10.0.0.5', false],
  ])('knows of %s that it is %s that only this machine reaches it', (address, isLocal) => {
    expect(isLoopback(address)).toBe(isLocal);
  });

  it('warns when it listens where others can reach it, and only then', async () => {
    await start();
    expect(server?.warning).toBe('');
    await server?.close(0);
    server = await startOrderServer({ host: '0.0.0.0', port: 0, lineBytes: LINE_BYTES, take: echo, tooLong: () => ({}) });
    expect(server.warning).toBe(
      `orders are taken from whoever reaches 0.0.0.0:${server.port}, without authentication; MATCHER_HOST=127.0.0.1 keeps them to this machine`,
    );
  });

  it('says which port is taken', async () => {
    const port = await start();
    const options = { host: '127.0.0.1', port, lineBytes: LINE_BYTES, take: echo, tooLong: () => ({}) };
    await expect(startOrderServer(options)).rejects.toThrow(`MATCHER_PORT ${port} on 127.0.0.1: already in use`);
  });
});
