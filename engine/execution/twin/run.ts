/** How well each queue model predicts what really happened to real orders of a feed. */
import { type BookFeed, createBookBatch } from '../../market/book-message.ts';
import type { PaperSettings } from '../paper/settings.ts';
import { createSurveyor, type Survey } from './candidates.ts';
import { describeErrors, describeRun, describeSurvey, scoreRun } from './twin-report.ts';
import { createTwinRun, type TwinRun, type TwinView, WHOLE_VIEW } from './twin-run.ts';

export interface TwinOptions {
  /** Twins wanted, half of filled and half of cancelled orders. */
  readonly orders: number;
  readonly seed: number;
  /** Runs under each of these, all on the same messages. */
  readonly settings: readonly PaperSettings[];
  /** What they see of the feed; the whole of it unless told. */
  readonly view?: TwinView;
  /** Twins to explain that did not do as their originals did, for each run. */
  readonly explain: number;
  readonly isJson: boolean;
}

export interface TwinResult {
  readonly survey: Survey;
  readonly runs: readonly TwinRun[];
}

const BATCH_MESSAGES = 4096;
/** One lot is one unit: the twin test looks at times, not at money. */
const LOT_NANOS = 1_000_000_000;

/** Reads the feed twice: once to draw orders, once to run their twins. `open` must give the same feed each time. */
export async function runTwins(
  open: () => Promise<BookFeed>,
  options: Pick<TwinOptions, 'orders' | 'seed' | 'settings' | 'view'>,
): Promise<TwinResult> {
  const surveyor = createSurveyor(options.orders, options.seed);
  const batch = createBookBatch(BATCH_MESSAGES);
  const first = await open();
  while ((await first.read(batch)) > 0) surveyor.apply(batch);
  const survey = surveyor.finish();
  const second = await open();
  const symbolOf = (index: number) => ({ tickNanos: second.instruments[index]?.tickNanos ?? 1, lotNanos: LOT_NANOS });
  const { candidates } = survey;
  const { view = WHOLE_VIEW } = options;
  const runs = options.settings.map((settings) => createTwinRun({ settings, candidates, view, symbolOf }));
  while ((await second.read(batch)) > 0) for (const run of runs) run.apply(batch);
  return { survey, runs };
}

/** Prints the report; returns the exit code: 0, or 1 when the feed has no order to twin. */
export async function reportTwins(open: () => Promise<BookFeed>, options: TwinOptions, say: (line: string) => void): Promise<number> {
  const { survey, runs } = await runTwins(open, options);
  if (options.isJson) {
    const { candidates, ...counts } = survey;
    const scores = runs.map((run) => ({ settings: run.settings, ...scoreRun(run) }));
    say(JSON.stringify({ seed: options.seed, orders: options.orders, ...counts, runs: scores }));
  } else {
    for (const line of describeSurvey(survey, options.orders)) say(line);
    for (const run of runs) for (const line of ['', ...describeRun(run), ...describeErrors(run, options.explain)]) say(line);
  }
  return survey.candidates.length === 0 ? 1 : 0;
}
