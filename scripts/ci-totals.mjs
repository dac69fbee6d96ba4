// Adds up what the gate ran: vitest's JSON report and the golden table. The last line is the verdict; the exit code follows it.
import { readFileSync } from 'node:fs';

const [testsPath, goldenPath, skippedPath, failedSteps] = process.argv.slice(2);
const read = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

let passed = 0;
let failed = 0;
const skipped = read(skippedPath)
  .split('\n')
  .filter((line) => line !== '');
const report = read(testsPath);
if (report === '') failed += 1;
else {
  const { testResults, numFailedTestSuites = 0 } = JSON.parse(report);
  for (const file of testResults) {
    if (file.status === 'failed' && file.assertionResults.length === 0) failed += 1;
    for (const test of file.assertionResults) {
      if (test.status === 'passed') passed += 1;
      else if (test.status === 'failed') failed += 1;
    }
  }
  if (numFailedTestSuites > 0 && failed === 0) failed += numFailedTestSuites;
}
const golden = read(goldenPath);
const holding = /^golden: all (\d+) comparisons hold/m.exec(golden);
const failing = /^golden: (\d+) of (\d+) comparisons fail/m.exec(golden);
if (holding) passed += Number(holding[1]);
else if (failing) {
  failed += Number(failing[1]);
  passed += Number(failing[2]) - Number(failing[1]);
} else failed += 1;
if (Number(failedSteps) > 0 && failed === 0) failed = Number(failedSteps);
console.log(`\n${skipped.length} skipped${skipped.length > 0 ? `:\n${skipped.map((name) => `  ${name}`).join('\n')}` : ''}`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
