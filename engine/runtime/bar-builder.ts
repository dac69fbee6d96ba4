/** The way in for bars: a stage that combines them, with the bars it keeps put back. */
import { BAR_SIZE, BAR_TIMEFRAME_INDEX, BAR_TS_START_NS } from '../../schemas/layout.gen.ts';
import { assert, EngineError } from '../core/errors.ts';
import type { OpenBucket } from '../ingest/bar-stage/combiner.ts';
import type { KeptBar } from '../ingest/bar-stage/kept-bars.ts';
import { type BarStage, createBarStage } from '../ingest/bar-stage/port.ts';
import type { OpenState } from '../sinks/messages.ts';
import type { StoredStageBar } from '../sinks/postgres/stage-bars.ts';
import type { BuilderParts } from './builder.ts';
import type { Stage } from './stage.ts';

const NS_PER_SECOND = 1_000_000_000n;

/** @throws EngineError REBUILD_IMPOSSIBLE */
export function openBarBuilder({ config, regions, symbols, book, clock, state }: BuilderParts, stage: Stage): BarStage {
  const [region] = regions;
  assert(region !== undefined && stage.input !== undefined, `stage ${stage.name} reads bars into one region`);
  if (state.rebuild.size > 0) {
    const text = `stage ${stage.name}: which buckets are open is stored in another version; go on with the engine that stored it, or use another PG_SCHEMA`;
    throw new EngineError('REBUILD_IMPOSSIBLE', text);
  }
  const builder = createBarStage({
    region,
    symbols,
    book,
    clock,
    input: { seconds: stage.input.seconds, timeframe: stage.input.name },
    seconds: stage.timeframes.map(({ seconds }) => seconds),
    latenessMs: config.LATENESS_MS,
    amendSec: config.AMEND_SEC,
    futureMs: config.FUTURE_MS,
    isStrict: config.SYMBOLS === 'strict',
  });
  for (const [partition, watermarkNs] of state.watermarks) builder.restorePartition(partition, watermarkNs);
  const open = new Map(state.openState.map((stored) => [stored.symbol, bucketsOf(stored)]));
  for (const { bars, ...symbol } of state.stageBars ?? []) {
    builder.restoreInputs({ ...symbol, kind: 'trade', inputs: inputsOf(bars()), open: open.get(symbol.symbol) ?? [] });
    open.delete(symbol.symbol);
  }
  assert(open.size === 0, `every open bucket has bars that are kept: ${[...open.keys()].slice(0, 3).join(', ')}`);
  return builder;
}

function bucketsOf({ bars }: OpenState): OpenBucket[] {
  const view = new DataView(bars.buffer, bars.byteOffset, bars.byteLength);
  return Array.from({ length: bars.byteLength / BAR_SIZE }, (_, index) => ({
    timeframeIndex: view.getInt32(index * BAR_SIZE + BAR_TIMEFRAME_INDEX, true),
    startSec: Number(view.getBigInt64(index * BAR_SIZE + BAR_TS_START_NS, true) / NS_PER_SECOND),
  }));
}

function* inputsOf(bars: Iterable<StoredStageBar>): Generator<readonly [tsSec: number, bar: KeptBar]> {
  for (const { tsSec, ...bar } of bars) yield [tsSec, bar];
}
