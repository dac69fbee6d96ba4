// Compiles the tables and the generator on their own, then runs the generator. `--check` fails when a generated file is stale.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = mkdtempSync(join(root, '.gen-'));
try {
  writeFileSync(
    join(out, 'tsconfig.json'),
    JSON.stringify({
      extends: '../tsconfig.json',
      compilerOptions: { outDir: out, rootDir: '..', sourceMap: false },
      include: [],
      files: ['../scripts/generate.ts'],
    }),
  );
  const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', out], { stdio: 'inherit' });
  if (tsc.status !== 0) process.exitCode = 1;
  else {
    writeFileSync(join(out, 'package.json'), '{"type":"module"}');
    const { generate } = await import(pathToFileURL(join(out, 'scripts/generate.js')).href);
    process.exitCode = generate(root, process.argv.includes('--check'));
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
