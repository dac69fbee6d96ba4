/** The small HTTP server: /metrics, /health, /ready, /runtime. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { EngineError, messageOf } from '../core/errors.ts';

export interface HealthPart {
  readonly name: string;
  readonly isUp: boolean;
  readonly detail: string;
  /** Wall clock ms since when it is as it is. */
  readonly sinceMs: number;
}

export interface GatewayOptions {
  readonly host: string;
  readonly port: number;
  metrics(): Promise<string>;
  health(): readonly HealthPart[];
  isReady(): boolean;
  /** How the process itself fares, and its latencies as histograms: what a measurement from outside reads. */
  runtime(): object;
}

export interface Gateway {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Listens on host:port (0: a free one).
 * @throws EngineError PORT_IN_USE
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const server = createServer((request, response) => {
    const reply = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') return reply(405, 'text/plain', 'only GET and HEAD\n');
    switch (new URL(request.url ?? '/', 'http://localhost').pathname) {
      case '/metrics':
        options.metrics().then(
          (text) => reply(200, 'text/plain; version=0.0.4; charset=utf-8', text),
          (error: unknown) => reply(500, 'text/plain', `${messageOf(error)}\n`),
        );
        return;
      case '/health': {
        const parts = options.health();
        const isUp = parts.every((part) => part.isUp);
        const shown = parts.map((part) => ({ ...part, since: new Date(part.sinceMs).toISOString() }));
        return reply(isUp ? 200 : 503, 'application/json', `${JSON.stringify({ status: isUp ? 'up' : 'down', parts: shown })}\n`);
      }
      case '/ready':
        return options.isReady() ? reply(200, 'text/plain', 'ready\n') : reply(503, 'text/plain', 'not ready\n');
      case '/runtime':
        return reply(200, 'application/json', `${JSON.stringify(options.runtime())}\n`);
      default:
        return reply(404, 'text/plain', 'see /metrics, /health, /ready, /runtime\n');
    }
  });
  await listen(server, options);
  // A cast: a TCP server's address is never a pipe name.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function listen(server: Server, { host, port }: GatewayOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'already in use; stop the other program or set METRICS_PORT' : cause.message;
      reject(new EngineError('PORT_IN_USE', `METRICS_PORT ${port} on ${host}: ${why}`, { cause }));
    });
    server.listen(port, host, () => resolve());
  });
}
