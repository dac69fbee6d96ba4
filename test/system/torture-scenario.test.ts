/** Three of the scenarios of `npm run torture`, shortened: outages and a stop under load, on servers of their own. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../engine/core/root.ts';
import type { ScenarioName } from '../torture/scenario.ts';
import { scenariosOf } from '../torture/scenario.ts';
import { runScenario } from '../torture/scenario-round.ts';
import { type OpenStage, openStage } from '../torture/stage.ts';
import { whyNoLocal } from './kafka-local-broker.ts';

const SECONDS = 5;
const SEED = Number(process.env['SEED'] ?? 20_261);
const TIMEOUT_MS = 900_000;

const NAMES: readonly ScenarioName[] = ['postgres-60s', 'kafka-60s', 'stop-under-load'];

let opened: OpenStage | undefined;
let folder: string | undefined;

async function stageOf() {
  if (opened) return opened.stage;
  folder = mkdtempSync(join(tmpdir(), 'tickwright-scenario-'));
  // The database's own user has to get there.
  chmodSync(folder, 0o755);
  opened = await openStage({ root: PROJECT_ROOT, folder, isKept: false, say: () => undefined });
  return opened.stage;
}

afterAll(async () => {
  await opened?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}, TIMEOUT_MS);

const reason = whyNoLocal();

it.skipIf(reason !== undefined).each(NAMES)(
  `${reason === undefined ? '' : `(${reason}) `}%s, for ${SECONDS} s: nothing lost, nothing twice, and health says what was red (SEED=${SEED})`,
  async (name) => {
    const [scenario] = scenariosOf(name);
    const result = await runScenario(await stageOf(), scenario!, { seed: SEED, seconds: SECONDS, isTimed: false });
    expect(result.differences, result.report.join('\n')).toEqual([]);
    expect(result.bars).toBeGreaterThan(500);
    expect(result.messages).toBeGreaterThan(500);
  },
  TIMEOUT_MS,
);
