/** Loads kernels: WASM modules that import their memory and are given addresses. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LAYOUT_HASH } from '../../schemas/layout.gen.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { PROJECT_ROOT } from '../core/root.ts';

const WASM_PAGE_BYTES = 65536;

/** Must equal --maximumMemory of the kernel build: a memory and the module's import have to agree, also on whether it is shared (SHARED there). */
const MAXIMUM_PAGES = 65536;

const modules = new Map<string, WebAssembly.Module>();

/** A shared memory of at least `bytes`, zeroed. */
export function createMemory(bytes: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pagesOf(bytes), maximum: MAXIMUM_PAGES, shared: true });
}

/** A memory of one thread's own, of at least `bytes`, zeroed, never grown: what is copied to it and from it goes several times as fast. */
export function createPrivateMemory(bytes: number): WebAssembly.PrivateMemory {
  return new WebAssembly.Memory({ initial: pagesOf(bytes), maximum: MAXIMUM_PAGES, shared: false });
}

function pagesOf(bytes: number): number {
  return Math.ceil(bytes / WASM_PAGE_BYTES);
}

/**
 * Instantiates `dist/kernels/<name>.wasm` over `memory` and checks that it was built for this layout.
 * @throws EngineError KERNEL_MISSING, KERNEL_LAYOUT
 */
export function loadKernel<Exports extends WebAssembly.Exports>(
  name: string,
  memory: WebAssembly.Memory | WebAssembly.PrivateMemory,
): Exports {
  let module = modules.get(name);
  if (!module) {
    const path = join(PROJECT_ROOT, 'dist/kernels', `${name}.wasm`);
    try {
      module = new WebAssembly.Module(readFileSync(path));
    } catch (cause) {
      throw new EngineError('KERNEL_MISSING', `kernel ${name}: ${path} cannot be loaded; run npm run build-kernels`, { cause });
    }
    modules.set(name, module);
  }
  const exports = instantiate(name, module, memory);
  const layoutHash = exports['layoutHash'];
  const hash = typeof layoutHash === 'function' ? layoutHash() : undefined;
  if (hash !== LAYOUT_HASH) {
    throw new EngineError(
      'KERNEL_LAYOUT',
      `kernel ${name}: built for layout ${hash}, the engine has ${LAYOUT_HASH}; run npm run build-kernels`,
    );
  }
  // A cast: what a kernel exports is declared beside its host and checked by its parity test.
  return exports as Exports;
}

function instantiate(name: string, module: WebAssembly.Module, memory: object): WebAssembly.Exports {
  try {
    return new WebAssembly.Instance(module, { env: { memory } }).exports;
  } catch (cause) {
    const text = `kernel ${name}: built for another kind of memory (${messageOf(cause)}); run npm run build-kernels`;
    throw new EngineError('KERNEL_LAYOUT', text, { cause });
  }
}
