import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import { applyPatch } from '../../test/torture/sabotage.ts';
import { PERF_SABOTAGES } from './sabotage.ts';

const isBuilt = existsSync(join(PROJECT_ROOT, 'dist/engine/main.js'));

describe.skipIf(!isBuilt)(`bugs put into the engine${isBuilt ? '' : ' (skipped: not built)'}`, () => {
  it.each(PERF_SABOTAGES)('$name finds its place', ({ patches }) => {
    for (const patch of patches) {
      const text = readFileSync(join(PROJECT_ROOT, 'dist', patch.file), 'utf8');
      expect(applyPatch(text, patch)).not.toBe(text);
    }
  });
});
