import { expect, it } from 'vitest';
import { readPerfOptions } from './options.ts';

it('takes the names of the contract from the environment, and its own settings where nothing is said', () => {
  const options = readPerfOptions([], { PERF_SCENARIO: 'catch-up', LOADS: '50, 5000', WORKERS: '1,2,4', STAGE_SEC: '2.5', QUEUE: '' });
  expect(options).toMatchObject({ scenario: 'catch-up', loads: [50, 5000], workers: [1, 2, 4], stageSec: 2.5, queue: 65_536, repeats: 3 });
});

it('lets a flag win over the environment', () => {
  expect(readPerfOptions(['--scenario', 'pipeline'], { PERF_SCENARIO: 'catch-up' }).scenario).toBe('pipeline');
});

it('says of a scenario that is not there what is missing', () => {
  expect(() => readPerfOptions(['--scenario', 'paper-flow'], {})).toThrow(
    /'paper-flow': not built: no strategy sends orders .*; expected one of/,
  );
  expect(() => readPerfOptions(['--scenario', 'kernels'], {})).toThrow(/'kernels': expected one of/);
});

it('refuses what needs servers where there are none', () => {
  const flags = ['--search', '--peer', 'go=./bars', '--sabotage', 'stall'];
  expect(() => readPerfOptions(['--scenario', 'kernel', ...flags], {})).toThrow(/--search, --sabotage, --peer: not with .*'kernel'/);
});

it('names everything that is wrong at once', () => {
  const wrong = { WORKERS: '0', LOADS: 'many', REPEATS: '1.5', PERF_ENCODING: 'xml', STAGE_SEC: '1' };
  expect(() => readPerfOptions([], wrong)).toThrow(/WORKERS.*\n.*LOADS.*\n.*REPEATS.*\n.*STAGE_SEC.*\n.*PERF_ENCODING/s);
});

it('refuses a peer without a command, and flags that it does not know', () => {
  expect(() => readPerfOptions(['--peer', 'go'], {})).toThrow(/NAME=COMMAND/);
  expect(() => readPerfOptions(['--lods'], {})).toThrow(/--lods/);
  expect(readPerfOptions(['--peer', 'go=./bars --fast=1'], {}).peerCommands).toEqual([{ name: 'go', command: './bars --fast=1' }]);
});
