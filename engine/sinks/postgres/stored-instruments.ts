/** The instruments that a schema knows: their kind and decimals are fixed by the rows that they have. */
import { EngineError } from '../../core/errors.ts';
import { createInstrumentBook, type Instrument, type InstrumentBook } from '../../market/instrument-book.ts';
import { withConnection } from './connection.ts';
import type { Database } from './runs.ts';

/** All of table `instruments`. */
export async function loadStoredInstruments({ connectionString, schema }: Database): Promise<Instrument[]> {
  return await withConnection(connectionString, schema, async (client) => {
    const { rows } = await client.query<{ symbol: string; kind: 'trade' | 'quote'; price_decimals: number; lot_decimals: number }>(
      'select symbol, kind, price_decimals, lot_decimals from instruments order by symbol',
    );
    return rows.map((row) => ({ symbol: row.symbol, kind: row.kind, priceDecimals: row.price_decimals, lotDecimals: row.lot_decimals }));
  });
}

/**
 * The book with the stored instruments: what has rows keeps its kind and decimals, whatever a source says of it later. Under `isStrict` the book alone
 * says which symbols there are.
 * @throws EngineError INSTRUMENT_CHANGED when the book contradicts a stored one, naming each
 */
export function withStored(book: InstrumentBook, stored: readonly Instrument[], isStrict: boolean): InstrumentBook {
  const changed = stored.flatMap((known) => {
    const given = book.find(known.symbol);
    const said = describe({ ...known, ...given, kind: given?.kind ?? known.kind });
    return said === describe(known) ? [] : [`${known.symbol}: stored as ${describe(known)}, the instruments file says ${said}`];
  });
  if (changed.length > 0) {
    throw new EngineError('INSTRUMENT_CHANGED', `${changed.join('; ')}; use another PG_SCHEMA, or correct the instruments file`);
  }
  const bySymbol = new Map(book.instruments.map((entry) => [entry.symbol, entry]));
  for (const known of stored) {
    const given = bySymbol.get(known.symbol);
    if (given || !isStrict) bySymbol.set(known.symbol, { ...known, ...given, kind: known.kind });
  }
  return createInstrumentBook([...bySymbol.values()]);
}

function describe({ kind, priceDecimals, lotDecimals }: Instrument): string {
  return `${kind ?? 'trade'}, ${priceDecimals} price and ${lotDecimals} lot decimals`;
}
