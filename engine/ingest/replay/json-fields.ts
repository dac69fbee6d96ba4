/** The scalar members of a JSON object as text, so that numbers keep the digits that a double cannot hold. */

export interface ScalarField {
  /** A string's value, or the text of a number, `true`, `false` or `null` as written. */
  readonly text: string;
  readonly isString: boolean;
}

const STRING = /"(?:[^"\\]|\\.)*"/y;
const SCALAR = /[^\s,\]}]+/y;
const SPACE_AND_COMMAS = /[\s,]*/y;
const COLON = /\s*:\s*/y;

/**
 * The members of the object that `line` holds, by name; the last of equal names wins, as in JSON.parse. Objects and arrays among the values are
 * passed over. Undefined when `line` is not a JSON object.
 */
export function scalarFields(line: string): Map<string, ScalarField> | undefined {
  if (!isJsonObject(line)) return undefined;
  const fields = new Map<string, ScalarField>();
  let at = line.indexOf('{') + 1;
  for (;;) {
    at += take(SPACE_AND_COMMAS, line, at).length;
    if (line[at] === '}') return fields;
    const name = take(STRING, line, at);
    at += name.length;
    at += take(COLON, line, at).length;
    const first = line[at];
    if (first === '{' || first === '[') {
      fields.delete(parseString(name));
      at = endOfNested(line, at);
      continue;
    }
    const text = take(first === '"' ? STRING : SCALAR, line, at);
    at += text.length;
    fields.set(parseString(name), first === '"' ? { text: parseString(text), isString: true } : { text, isString: false });
  }
}

// What follows relies on the line being valid JSON.

function isJsonObject(line: string): boolean {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function parseString(text: string): string {
  return String(JSON.parse(text));
}

function take(pattern: RegExp, line: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(line)?.[0] ?? '';
}

function endOfNested(line: string, start: number): number {
  let depth = 0;
  for (let at = start; ; at += 1) {
    const char = line[at];
    if (char === '"') at += take(STRING, line, at).length - 1;
    else if (char === '{' || char === '[') depth += 1;
    else if (char === '}' || char === ']') depth -= 1;
    if (depth === 0) return at + 1;
  }
}
