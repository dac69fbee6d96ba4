/** Puts stored open state back: symbols, watermarks and open buckets, on the main thread before any worker runs. */

import { BAR_SIZE } from '../../schemas/layout.gen.ts';
import { EngineError } from '../core/errors.ts';
import type { Ingest } from '../ingest/port.ts';
import type { BarKernel } from '../kernel/bars.ts';
import type { SymbolDictionary } from '../market/instruments.ts';
import type { StoredState } from '../sinks/postgres/state.ts';

export interface RestoreTargets {
  readonly ingest: Ingest;
  readonly kernels: readonly BarKernel[];
  readonly symbols: SymbolDictionary;
}

/**
 * Symbols first (their records go through the tick rings, which the kernels drain here), then watermarks, then open buckets.
 * @throws EngineError RESTORE_REFUSED when a stored symbol does not fit
 */
export function restoreState(stored: StoredState, { ingest, kernels, symbols }: RestoreTargets): void {
  const drain = (): void => {
    for (const kernel of kernels) while (kernel.poll(1024) > 0);
  };
  for (const state of stored.openState) {
    const index = ingest.restoreSymbol({
      symbol: state.symbol,
      kind: state.isQuote ? 'quote' : 'trade',
      priceDecimals: state.priceDecimals,
      lotDecimals: state.lotDecimals,
      partition: state.partition,
    });
    if (index < 0)
      throw new EngineError('RESTORE_REFUSED', `stored symbol ${state.symbol}: refused with code ${-index}; raise SYMBOLS_MAX`);
    drain();
    const entry = symbols.read(index)!;
    const kernel = kernels[entry.shard]!;
    for (let offset = 0; offset < state.bars.length; offset += BAR_SIZE) {
      kernel.restoreBar(entry.localIndex, state.bars.subarray(offset, offset + BAR_SIZE));
    }
  }
  for (const [partition, watermarkNs] of stored.watermarks) {
    // Built again from the source, with the watermarks that it had then.
    if (stored.rebuild.has(partition)) continue;
    ingest.restorePartition(partition, watermarkNs);
    for (const kernel of kernels) kernel.setWatermark(partition, watermarkNs);
  }
}
