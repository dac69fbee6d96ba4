// Builds kernels (kernels/*.ts to dist/kernels/*.wasm, one module a run of asc) and TypeScript (to dist/), each only when stale.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
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
 * Kernels whose hot path goes through many small functions. asc leaves them to wasm-opt, which inlines functions up to a size wherever they are called
 * (larger for bars, and the loops that are to stay functions of their own would go with them) and keeps those off the hot path apart, so that it
 * has the registers to itself.
 */
const TUNED = {
  bars: { inlinedSize: 120, apart: [] },
  matcher: { inlinedSize: 300, apart: ['searchPage', 'takePage', 'levelEmptied', 'takeAndStand', 'stepOne', 'stepAll'] },
  produce: { inlinedSize: 300, apart: ['writeExponential', 'shortestDecimal', 'writeLz4'] },
};
/**
 * Kernels over memory that several threads see: rings, and what lies beside them. The others have a memory of their own (engine/kernel/host.ts), which is
 * copied to and from at the speed of the machine: V8 copies shared memory word by word.
 */
const SHARED = ['bars', 'fetch', 'ingest', 'ring-bench'];
const TUNING = [
  '--enable-threads',
  '--enable-simd',
  '--enable-bulk-memory',
  '--enable-nontrapping-float-to-int',
  '--enable-sign-ext',
  '--enable-mutable-globals',
  '--flexible-inline-max-function-size=300',
];

/** The arguments of wasm-opt for `wasm`, which has the names of its functions. */
function tuningOf(wasm, { inlinedSize, apart }) {
  const text = readFileSync(wasm, 'latin1');
  const unknown = apart.find((name) => !text.includes(`/${name}`));
  if (unknown) {
    console.error(`${wasm}: has no function ${unknown} that could be kept apart; TUNED in scripts/build.mjs names it`);
    process.exit(1);
  }
  const sizes = [`--always-inline-max-function-size=${inlinedSize}`, `--one-caller-inline-max-function-size=${100 * inlinedSize}`];
  const kept = apart.map((name) => `--no-inline=*/${name}`);
  return [wasm, '-o', wasm, ...TUNING, ...sizes, ...kept, '-O3', '-O3', '--strip-debug'];
}

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
    ...(TUNED[name] ? ['-O0', '--debug'] : ['-O3']),
    '--noAssert',
    '--runtime',
    'stub',
    '--importMemory',
    ...(SHARED.includes(name) ? ['--sharedMemory'] : []),
    '--initialMemory',
    '1',
    '--maximumMemory',
    '65536',
    '--enable',
    'threads,simd,bulk-memory',
    '--use',
    'abort=',
  ]);
  if (TUNED[name]) run(`kernel ${name} tuned`, 'node_modules/binaryen/bin/wasm-opt', tuningOf(part, TUNED[name]));
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
