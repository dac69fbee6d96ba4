import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createBarKernelRunner, SLOT_COUNT } from './bar-kernel-runner.ts';
import { makeBarStream, TIMEFRAME_SECONDS } from './bar-stream.ts';
for (const symbols of [500, 10000]) {
  const stream = makeBarStream(symbols, 1_000_000);
  writeFileSync(`.data/bench/bars-${symbols}.bin`, stream.bytes);
  const runner = createBarKernelRunner(stream);
  const ratios: number[] = [];
  for (let round = 0; round < 6; round += 1) {
    const rates = Array.from({length: 7}, () => runner.run()).slice(1).sort((a,b)=>a-b);
    const cpp = execFileSync('.data/bench/bars', [`.data/bench/bars-${symbols}.bin`, String(symbols), String(SLOT_COUNT), '6', ...TIMEFRAME_SECONDS.map(String)], {encoding:'utf8'}).trim();
    console.log(symbols, (rates[3]!/1e6).toFixed(1), runner.bars, runner.checksum, '| c++', cpp, 'ratio', (rates[3]!/Number(cpp.split(' ')[0])).toFixed(3));
  }
}
