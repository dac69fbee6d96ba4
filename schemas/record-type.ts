/** How a binary record is declared. */
export type FieldType = 'i32' | 'u32' | 'i64' | 'u64' | 'f64' | 'bytes';

export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly offset: number;
  readonly doc: string;
}

export interface RecordType {
  readonly name: string;
  readonly sizeBytes: number;
  readonly doc: string;
  readonly fields: readonly Field[];
}
