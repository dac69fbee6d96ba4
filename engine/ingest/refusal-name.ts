/** Refusal codes by name, for people and messages. */
import { REFUSAL } from '../../schemas/records.ts';

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(REFUSAL).map(([name, code]) => [code, name]));

export function refusalName(code: number): string {
  return NAMES.get(code) ?? `refusal ${code}`;
}
