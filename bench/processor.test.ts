import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { expect, it } from 'vitest';
import { holdOneProcessor } from './processor.ts';

const processors = (): number => Number(execFileSync('nproc', { encoding: 'utf8' }));

it('holds this process and what it starts to one processor, and gives the others back', (context) => {
  const before = processors();
  const hold = holdOneProcessor();
  if (!hold) {
    context.skip('taskset is not there');
    return;
  }
  try {
    expect(processors()).toBe(1);
    expect(availableParallelism()).toBe(1);
  } finally {
    hold.free();
  }
  expect(processors()).toBe(before);
});
