// Makes a checkout ready to run: installs packages when they are missing or older than the lock file, then builds what is stale.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const isQuiet = process.argv.includes('--quiet');
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Node ${process.versions.node}: expected 20.19 or newer`);
  process.exit(1);
}

function modified(path) {
  const full = join(root, path);
  return existsSync(full) ? statSync(full).mtimeMs : 0;
}

if (modified('node_modules/.package-lock.json') < modified('package-lock.json')) {
  console.log('Installing packages. The native Kafka client is compiled once; that takes a few minutes.');
  const startedAt = Date.now();
  const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (done.status !== 0) {
    console.error('npm ci failed; see above. Node 20.19 or newer with npm and a connection to the package registry are needed.');
    process.exit(1);
  }
  console.log(`Packages installed (${Math.round((Date.now() - startedAt) / 1000)} s).`);
}
if (isQuiet) process.argv.push('--quiet');
await import('./build.mjs');
