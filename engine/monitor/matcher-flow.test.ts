import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { generateFlow, isFlowThere } from '../../test/xc1-flow.ts';
import { matchFlow } from './matcher-flow.ts';

const folder = mkdtempSync(join(tmpdir(), 'matcher-flow-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(name: string, lines: readonly unknown[]): string {
  const file = join(folder, name);
  writeFileSync(file, lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n'));
  return file;
}

describe('matcher flow', () => {
  it.skipIf(!isFlowThere).each([7, 3, 99])(
    `gives what the generator of XC-1 expects for seed %i${isFlowThere ? '' : ' (skipped: ../shared/tools is not there)'}`,
    async (seed) => {
      const { fill, cmds, expect: expected } = generateFlow(30_000, seed);
      const { outcome, refused } = await matchFlow(fileOf(`${seed}.ndjson`, [...fill, ...cmds]));
      expect(outcome).toEqual({ ...expected, trades: expected.allTrades });
      expect(refused).toBe(0);
    },
  );

  it('trades in price-time order and leaves what is left in the books', async () => {
    const file = fileOf('small.ndjson', [
      { op: 0, id: 1, side: 1, px: 101, qty: 5 },
      { op: 0, id: 2, side: 1, px: 100, qty: 5 },
      { op: 0, id: 3, side: 1, px: 100, qty: 5 },
      { op: 3, id: 2, px: 100 },
      { op: 1, id: 4, side: 0, px: 100, qty: 7 },
      { op: 2, id: 1 },
      { op: 2, id: 1 },
    ]);
    const { outcome, refused } = await matchFlow(file);
    // The move costs order 2 its place: 5 lots of order 3, then 2 of order 2.
    const hash = (3 * 7 + 5 * 13 + 100) * 31 + 2 * 7 + 2 * 13 + 100;
    expect(outcome).toEqual({ trades: 2, allTrades: 2, qty: 7, hash, resting: 1, bestAsk: 100, levels: [0, 1] });
    expect(refused).toBe(1);
  });

  it.each([
    ['not JSON', '{"op":0', /:2: '\{"op":0': expected JSON/],
    ['an unknown op', { op: 4, id: 1 }, /:2: op of/],
    ['a fractional price', { op: 3, id: 1, px: 1.5 }, /:2: px of/],
    ['an order without a side', { op: 0, id: 1, px: 1, qty: 1 }, /:2: side of/],
  ])('names the line that has %s', async (_, line, message) => {
    const file = fileOf('bad.ndjson', [{ op: 0, id: 1, side: 0, px: 1, qty: 1 }, line]);
    await expect(matchFlow(file)).rejects.toMatchObject({ code: 'FLOW_LINE', message: expect.stringMatching(message) });
  });

  it('says which file is not there', async () => {
    await expect(matchFlow(join(folder, 'absent'))).rejects.toMatchObject({ code: 'FLOW_ABSENT' });
  });
});
