/** The way in for ticks: ingest in front of the shards' rings, with what was stored put back. */
import type { Config } from '../../config/knobs.ts';
import type { Clock } from '../core/clock.ts';
import { createIngest, type Ingest } from '../ingest/port.ts';
import type { Source } from '../ingest/source.ts';
import { createBarKernel } from '../kernel/bars.ts';
import type { InstrumentBook } from '../market/instrument-book.ts';
import type { SymbolDictionary } from '../market/instruments.ts';
import type { Timeframe } from '../market/timeframes.ts';
import type { StoredState } from '../sinks/postgres/state.ts';
import { rebuildOpenState } from './rebuild.ts';
import { PARTITION_CAPACITY } from './regions.ts';
import { restoreState } from './restore.ts';

export interface BuilderParts {
  readonly config: Config;
  readonly timeframes: readonly Timeframe[];
  readonly regions: readonly WebAssembly.Memory[];
  readonly symbols: SymbolDictionary;
  readonly book: InstrumentBook;
  readonly clock: Clock;
  readonly state: StoredState;
}

/** @param from opens a source that ends at given offsets, as in `RebuildParts` */
export async function openTickBuilder(
  { config, regions, symbols, book, clock, state }: BuilderParts,
  from: { openUntil(offsets: ReadonlyMap<number, bigint>): Source },
): Promise<Ingest> {
  const ingest = createIngest({
    regions,
    symbols,
    book,
    clock,
    latenessNs: config.LATENESS_MS * 1e6,
    amendNs: BigInt(config.AMEND_SEC) * 1_000_000_000n,
    futureNs: config.FUTURE_MS * 1e6,
    isStrict: config.SYMBOLS === 'strict',
    partitionCapacity: PARTITION_CAPACITY,
  });
  const kernels = regions.map((memory) => createBarKernel(memory));
  for (const kernel of kernels) kernel.init();
  restoreState(state, { ingest, kernels, symbols });
  const openUntil = (offsets: ReadonlyMap<number, bigint>): Source => from.openUntil(offsets);
  if (state.rebuild.size > 0) await rebuildOpenState({ openUntil, state, regions, kernels, ingest, clock });
  return ingest;
}
