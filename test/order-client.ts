/** A client of the exchange, for tests and for the torture: many requests on one connection, each with an id. */
import { connect, type Socket } from 'node:net';
import type { Reply } from '../engine/execution/exchange/reply.ts';
import type { RequestJson } from './order-requests.ts';

export interface OrderClient {
  readonly isLost: boolean;
  /** Resolves with the reply, or with undefined when the connection is lost first. */
  send(request: object): Promise<Reply | undefined>;
  close(): void;
}

/** A connection that carries many requests, each with an id. */
export async function openClient(port: number): Promise<OrderClient> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opened = connect({ port, host: '127.0.0.1' }, () => resolve(opened));
    opened.on('error', reject);
  });
  const waiting = new Map<number, (reply: Reply | undefined) => void>();
  let isLost = false;
  let sent = 0;
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    const lines = (text + chunk.toString()).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      const reply: Reply = JSON.parse(line);
      const id = Number(reply['id']);
      waiting.get(id)?.(reply);
      waiting.delete(id);
    }
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isLost = true;
    for (const resolve of waiting.values()) resolve(undefined);
    waiting.clear();
  });
  return {
    get isLost() {
      return isLost;
    },
    send(request) {
      if (isLost) return Promise.resolve(undefined);
      sent += 1;
      const id = sent;
      return new Promise((resolve) => {
        waiting.set(id, resolve);
        socket.write(`${JSON.stringify({ ...request, id })}\n`);
      });
    },
    close: () => socket.destroy(),
  };
}

/** Replies to orders that were not matched, or about which nothing is known. */
export const UNMATCHED = new Set(['duplicate_client_order_id', 'unknown_outcome']);

/** What a client was told of a request. */
export interface Told {
  readonly op: string;
  readonly reply: Reply;
}

/** Sends a flow, never more than `window` requests without a reply; ends early when the connection is lost. Returns what was told. */
export async function sendAll(client: OrderClient, requests: readonly RequestJson[], window: number): Promise<Told[]> {
  const told: Told[] = [];
  const pending = new Set<Promise<unknown>>();
  for (const request of requests) {
    const sent = client.send(request).then((reply) => {
      if (reply !== undefined) told.push({ op: String(request['op']), reply });
      pending.delete(sent);
    });
    pending.add(sent);
    if (client.isLost) break;
    if (pending.size >= window) await Promise.race(pending);
  }
  await Promise.all(pending);
  return told;
}
