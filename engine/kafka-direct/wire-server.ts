/** A broker for tests, in the process: it answers each request with what a function makes of it, or does not. */

import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';
import { createWireWriter, type WireWriter } from './wire.ts';

export interface WireCall {
  readonly apiKey: number;
  readonly version: number;
  readonly correlationId: number;
  /** What follows the header. */
  readonly body: Buffer;
  readonly socket: Socket;
}

export interface WireServer {
  readonly address: { readonly host: string; readonly port: number };
  /** The requests that came, in order. */
  readonly calls: readonly WireCall[];
  close(): Promise<void>;
}

export const API_VERSIONS = 18;

/** What `answer` returns is sent behind a header; undefined: nothing is. Requests for ApiVersions are answered with `versions`. */
export function startWireServer(
  versions: readonly (readonly [key: number, min: number, max: number])[],
  answer: (call: WireCall) => Uint8Array | undefined,
): Promise<WireServer> {
  const calls: WireCall[] = [];
  const sockets = new Set<Socket>();
  const onCall = (call: WireCall): void => {
    calls.push(call);
    if (call.apiKey === API_VERSIONS) sendAnswer(call, versionsBody(versions), false);
    else {
      const body = answer(call);
      if (body) sendAnswer(call, body, true);
    }
  };
  const server = createServer((socket) => {
    let pending = Buffer.alloc(0);
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
        const end = 4 + pending.readInt32BE(0);
        onCall(parseCall(pending.subarray(4, end), socket));
        pending = pending.subarray(end);
      }
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      // A cast: a server that listens on a port has such an address.
      const { port } = server.address() as AddressInfo;
      resolve({
        address: { host: '127.0.0.1', port },
        calls,
        close: () =>
          new Promise((closed) => {
            for (const socket of sockets) socket.destroy();
            server.close(() => closed());
          }),
      });
    });
  });
}

/** Sends an answer: length, correlation id, tagged fields where the header has them, body. */
export function sendAnswer({ correlationId, socket }: WireCall, body: Uint8Array, isFlexible: boolean): void {
  const header = createWireWriter();
  header.int32(4 + (isFlexible ? 1 : 0) + body.length);
  header.int32(correlationId);
  if (isFlexible) header.noTags();
  socket.write(Buffer.concat([header.bytes(), body]));
}

/** The bytes that `write` writes. */
export function wireBytes(write: (writer: WireWriter) => void): Uint8Array {
  const writer = createWireWriter();
  write(writer);
  return writer.bytes();
}

function parseCall(bytes: Buffer, socket: Socket): WireCall {
  const clientLength = Math.max(0, bytes.readInt16BE(8));
  return {
    apiKey: bytes.readInt16BE(0),
    version: bytes.readInt16BE(2),
    correlationId: bytes.readInt32BE(4),
    // Behind the client's name come the tagged fields of a flexible header, none.
    body: bytes.subarray(10 + clientLength + 1),
    socket,
  };
}

function versionsBody(versions: readonly (readonly [number, number, number])[]): Uint8Array {
  return wireBytes((writer) => {
    writer.int16(0);
    writer.compactCount(versions.length);
    for (const [key, min, max] of versions) {
      for (const value of [key, min, max]) writer.int16(value);
      writer.noTags();
    }
    writer.int32(0);
    writer.noTags();
  });
}
