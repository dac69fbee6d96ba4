/** Names and statements of the bar tables, made from their columns. */
import { quoteBarColumns, tradeBarColumns } from '../../../schemas/tables.ts';
import { assert } from '../../core/errors.ts';
import type { Timeframe } from '../../market/timeframes.ts';
import { quoteIdentifier } from './connection.ts';

/** `bars_1m` or `quotes_1m`, quoted. */
export function tableName(timeframes: readonly Timeframe[], timeframeIndex: number, isQuote: boolean): string {
  const timeframe = timeframes[timeframeIndex];
  assert(timeframe !== undefined, `timeframe ${timeframeIndex} of ${timeframes.length}`);
  return quoteIdentifier(`${isQuote ? 'quotes' : 'bars'}_${timeframe.name}`);
}

export interface TableStatements {
  readonly copy: string;
  /** A staging table of this session, empty at the start of each transaction. */
  readonly createStage: string;
  readonly copyStage: string;
  /** Replaces rows with equal keys by absolute values. */
  readonly upsert: string;
  readonly emptyStage: string;
}

export function statementsOf(timeframes: readonly Timeframe[], timeframeIndex: number, isQuote: boolean): TableStatements {
  const table = tableName(timeframes, timeframeIndex, isQuote);
  const stage = `pg_temp.${quoteIdentifier(`stage_${table.slice(1, -1)}`)}`;
  const names = (isQuote ? quoteBarColumns() : tradeBarColumns(timeframes[timeframeIndex]?.name ?? '')).map(({ name }) => name);
  const columns = names.join(', ');
  const assignments = names.filter((name) => name !== 'symbol' && name !== 'ts').map((name) => `${name} = excluded.${name}`);
  return {
    copy: `copy ${table} (${columns}) from stdin (format binary)`,
    createStage: `create temp table if not exists ${stage.slice('pg_temp.'.length)} (like ${table}) on commit delete rows`,
    copyStage: `copy ${stage} (${columns}) from stdin (format binary)`,
    upsert: `insert into ${table} (${columns}) select ${columns} from ${stage}
      on conflict (symbol, ts) do update set ${assignments.join(', ')}`,
    emptyStage: `truncate ${stage}`,
  };
}
