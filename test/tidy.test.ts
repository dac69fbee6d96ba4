/** What the house style says and a machine can check. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../engine/core/root.ts';

const FILE_LINES_MAX = 400;

/** Rooms from low to high: a file imports only from rooms of its own rank or lower. */
const RANKS: readonly (readonly string[])[] = [
  ['schemas', 'config'],
  ['engine/core'],
  ['engine/memory', 'engine/market'],
  ['engine/kernel', 'engine/kafka-direct', 'engine/indicators', 'engine/portfolio'],
  ['engine/strategies', 'engine/risk', 'engine/oms'],
  ['engine/execution', 'engine/ingest', 'engine/sinks', 'engine/gateway'],
  ['engine/backtest', 'engine/monitor'],
  ['engine/runtime'],
  ['engine/main.ts'],
  ['workers', 'infra', 'bench', 'scripts', 'test', 'vitest.config.ts'],
];

const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: PROJECT_ROOT, encoding: 'utf8' })
  .split('\n')
  .filter((path) => path !== '' && !path.startsWith('perf_runs/'));
const sources = files.filter((path) => path.endsWith('.ts') && !path.endsWith('.gen.ts'));
const product = sources.filter((path) => !path.endsWith('.test.ts') && !path.startsWith('test/') && !path.startsWith('kernels/'));
const textOf = (path: string): string => readFileSync(join(PROJECT_ROOT, path), 'utf8');

function rankOf(path: string): number {
  return RANKS.findIndex((rooms) => rooms.some((room) => path === room || path.startsWith(`${room}/`)));
}

function importsOf(path: string): string[] {
  return [...textOf(path).matchAll(/^(?:import|export)\s(?!type\s)[^;]*?from '([^']+)'/gms)].map((match) => match[1]!);
}

/** Lines of `paths` that match, as `path:line: text`. */
function linesThat(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    textOf(path)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
  );
}

describe('tidy', () => {
  it('imports point down', () => {
    const upward = product.flatMap((path) =>
      importsOf(path)
        .filter((target) => target.startsWith('.'))
        .map((target) => relative(PROJECT_ROOT, join(PROJECT_ROOT, dirname(path), target)))
        .filter((target) => rankOf(target) > rankOf(path) || rankOf(target) < 0)
        .map((target) => `${path} imports ${target}`),
    );
    expect(upward).toEqual([]);
  });

  it('every room has a rank', () => {
    expect(product.filter((path) => rankOf(path) < 0)).toEqual([]);
  });

  it(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
    expect(sources.filter((path) => textOf(path).split('\n').length > FILE_LINES_MAX)).toEqual([]);
  });

  it('workers are thin', () => {
    const workers = product.filter((path) => path.startsWith('workers/'));
    expect(workers.length).toBeGreaterThan(0);
    expect(workers.filter((path) => textOf(path).split('\n').length > 61)).toEqual([]);
  });

  it('Atomics stay in engine/memory', () => {
    const others = product.filter((path) => !path.startsWith('engine/memory/'));
    expect(linesThat(others, /^[^*/]*\bAtomics\./)).toEqual([]);
  });

  it('clocks, randomness and the environment are read only at their edges', () => {
    const fenced = product.filter((path) => /^engine\/(market|indicators|strategies|risk|oms|kernel|memory|ingest|backtest)\//.test(path));
    expect(fenced.length).toBeGreaterThan(0);
    expect(linesThat(fenced, /\b(Date\.now|new Date\(\)|Math\.random|process\.env|performance\.now|hrtime)\b/)).toEqual([]);
  });

  it('how to get to the brokers is told to librdkafka in one place, so that no client comes without what they want to know', () => {
    const engine = product.filter((path) => path.startsWith('engine/') && path !== 'engine/sinks/kafka/client.ts');
    expect(linesThat(engine, /'(metadata\.broker\.list|bootstrap\.servers)'|\bconfig\.KAFKA_BROKER,/)).toEqual([]);
  });

  it('only edges do input and output', () => {
    const inside = product.filter((path) => /^engine\/(memory|market|indicators|strategies|risk|oms)\//.test(path));
    const io = inside.flatMap((path) =>
      importsOf(path)
        .filter((target) => /^node:(fs|net|http|child_process|worker_threads|dgram|tls)/.test(target) || /^(pg|node-rdkafka)/.test(target))
        .map((target) => `${path} imports ${target}`),
    );
    expect(io.filter((line) => !line.startsWith('engine/market/instrument-book.ts imports node:fs'))).toEqual([]);
  });

  it('types are not escaped', () => {
    const others = sources.filter((path) => path !== 'test/tidy.test.ts' && !path.startsWith('kernels/'));
    expect(linesThat(others, /@ts-ignore|@ts-expect-error|as unknown as|: any\b|<any>/)).toEqual([]);
  });

  it('nothing is skipped without a reason, marked unfinished, or exclusive', () => {
    const others = sources.filter((path) => path !== 'test/tidy.test.ts');
    expect(linesThat(others, /\b(TODO|FIXME|XXX)\b|\b(it|test|describe)\.(only|todo)\(/)).toEqual([]);
  });

  it('no path of a machine and no registry host stands in the tree', () => {
    const texts = files.filter((path) => /\.(ts|mjs|json|md|sql|yaml|yml|xml|properties|sh)$/.test(path) && path !== 'test/tidy.test.ts');
    expect(linesThat(texts, /(^|[^A-Za-z0-9_.-])\/(work|farm|root|home\/\w+)\/[A-Za-z]|registry\.npmjs\.org/)).toEqual([]);
  });
});
