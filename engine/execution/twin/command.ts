/** `npm run twin`: its options, and where its messages come from. */
import { EngineError } from '../../core/errors.ts';
import { openBookFeed } from '../../ingest/book-feed/open.ts';
import type { BookFeed } from '../../market/book-message.ts';
import { readPaperSettings } from '../paper/command.ts';
import { DEFAULT_MODEL } from '../paper/knowledge.ts';
import { type PaperSettings, parsePaperSettings, QUEUE_MODELS } from '../paper/settings.ts';
import { modelFits } from '../paper/venue.ts';
import { reportTwins } from './run.ts';
import { openSeededFlow } from './seeded-flow.ts';
import type { TwinView } from './twin-run.ts';

const VIEWS: readonly TwinView['shows'][] = ['orders', 'levels', 'quotes', 'trades'];

/** As they stand on the command line. */
export interface TwinFlags {
  readonly orders: string;
  readonly seed: string;
  readonly model?: string;
  readonly settings?: string;
  readonly explain: string;
  readonly seeded?: string;
  readonly hiddenMoves?: boolean;
  /** What the models see of the feed: orders, levels, quotes or trades. */
  readonly shows?: string;
  /** Milliseconds between two tellings of sizes. */
  readonly everyMs?: string;
  readonly format?: string;
  readonly symbol?: string;
  readonly tickSize?: string;
  readonly json?: boolean;
}

/**
 * Runs the twin test and prints its report.
 * @returns 0, or 1 when the feed has no order to twin
 * @throws EngineError TWIN_OPTIONS, PAPER_SETTINGS, and what reading the feed throws
 */
export function runTwinCommand(files: string[], flags: TwinFlags, say: (line: string) => void): Promise<number> {
  const seed = parseCount('seed', flags.seed, { min: 0, max: 0xffffffff });
  const view = parseView(flags);
  return reportTwins(
    opener(files, flags, seed),
    {
      orders: parseCount('orders', flags.orders, { min: 2, max: 1_000_000 }),
      seed,
      settings: twinSettings(flags, view),
      view,
      explain: parseCount('explain', flags.explain, { min: 0, max: 1_000_000 }),
      isJson: flags.json ?? false,
    },
    say,
  );
}

function opener(files: string[], flags: TwinFlags, seed: number): () => Promise<BookFeed> {
  const { seeded, format, symbol, tickSize } = flags;
  if (files.length > 0 === (seeded !== undefined))
    throw new EngineError('TWIN_OPTIONS', 'twin: expected files or --seeded, one of the two');
  if (seeded === undefined) {
    const options = { ...(format && { format }), ...(symbol && { symbol }), ...(tickSize && { tickSize }) };
    return () => openBookFeed(files, options);
  }
  const commands = parseCount('seeded', seeded, { min: 1, max: 10_000_000 });
  return () => Promise.resolve(openSeededFlow({ seed, commands, style: 'trades', hasHiddenMoves: flags.hiddenMoves ?? false }));
}

/**
 * Settings of a run: from a JSON file, if one is given, under each of the models, if any are named.
 * `--model` is a queue model, `all` that fit what is shown, or not given for the file's own (without one that which promises least).
 * @throws EngineError PAPER_SETTINGS
 */
function twinSettings({ model, settings: file }: TwinFlags, { shows }: TwinView): PaperSettings[] {
  const given = file === undefined ? {} : readPaperSettings(file);
  const models: readonly string[] =
    model === 'all' ? QUEUE_MODELS.filter((each) => modelFits(each, shows)) : model === undefined ? [] : [model];
  if (models.length === 0) return [parsePaperSettings({ model: DEFAULT_MODEL[shows], ...given })];
  return models.map((each) => parsePaperSettings({ ...given, model: each }));
}

/** @throws EngineError TWIN_OPTIONS */
function parseView({ shows: given = 'orders', everyMs = '0' }: TwinFlags): TwinView {
  const shows = VIEWS.find((known) => known === given);
  if (shows === undefined) throw new EngineError('TWIN_OPTIONS', `--shows '${given}': expected one of ${VIEWS.join(', ')}`);
  return { shows, everyNs: BigInt(parseCount('every-ms', everyMs, { min: 0, max: 60_000 })) * 1_000_000n };
}

/** A whole number from the command line. */
function parseCount(name: string, text: string, limits: { min: number; max: number }): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isInteger(value) || value < limits.min || value > limits.max) {
    throw new EngineError('TWIN_OPTIONS', `--${name} '${text}': expected a whole number, ${limits.min} to ${limits.max}`);
  }
  return value;
}
