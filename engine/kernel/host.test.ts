import { expect, it } from 'vitest';
import { createMemory, createPrivateMemory, loadKernel } from './host.ts';

const BYTES = 65_536;

it('refuses a kernel that was not built, or for another kind of memory, saying what to do', () => {
  expect(() => loadKernel('nothing', createMemory(BYTES))).toThrow(
    /kernel nothing: .*nothing\.wasm cannot be loaded; run npm run build-kernels/,
  );
  for (const load of [() => loadKernel('matcher', createMemory(BYTES)), () => loadKernel('bars', createPrivateMemory(BYTES))]) {
    expect(load).toThrow(
      expect.objectContaining({ code: 'KERNEL_LAYOUT', message: expect.stringMatching(/another kind of memory .*; run npm run/) }),
    );
  }
});
