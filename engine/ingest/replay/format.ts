/** What a recorded format is: how a file of it is known, and how a line becomes a tick. */
import type { TICK_KIND } from '../../../schemas/records.ts';
import type { IngestPort } from '../source.ts';

/** A line that is understood and carries no tick. */
export const IGNORED = -1;

/** One record in the layout of `tick`, and the event time beside it for the merge. */
export interface Row {
  readonly i32: Int32Array;
  readonly f64: Float64Array;
  /** Event time: seconds since the epoch and nanoseconds below a second. */
  seconds: number;
  nanos: number;
}

export interface FileName {
  /** As the user knows it: the path, and for a member of an archive its name after it. */
  readonly label: string;
  /** The last part of the path or of the member's name, without `.gz`. */
  readonly base: string;
}

/** Symbols of a replay: registered at their first line, in the order in which lines are handed over. */
export interface SymbolTable {
  resolve(spec: SymbolSpec): SymbolRef;
}

export interface SymbolSpec {
  readonly symbol: string;
  readonly kind: 'trade' | 'quote';
  readonly priceDecimals: number;
  readonly lotDecimals: number;
}

export interface SymbolRef {
  /** Engine-wide index; when the symbol was refused, minus the code. */
  readonly index: number;
  readonly lotDecimals: number;
}

export interface ParserOptions {
  readonly name: FileName;
  /** The first line of the file, which is a header in some formats. */
  readonly firstLine: string;
  readonly symbols: SymbolTable;
  /** Given by the user for files that do not name their symbol. */
  readonly symbol: string | undefined;
}

export interface LineParser {
  /** Lines at the beginning that are not data. */
  readonly headerLines: number;
  /** Fills `row` from a line without its line end; returns 0, a refusal code, or IGNORED. */
  parse(line: string, row: Row): number;
}

export interface ReplayFormat {
  readonly name: string;
  /** How a file of the format looks, for error messages. */
  readonly expectation: string;
  detect(name: FileName, firstLine: string): boolean;
  /** @throws EngineError when the name or the header lacks what the format needs */
  createParser(options: ParserOptions): LineParser;
}

export type RowKind = (typeof TICK_KIND)['trade' | 'quote' | 'bar'];

export function createSymbolTable(port: IngestPort, partition: number): SymbolTable {
  const known = new Map<string, SymbolRef>();
  return {
    resolve(spec) {
      const found = known.get(spec.symbol);
      if (found) return found;
      const index = port.register({ ...spec, partition });
      const ref = { index, lotDecimals: index < 0 ? 0 : port.decimalsOf(index).lotDecimals };
      known.set(spec.symbol, ref);
      return ref;
    },
  };
}
