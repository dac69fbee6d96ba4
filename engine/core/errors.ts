/** Operating errors: the world is not as the engine needs it. A broken invariant is not one of these; it is an assertion. */
export interface EngineErrorOptions {
  readonly cause?: unknown;
  /** True when the same call may succeed later. */
  readonly retryable?: boolean;
}

/** An error with a stable code, such as `KNOBS_INVALID`. The message says what, the value and the limit. */
export class EngineError extends Error {
  readonly code: string;
  readonly retryable: boolean;

  constructor(code: string, message: string, options: EngineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EngineError';
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** The message of anything thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Throws when an invariant is broken. Never for input. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${message}`);
}
