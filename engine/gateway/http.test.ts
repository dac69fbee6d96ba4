import { createServer } from 'node:http';
import { afterEach, expect, it } from 'vitest';
import { type Gateway, startGateway } from './http.ts';

let gateway: Gateway | undefined;
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
});

const part = { name: 'postgres', detail: 'connected', sinceMs: 0 };

function start(isUp: boolean) {
  return startGateway({
    host: '127.0.0.1',
    port: 0,
    metrics: async () => 'x 1\n',
    health: () => [{ ...part, isUp }],
    isReady: () => isUp,
    runtime: () => ({ heapBytes: 1 }),
  });
}

it('serves metrics, health and readiness', async () => {
  gateway = await start(true);
  expect(await (await fetch(`${gateway.url}/metrics`)).text()).toBe('x 1\n');
  const health = await fetch(`${gateway.url}/health`);
  expect(health.status).toBe(200);
  expect(await health.json()).toMatchObject({ status: 'up', parts: [{ name: 'postgres', since: '1970-01-01T00:00:00.000Z' }] });
  expect((await fetch(`${gateway.url}/ready`)).status).toBe(200);
  expect(await (await fetch(`${gateway.url}/runtime`)).json()).toEqual({ heapBytes: 1 });
  expect((await fetch(`${gateway.url}/other`)).status).toBe(404);
});

it('answers 503 and names the part that is down', async () => {
  gateway = await start(false);
  const health = await fetch(`${gateway.url}/health`);
  expect(health.status).toBe(503);
  expect(await health.json()).toMatchObject({ status: 'down', parts: [{ name: 'postgres', isUp: false }] });
  expect((await fetch(`${gateway.url}/ready`)).status).toBe(503);
});

it('says which knob to set when the port is in use', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const address = other.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  await expect(
    startGateway({ host: '127.0.0.1', port, metrics: async () => '', health: () => [], isReady: () => true, runtime: () => ({}) }),
  ).rejects.toThrow(/METRICS_PORT \d+ on 127.0.0.1: already in use/);
  other.close();
});
