import { createBarKernelRunner } from './bar-kernel-runner.ts';
import { makeBarStream } from './bar-stream.ts';
const symbols = Number(process.argv[2]);
const runner = createBarKernelRunner(makeBarStream(symbols, 1_000_000));
let best = 0;
for (let i = 0; i < 20; i += 1) best = Math.max(best, runner.run());
console.log((best / 1e6).toFixed(1));
