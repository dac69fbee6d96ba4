/** Which lanes of a source something is about. */

export interface LaneChoice {
  readonly source: string;
  readonly lanes: readonly number[];
  /** True when a lane is a partition; else lane 0 stands for all partitions of the source. */
  readonly isLaned: boolean;
}

/** A condition on a table with `source` and `partition`, for parameters $1 source, $2 isLaned, $3 lanes. */
export function ofLanes(table: string): string {
  return `${table}.source = $1 and (not $2::boolean or ${table}.partition = any($3::integer[]))`;
}

/** The lane of a partition. */
export function laneOf({ isLaned }: Pick<LaneChoice, 'isLaned'>, partition: number): number {
  return isLaned ? partition : 0;
}
