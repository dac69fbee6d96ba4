/** Requests to a paper exchange as JSON lines: what `npm run paper` reads. */
import { z } from 'zod';
import { EngineError } from '../../core/errors.ts';

const nanoseconds = z
  .string()
  .regex(/^\d{1,19}$/, 'expected nanoseconds since the epoch as text')
  .transform(BigInt);
const id = z.string().min(1).max(64);
const decimal = z.string().regex(/^-?\d{1,10}(\.\d{1,9})?$/, 'expected a decimal as text, at most 9 digits after the point');
const lots = z.number().int();

const requestLine = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('new'),
    ts: nanoseconds,
    id,
    symbol: z.string().optional(),
    side: z.enum(['buy', 'sell']),
    type: z.enum(['limit', 'market']).default('limit'),
    price: decimal.optional(),
    quantity: lots,
    timeInForce: z.enum(['gtc', 'ioc', 'fok']).default('gtc'),
    isPostOnly: z.boolean().default(false),
  }),
  z.strictObject({ op: z.literal('cancel'), ts: nanoseconds, id }),
  z.strictObject({ op: z.literal('replace'), ts: nanoseconds, id, price: decimal, quantity: lots.min(1) }),
]);
/** `ts` is our time; quantities are lots, of a replacement what is to be left. */
export type RequestLine = z.infer<typeof requestLine>;

/**
 * Every line of a file, in order of time; lines of one time keep their order. Empty lines are passed over.
 * @throws EngineError PAPER_REQUESTS with every fault and its line
 */
export function parseRequestLines(text: string): RequestLine[] {
  const faults: string[] = [];
  const requests: RequestLine[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const parsed = requestLine.safeParse(jsonOf(line));
    if (!parsed.success) {
      faults.push(
        `line ${index + 1}: ${parsed.error.issues.map((issue) => `${issue.path.join('.') || 'line'}: ${issue.message}`).join(', ')}`,
      );
    } else if (parsed.data.op === 'new' && parsed.data.type === 'limit' && parsed.data.price === undefined) {
      faults.push(`line ${index + 1}: price: a limit order needs one`);
    } else requests.push(parsed.data);
  }
  if (faults.length > 0) throw new EngineError('PAPER_REQUESTS', `requests refused: ${faults.join('; ')}`);
  return requests.sort((one, other) => (one.ts < other.ts ? -1 : one.ts > other.ts ? 1 : 0));
}

/** What is no JSON is no object either, so that the schema names the fault. */
function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
