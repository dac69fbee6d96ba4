/** Builds the C++ opponents of the benches. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { tryRun } from './manifest.ts';

/** True when g++ is there. */
export function findCompiler(): boolean {
  return tryRun('g++', ['--version']) !== undefined;
}

/** Compiles `bench/cpp/<name>.cpp` when it is newer than what was built, and returns the path of the program. */
export function buildCpp(name: string): string {
  const source = join(PROJECT_ROOT, 'bench/cpp', `${name}.cpp`);
  const folder = join(PROJECT_ROOT, '.data/bench');
  const program = join(folder, name);
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return program;
  mkdirSync(folder, { recursive: true });
  execFileSync('g++', ['-O3', '-march=native', '-std=c++20', '-pthread', source, '-o', program], { stdio: 'inherit' });
  return program;
}
