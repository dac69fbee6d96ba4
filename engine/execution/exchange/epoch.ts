/** What a turn of the exchange makes durable, and what it finds when it begins. */
import type { OrderCommand } from '../../market/order-command.ts';
import type { BookSettings, LedgerChanges, LedgerState } from './ledger.ts';

/** A book as it stands: its orders as `restore` commands, in the order of the books. */
export interface BookListing extends BookSettings {
  readonly symbol: string;
  /** Of the last trade; undefined before the first. */
  readonly lastTicks: number | undefined;
  readonly orders: readonly OrderCommand[];
}

/** How far the exchange has come. */
export interface ExchangePosition {
  /** Identity of the journal that the offset is of. */
  readonly journal: string;
  readonly nextOffset: bigint;
  /** The latest time of a command. */
  readonly tsNs: bigint;
}

export interface ExchangeEpoch {
  /** The lane's epoch once this one is committed. */
  readonly databaseEpoch: number;
  readonly changes: LedgerChanges;
  /** Of every symbol that the changes name. */
  readonly listings: readonly BookListing[];
  readonly position: ExchangePosition;
  /** Messages for the topic fills, in order; none where nothing is published. */
  readonly messages: readonly { readonly symbol: string; readonly line: string }[];
  /** Database epoch up to which everything is published; 0: none known. */
  readonly published: number;
}

/** What the database holds of an exchange. */
export interface StoredExchange extends LedgerState {
  /** Undefined: nothing was ever committed. */
  readonly position: ExchangePosition | undefined;
  readonly books: readonly BookListing[];
}

/** An order that a client calls by a name which is taken. */
export interface TakenName {
  readonly clientOrderId: string;
  readonly orderId: bigint;
  readonly status: string;
}
