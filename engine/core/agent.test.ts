import { expect, it } from 'vitest';
import { runAgent, type ThreadAgent } from './agent.ts';

/** Finds work at the looks that `script` names as true, and is done after the last; writes down when it sleeps. */
function scripted(script: readonly boolean[]): { agent: ThreadAgent; parkedAfter: number[] } {
  const parkedAfter: number[] = [];
  let looks = 0;
  const agent: ThreadAgent = {
    name: 'scripted',
    doWork() {
      const has = script[looks] === true;
      looks += 1;
      return has ? 1 : 0;
    },
    get isDone() {
      return looks >= script.length;
    },
    park(timeoutMs) {
      expect(timeoutMs).toBeGreaterThan(0);
      parkedAfter.push(looks);
    },
    close: () => undefined,
  };
  return { agent, parkedAfter };
}

const W = true;
const E = false;

it('sleeps at the first empty look when it is to look no more, and looks once each time it wakes', () => {
  const { agent, parkedAfter } = scripted([W, W, E, E, W, E, E]);
  runAgent(agent, 0);
  expect(parkedAfter).toEqual([3, 4, 6, 7]);
});

it('goes on looking as often as it is told to after each work, and not after a sleep that brought none', () => {
  const { agent, parkedAfter } = scripted([E, E, E, E, E, E, W, E, E, E, E, E]);
  runAgent(agent, 3);
  expect(parkedAfter).toEqual([4, 5, 6, 11, 12]);
});

it('does not sleep while there is work now and then', () => {
  const { agent, parkedAfter } = scripted(Array.from({ length: 1000 }, (_, look) => look % 100 === 0));
  runAgent(agent);
  expect(parkedAfter).toEqual([]);
});
