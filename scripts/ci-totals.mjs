// Adds up what the gate ran: vitest's JSON report, the golden table, the simulation and the torture's rounds. The last line is the
// verdict; the exit code follows it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, failedSteps] = process.argv.slice(2);
const read = (name) => {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch {
    return '';
  }
};

const MESSAGE_LINES = 12;
/** One on each Kafka lane. */
const TORTURE_RUNS = 2;
const failures = [];
let passed = 0;
let failed = 0;
const add = (good, bad) => {
  passed += good;
  failed += bad;
};

/** A log is often kept from its end only: what failed is said there again. */
function name(what, messages = []) {
  const lines = messages.join('\n').split('\n').slice(0, MESSAGE_LINES);
  failures.push([what, ...lines.map((line) => `  ${line}`)].join('\n'));
}

function addTests() {
  const report = read('tests.json');
  if (report === '') return add(0, 1);
  const { testResults, numFailedTestSuites = 0 } = JSON.parse(report);
  const before = failed;
  for (const file of testResults) {
    if (file.status === 'failed' && file.assertionResults.length === 0) {
      add(0, 1);
      name(file.name, [file.message]);
    }
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      add(status === 'passed' ? 1 : 0, status === 'failed' ? 1 : 0);
      if (status === 'failed') name(`${file.name} > ${fullName}`, failureMessages);
    }
  }
  if (failed === before) add(0, numFailedTestSuites);
}

function addGolden() {
  const text = read('golden.txt');
  const holding = /^golden: all (\d+) comparisons hold/m.exec(text);
  const failing = /^golden: (\d+) of (\d+) comparisons fail/m.exec(text);
  if (holding) add(Number(holding[1]), 0);
  else if (failing) add(Number(failing[2]) - Number(failing[1]), Number(failing[1]));
  else add(0, 1);
}

/** All seeds are one check, a round of torture is one each. */
function addTrials() {
  const isSimGood = /^\d+ seeds in .* s, no differences$/m.test(read('sim.txt'));
  add(isSimGood ? 1 : 0, isSimGood ? 0 : 1);
  const torture = read('torture.txt');
  const differences = [...torture.matchAll(/ messages, (\d+) differences; caught up/g)].map(([, count]) => Number(count));
  const bad = differences.filter((count) => count > 0).length;
  add(differences.length - bad, bad);
  const runs = [...torture.matchAll(/^torture: \d+ rounds, /gm)].length;
  add(0, Math.max(0, TORTURE_RUNS - runs));
}

addTests();
addGolden();
addTrials();
if (failed === 0) add(0, Number(failedSteps));
const skipped = read('skipped.txt')
  .split('\n')
  .filter((line) => line !== '');
console.log(`\n${skipped.length} skipped${skipped.length > 0 ? `:\n${skipped.map((name) => `  ${name}`).join('\n')}` : ''}`);
if (failures.length > 0) console.log(`\nfailed tests:\n${failures.join('\n')}\n`);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
