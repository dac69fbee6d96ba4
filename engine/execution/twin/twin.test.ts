import { describe, expect, it } from 'vitest';
import { parsePaperSettings, QUEUE_MODELS } from '../paper/settings.ts';
import { runTwins, type TwinResult } from './run.ts';
import { openSeededFlow } from './seeded-flow.ts';
import type { FlowStyle } from './seeded-publisher.ts';
import { describeErrors, describeRun, describeSurvey, judgeTwin, scoreTwins } from './twin-report.ts';

const SEED = Number(process.env['SEED'] ?? 7);
const STYLES: readonly FlowStyle[] = ['executions', 'trades'];

function twinsOf(style: FlowStyle, commands: number, settings: readonly object[], seed = SEED): Promise<TwinResult> {
  const open = () => Promise.resolve(openSeededFlow({ seed, commands, style }));
  return runTwins(open, { orders: 600, seed, settings: settings.map(parsePaperSettings) });
}

describe(`twins on a seeded flow, SEED=${SEED}`, () => {
  for (const style of STYLES) {
    it(`600 of 600 do as their originals did when every order is shown, ${style}`, async () => {
      const { runs } = await twinsOf(style, 6000, [{ model: 'exact' }]);
      const run = runs[0]!;
      expect(describeErrors(run, 5)).toEqual([]);
      expect(scoreTwins(run.twins)).toMatchObject({ filledCount: 300, onTimeCount: 300, cancelledCount: 300, falseCount: 0 });
      for (const { candidate, order } of run.twins) {
        if (candidate.fate !== 'filled') continue;
        expect(order?.fills.at(-1)?.tsNs).toBe(candidate.endNs);
        expect(order?.fills.reduce((sum, fill) => sum + fill.quantityLots, 0)).toBe(candidate.lots);
      }
    });

    it(`with sizes of levels alone, models err as their assumption says, ${style}`, async () => {
      const { runs } = await twinsOf(
        style,
        6000,
        QUEUE_MODELS.map((model) => ({ model })),
      );
      const scores = new Map(runs.map((run) => [run.settings.model, scoreTwins(run.twins)]));
      // Who is never put before his turn is never filled early or falsely, and is late for it.
      for (const model of ['trades', 'behind'] as const) {
        expect(scores.get(model)).toMatchObject({ earlyCount: 0, falseCount: 0 });
        expect(scores.get(model)!.lateCount).toBeGreaterThan(0);
      }
      expect(scores.get('trades')!.onTimeCount).toBeLessThan(scores.get('behind')!.onTimeCount);
      expect(scores.get('ahead')!.earlyCount).toBeGreaterThan(scores.get('proportional')!.earlyCount);
      expect(scores.get('assumed')!.falseCount).toBeGreaterThan(scores.get('ahead')!.falseCount);
    });
  }

  it('places that are lost unseen cost a few fills, and never give one too early', async () => {
    const open = () => Promise.resolve(openSeededFlow({ seed: SEED, commands: 10_000, style: 'trades', hasHiddenMoves: true }));
    const { runs } = await runTwins(open, { orders: 1000, seed: SEED, settings: [parsePaperSettings({})] });
    const score = scoreTwins(runs[0]!.twins);
    expect(score).toMatchObject({ filledCount: 500, earlyCount: 0, cancelledCount: 500, falseCount: 0 });
    expect(score.onTimeCount).toBeGreaterThan(480);
    expect(score.onTimeCount).toBeLessThan(500);
  });

  it('a later arrival makes some twins miss their turn, and none is filled before it', async () => {
    const entry = { kind: 'constant', ns: 50_000_000 };
    const { runs } = await twinsOf('executions', 5000, [{ entry }, {}]);
    const [late, prompt] = runs.map((run) => scoreTwins(run.twins));
    expect(prompt).toMatchObject({ onTimeCount: 300 });
    expect(late!.onTimeCount).toBeLessThan(300);
    expect(late!.earlyCount).toBe(0);
    for (const { order } of runs[0]!.twins) expect(order!.arrivedNs! - order!.sentNs).toBe(50_000_000n);
  });

  it('a short feed gives all it has, and says so', async () => {
    const result = await twinsOf('trades', 300, [{}]);
    const filled = result.survey.candidates.filter((candidate) => candidate.fate === 'filled').length;
    expect(filled).toBe(result.survey.filledCount);
    expect(result.survey.candidates.length - filled).toBe(result.survey.cancelledCount);
    expect(filled).toBeGreaterThan(0);
    expect(filled).toBeLessThan(300);
    expect(describeSurvey(result.survey, 600).join('\n')).toContain('asked for 600: the feed has no more of filled and cancelled orders');
  });

  it('the same seed draws the same orders, another seed others', async () => {
    const idsOf = ({ survey }: TwinResult) => survey.candidates.map((candidate) => candidate.id);
    const open = () => Promise.resolve(openSeededFlow({ seed: SEED, commands: 5000, style: 'executions' }));
    const draw = async (seed: number) => idsOf(await runTwins(open, { orders: 60, seed, settings: [] }));
    expect(await draw(1)).toEqual(await draw(1));
    expect(await draw(1)).not.toEqual(await draw(2));
  });

  it('the report names the models and every share', async () => {
    const { runs } = await twinsOf('trades', 5000, [{ model: 'proportional', staleAfterMs: 250 }]);
    const text = describeRun(runs[0]!).join('\n');
    expect(text).toContain('queue proportional; latency feed 0 ns, entry 0 ns, response 0 ns, seed 1; stale after 250 ms; fees none');
    expect(text).toMatch(/filled {4}within 1 ms [\d.]+ %, too early [\d.]+ %, missed [\d.]+ % \(\d+ late, \d+ never\), of \d+/);
    const wrong = runs[0]!.twins.filter((twin) => !['onTime', 'untouched'].includes(judgeTwin(twin)));
    expect(describeErrors(runs[0]!, 1000)).toHaveLength(wrong.length);
    expect(describeErrors(runs[0]!, 1000)[0]).toMatch(/queue by proportional: \d+ lots? ahead at entry/);
  });
});
