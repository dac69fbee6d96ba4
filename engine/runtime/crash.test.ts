import { expect, it } from 'vitest';
import { createCrashHandler, EXIT_CRASHED } from './crash.ts';

function record(print: (lines: readonly string[]) => void = () => undefined) {
  const said: unknown[] = [];
  const handler = createCrashHandler({
    display: {
      print(lines) {
        said.push(...lines);
        print(lines);
      },
    },
    log: { fatal: (...entry: unknown[]) => void said.push(entry) },
    exit: (code) => void said.push(code),
  });
  return { said, handler };
}

it('says in the log and on the screen what nobody caught, and ends the process', () => {
  const { said, handler } = record();
  const error = new Error('timer gone wrong');
  handler(error, 'unhandledRejection');
  expect(said).toEqual([
    [{ err: error, origin: 'unhandledRejection' }, 'a background task failed'],
    'FAILED in the background (unhandledRejection): timer gone wrong; the next start goes on from the last checkpoint',
    EXIT_CRASHED,
  ]);
});

it('ends the process even when nothing can be said', () => {
  const { said, handler } = record(() => {
    throw new Error('the screen is gone');
  });
  expect(() => handler('odd', 'uncaughtException')).toThrow('the screen is gone');
  expect(said.at(-1)).toBe(EXIT_CRASHED);
});
