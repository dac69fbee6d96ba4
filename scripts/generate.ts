/** Writes every generated file from what it is generated from: record layouts, the knob reference, `.env.example`, the index of measurements. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderRunIndex } from '../bench/perf-test/run-index.ts';
import { KNOBS } from '../config/knobs.ts';
import { renderEnvExample, renderKnobReference } from '../config/render.ts';
import { ORDER_LAYOUT, renderLayout, TICK_LAYOUT } from '../schemas/render.ts';

/** Writes the generated files below `root`, or with `check` only compares them. Returns the exit code. */
export function generate(root: string, check: boolean): number {
  const files: readonly (readonly [string, string])[] = [
    ['schemas/layout.gen.ts', renderLayout(TICK_LAYOUT)],
    ['schemas/order-layout.gen.ts', renderLayout(ORDER_LAYOUT)],
    ['.env.example', renderEnvExample(KNOBS)],
    ['docs/reference/knobs.md', renderKnobReference(KNOBS)],
    ['perf_runs/README.md', renderRunIndex(join(root, 'perf_runs'))],
  ];
  let stale = 0;
  for (const [path, text] of files) {
    const full = join(root, path);
    if (existsSync(full) && readFileSync(full, 'utf8') === text) continue;
    stale += 1;
    if (check) console.error(`${path}: stale; run npm run gen`);
    else {
      writeFileSync(full, text);
      console.log(`wrote ${path}`);
    }
  }
  return check && stale > 0 ? 1 : 0;
}
