/** The two threads of the order latency bench. */

/** As `workers/matcher.ts` names itself. */
export const MATCHER_THREAD = 'matcher';
export const SENDER_THREAD = 'sender';

/** What runs in the matcher's thread, from the folder of the workers. */
export const MATCHER_FILE = 'matcher';
export const ECHO_FILE = '../bench/order-echo';
