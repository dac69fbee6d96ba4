/** What cells are run with, by name; a peer has the name that it was given. */

export const OURS = 'tickwright';
/** The engine with a bug in it. */
export const SABOTAGED = 'sabotaged';
/** Our own naive pipeline, measured in every run beside the engine. */
export const NAIVE = 'naive';
/** Single stages in processes of their own, joined by Kafka: other programs', and ours where none is named. */
export const STAGES = 'stages';
const LIMIT_PREFIX = 'limit-';
/** What reading alone costs: the ticks topic by the same client library, and nothing done with it. */
export const LIMIT_CONSUME = `${LIMIT_PREFIX}consume`;
/** What handing ticks from one thread to another alone costs: a ring, filled and emptied, and nothing done with what is in it. */
export const LIMIT_RING = `${LIMIT_PREFIX}ring`;
/** What writing alone costs: the bars of the ticks, made beforehand, by binary COPY into the engine's tables. */
export const LIMIT_COPY = `${LIMIT_PREFIX}copy`;

/** True for the engine, with a bug in it or without. */
export function isEngine(runtime: string): boolean {
  return runtime === OURS || runtime === SABOTAGED;
}

/** True for what writes no bars: neither right nor wrong. */
export function isLimit(runtime: string): boolean {
  return runtime.startsWith(LIMIT_PREFIX);
}
