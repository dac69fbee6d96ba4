/** The Postgres writer under the contract of sinks. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { describeSink, type SinkFixture } from '../contract/sink-suite.ts';
import { startServer, startWriter, T0, type TestServer } from './postgres-harness.ts';
import { startProxy } from './postgres-proxy.ts';

let testServer: TestServer;

beforeAll(async () => {
  testServer = await startServer();
});

afterAll(async () => {
  await testServer.close();
});

const SYMBOLS = ['AAA', 'Bb\tB', 'ÉUR'];

async function createFixture(): Promise<SinkFixture> {
  const proxy = await startProxy(testServer.server.connectionString);
  const harness = await startWriter(testServer, { connectionString: proxy.connectionString });
  return {
    symbolCount: SYMBOLS.length,
    // One slot is for the barrier.
    room: () => (harness.rings[0]?.free() ?? 0) - 1,
    put(bars) {
      for (const { symbolIndex, startSec } of bars)
        harness.final({ symbol: symbolIndex, start: startSec, ticks: [[startSec * 1000, 10, 1]] });
      harness.endEpoch();
    },
    async passTime() {
      harness.takePublished();
      await pause(0);
    },
    async close() {
      const drain = setInterval(() => harness.takePublished(), 1);
      await harness.finish();
      clearInterval(drain);
    },
    async arrived() {
      // Rows of a table that is only ever appended to lie in the order in which they came.
      const rows = await harness.query('select symbol, (first_ns - $1) / 1000000000 as start from bars_1s order by ctid', [String(T0)]);
      return rows.map(({ symbol, start }) => ({ symbolIndex: SYMBOLS.indexOf(String(symbol)), startSec: Number(start) }));
    },
    line: {
      cut: async () => proxy.cut(),
      mend: async () => proxy.mend(),
    },
    async dispose() {
      proxy.mend();
      await harness.abandon();
      await proxy.close();
      await harness.query(`drop schema ${harness.database.schema} cascade`);
    },
  };
}

describeSink('postgres', createFixture, { canBeCut: true });
