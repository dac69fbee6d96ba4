/** Names every skipped test with its reason, at the end of a run. With SKIPPED_FILE it also writes them there, one a line. */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** vitest makes an instance of the default export of a reporter's file. */
class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const lines = modules.flatMap((module) =>
      [...module.children.allTests('skipped')].map((test) => {
        const result = test.result();
        const note = result.state === 'skipped' ? result.note : undefined;
        return note === undefined ? test.fullName : `${test.fullName}: ${note}`;
      }),
    );
    if (lines.length > 0) console.log(`\nskipped: ${lines.length}\n${lines.map((line) => `  ${line}`).join('\n')}`);
    const path = process.env['SKIPPED_FILE'];
    if (path) writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  }
}

export { SkippedReporter as default };
