import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { openRunDelay } from './run-delay.ts';

const isCounted = existsSync('/proc/thread-self/schedstat');

it.skipIf(!isCounted)(
  `reads a time that never goes back, and less than has passed${isCounted ? '' : ' (skipped: this system does not count it)'}`,
  () => {
    const readUs = openRunDelay();
    const beganMs = performance.now();
    const readings = Array.from({ length: 2000 }, () => readUs());
    const passedUs = (performance.now() - beganMs) * 1000;
    expect(readings[0]).toBeGreaterThanOrEqual(0);
    expect(readings.every((reading, index) => index === 0 || reading >= readings[index - 1]!)).toBe(true);
    expect(readings[1999]! - readings[0]!).toBeLessThanOrEqual(passedUs + 1000);
  },
);
