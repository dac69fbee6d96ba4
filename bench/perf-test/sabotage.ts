/** Bugs put into a copy of the compiled engine, to show that a report tells of each for the right reason. */
import { EngineError } from '../../engine/core/errors.ts';
import type { Sabotage } from '../../test/torture/sabotage.ts';

/** What the report has to say of it. */
export type Symptom = 'void' | 'slower';

export interface PerfSabotage extends Sabotage {
  /** `slower`: main stands still for longer (find-slower.ts). */
  readonly symptom: Symptom;
}

const LIBRDKAFKA_LANE = 'engine/ingest/kafka-reader.js';
const DIRECT_LANE = 'engine/ingest/kafka-direct.js';

export const PERF_SABOTAGES: readonly PerfSabotage[] = [
  {
    name: 'drop-ticks',
    doc: 'ticks are dropped before they are counted: one in 100,000, on the direct lane one of every hundredth run',
    symptom: 'void',
    patches: [
      {
        file: LIBRDKAFKA_LANE,
        find: '            queue.push(message);',
        replace:
          '            globalThis.readSoFar = (globalThis.readSoFar ?? 0) + 1;\n            if (globalThis.readSoFar % 100_000 !== 50_000) queue.push(message);',
      },
      {
        file: DIRECT_LANE,
        find: '        const run = nextRun(list, partition,',
        replace:
          '        globalThis.runsSoFar = (globalThis.runsSoFar ?? 0) + 1;\n' +
          '        if (globalThis.runsSoFar % 100 === 50 && list.at + 1 < list.count) list.at += 1;\n' +
          '        const run = nextRun(list, partition,',
      },
    ],
  },
  {
    name: 'lost-flush',
    doc: 'the bars of the third epoch that has any are not written',
    symptom: 'void',
    patches: [
      {
        file: 'engine/sinks/postgres/epoch-transaction.js',
        find: 'const bytes = (await writeFinals(client, context, batch, isUpsert))',
        replace:
          'globalThis.flushes = (globalThis.flushes ?? 0) + (batch.finals.length > 0 ? 1 : 0);\n' +
          '    const bytes = (globalThis.flushes === 3 ? 0 : await writeFinals(client, context, batch, isUpsert))',
      },
    ],
  },
  {
    name: 'stall',
    doc: 'main stands still for 5 ms in each second',
    symptom: 'slower',
    patches: [
      {
        file: 'engine/runtime/engine.js',
        find: '                await rest(turn());',
        replace:
          '                if (performance.now() - (globalThis.stalledAt ?? 0) >= 1000) {\n' +
          '                    globalThis.stalledAt = performance.now();\n' +
          '                    while (performance.now() - globalThis.stalledAt < 5);\n' +
          '                }\n' +
          '                await rest(turn());',
      },
    ],
  },
];

/** @throws EngineError USAGE */
export function perfSabotageOf(name: string): PerfSabotage {
  const found = PERF_SABOTAGES.find((sabotage) => sabotage.name === name);
  if (found) return found;
  throw new EngineError('USAGE', `--sabotage '${name}': expected one of ${PERF_SABOTAGES.map((sabotage) => sabotage.name).join(', ')}`);
}
