// Builds kernels (kernels/*.ts to dist/kernels/*.wasm, one module a run of asc) and TypeScript (to dist/), each only when stale.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const onlyKernels = process.argv.includes('--kernels');
const isQuiet = process.argv.includes('--quiet');

/** Newest modification time below `folders`, of files that end in one of `endings`. */
function newest(folders, endings) {
  let latest = 0;
  for (const folder of folders) {
    const full = join(root, folder);
    if (!existsSync(full)) continue;
    for (const entry of readdirSync(full, { recursive: true })) {
      if (endings.some((ending) => entry.endsWith(ending))) latest = Math.max(latest, statSync(join(full, entry)).mtimeMs);
    }
  }
  return latest;
}

function run(what, script, args) {
  const startedAt = Date.now();
  const done = spawnSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' });
  if (done.status !== 0) {
    console.error(`${what}: failed`);
    process.exit(1);
  }
  if (!isQuiet) console.log(`${what} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`);
}

/**
 * Kernels whose hot path goes through many small functions have more of them inlined than asc does by itself: up to so large ones wherever
 * they are called. Larger, and the loops of bars that are to stay functions of their own would go with them.
 */
const INLINED = { bars: 120, matcher: 150 };
const INLINING = [
  '-O3',
  '--enable-threads',
  '--enable-simd',
  '--enable-bulk-memory',
  '--enable-nontrapping-float-to-int',
  '--enable-sign-ext',
  '--enable-mutable-globals',
  '--flexible-inline-max-function-size=300',
  '--one-caller-inline-max-function-size=2000',
];

mkdirSync(join(root, 'dist/kernels'), { recursive: true });
const kernelSource = Math.max(newest(['kernels'], ['.ts']), newest(['schemas'], ['layout.gen.ts']), newest(['scripts'], ['build.mjs']));
for (const file of readdirSync(join(root, 'kernels'))) {
  if (!file.endsWith('.ts')) continue;
  const name = file.slice(0, -3);
  const wasm = join(root, `dist/kernels/${name}.wasm`);
  if (existsSync(wasm) && statSync(wasm).mtimeMs > kernelSource) continue;
  // One that was not finished must not be taken for a fresh one by the next run.
  const part = join(root, `dist/kernels/${name}.part.wasm`);
  run(`kernel ${name}`, 'node_modules/assemblyscript/bin/asc.js', [
    `kernels/${name}.ts`,
    '-o',
    part,
    '-O3',
    '--noAssert',
    '--runtime',
    'stub',
    '--importMemory',
    '--sharedMemory',
    '--initialMemory',
    '1',
    '--maximumMemory',
    '65536',
    '--enable',
    'threads,simd,bulk-memory',
    '--use',
    'abort=',
  ]);
  const inlined = INLINED[name];
  if (inlined) {
    const always = `--always-inline-max-function-size=${inlined}`;
    run(`kernel ${name} inlined`, 'node_modules/binaryen/bin/wasm-opt', [part, '-o', part, ...INLINING, always]);
  }
  renameSync(part, wasm);
}
if (!onlyKernels) {
  const source = newest(['schemas', 'config', 'engine', 'workers', 'bench', 'infra', 'test', 'scripts'], ['.ts']);
  const stamp = join(root, 'dist/.tsbuild');
  if (!existsSync(stamp) || statSync(stamp).mtimeMs < source) {
    run('typescript', 'node_modules/typescript/bin/tsc', ['-p', 'tsconfig.json']);
    (await import('node:fs')).writeFileSync(stamp, '');
  }
}
