/**
 * Publishes in transactions, each with the marker that says how far it went, and does not stop before it is known to be committed.
 *
 *   closed ─▶ open: connect, initialise the id (fences who had it), ask whether the lanes are ours, read the markers
 *   open ─▶ begin ─▶ send ─▶ marker ─▶ commit ─▶ open
 *     a call that may be repeated is repeated for a while; it goes on where it was
 *     a transaction that is lost before its commit was asked for is aborted and sent again
 *     anything else, fencing included: the producer is closed and opened again; the marker then tells whether the commit had come through
 *
 * A commit that was asked for may be carried out whatever its answer says, and late. Under the same epoch of the id it would then end the next
 * transaction, in the middle of it. So nothing is sent after it before the id was initialised again.
 *
 * Fencing alone does not say that somebody else owns the lanes: brokers also fence who left a transaction open beyond its timeout, as in a
 * long outage. The database knows, and is asked each time the id was initialised.
 */
import type { KafkaAccess } from '../../../config/kafka-access.ts';
import { type Clock, type Pause, SYSTEM_PAUSE } from '../../core/clock.ts';
import { EngineError, messageOf } from '../../core/errors.ts';
import { clientTrouble, connectClient, disconnectConsumerWithin, disconnectProducer } from './client.ts';
import type { HangingCheck } from './hanging-check.ts';
import { type CallDone, type CallError, type MarkerClient, rdkafkaLane, type TransactionalProducer, type TransactionLane } from './lane.ts';
import { type Markers, openMarkerClient, readMarkers, type TransactionOptions } from './marker.ts';
import type { Outlet } from './outlet.ts';
import { RDKAFKA_ERROR, type Rdkafka } from './rdkafka.ts';

const CONNECT_TIMEOUT_MS = 5000;
/** Each transactional call holds a thread of the pool for so long at most; then it is made again. */
const CALL_TIMEOUT_MS = 2000;
const CALL_REST_MS = 20;
/** A call that is still to be repeated after so long is given up with its producer: another one begins with fresh connections. */
const CALL_PATIENCE_US = 20_000_000;
/** A call that is not answered at all for so long, its own time-out notwithstanding, is of a client that has lost its brokers for good. */
const CALL_SILENCE_MS = 10_000;
const DISCONNECT_TIMEOUT_MS = 3000;
const QUEUE_REST_MS = 1;
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 5000;

export interface LinkHealth {
  readonly isUp: boolean;
  readonly detail: string;
  /** Wall clock of the last change, ms. */
  readonly sinceMs: number;
}

export interface Publication {
  /** Where the markers stand once this is published, by lane. */
  readonly markers: Markers;
  /** Puts everything, in order. Called again from the beginning for each attempt. */
  send(outlet: Outlet): Promise<void>;
}

export interface TransactorOptions extends KafkaAccess {
  readonly library: Rdkafka;
  readonly clock: Clock;
  /** By default the timers of the thread. */
  readonly pause?: Pause;
  readonly lingerMs: number;
  /** Wait before the first further attempt; it doubles up to 5 s until one succeeds. 100 ms unless given. */
  readonly retryFirstMs?: number;
  readonly transactions: TransactionOptions;
  /** By default librdkafka's. */
  readonly lane?: TransactionLane;
  /** Asked around each initialisation of the id. */
  readonly hanging?: Pick<HangingCheck, 'find' | 'end'>;
}

export interface Transactor {
  readonly health: LinkHealth;
  /** Failures by librdkafka's text. */
  readonly failed: ReadonlyMap<string, number>;
  /** Takes in what librdkafka has to tell. */
  poll(): void;
  /** Wall clock of the latest sign that a transaction goes on, ms. */
  readonly progressMs: number;
  /**
   * Connects and takes the transactional id.
   * @throws EngineError KAFKA_UNREACHABLE (retryable), FENCED
   */
  open(): Promise<void>;
  /**
   * The markers as they are now. Those that an open transaction is moving are waited for, so whoever may have one is fenced before.
   * @throws EngineError KAFKA_UNREACHABLE (retryable), KAFKA_CLOSED
   */
  markers(): Promise<Markers>;
  /**
   * Publishes once, as many attempts as it takes. One at a time.
   * @returns how many attempts it took; 0 when the markers showed that it was published
   * @throws EngineError FENCED, KAFKA_MESSAGE, KAFKA_CLOSED
   */
  publish(publication: Publication): Promise<number>;
  close(): Promise<void>;
}

/** Of a transaction. */
type Stage = 'none' | 'sending' | 'committing';

export function createTransactor(options: TransactorOptions): Transactor {
  const { clock, transactions, retryFirstMs = RETRY_FIRST_MS, pause = SYSTEM_PAUSE } = options;
  const lane = options.lane ?? rdkafkaLane(options.library, options);
  const failed = new Map<string, number>();
  const closing = new AbortController();
  let producer: TransactionalProducer | undefined;
  let markerClient: MarkerClient | undefined;
  let stage: Stage = 'none';
  let busy: Promise<unknown> = Promise.resolve();
  let retryMs = retryFirstMs;
  let progressMs = clock.wallMs();
  let health: LinkHealth = { isUp: false, detail: 'not connected yet', sinceMs: clock.wallMs() };

  const setHealth = (isUp: boolean, detail: string): void => {
    if (health.isUp === isUp && health.detail === detail) return;
    // Since when is that of the change between up and down: a new reason does not make an outage younger.
    health = { isUp, detail, sinceMs: health.isUp === isUp ? health.sinceMs : clock.wallMs() };
  };
  const progress = (): void => {
    progressMs = clock.wallMs();
  };
  const throwIfClosing = (): void => {
    if (closing.signal.aborted) throw closed(transactions);
  };

  /**
   * Makes a transactional call once. A producer that does not answer is left alone: whoever initialises its id next fences it.
   * @throws Unanswered
   */
  const ask = async (invoke: (done: CallDone) => void): Promise<CallError | null> => {
    try {
      return await answered(invoke, CALL_SILENCE_MS, pause);
    } catch (error) {
      if (error instanceof Unanswered) producer = undefined;
      throw error;
    }
  };

  /** Makes a transactional call until it is answered; returns how many times. @throws the CallError that ends it */
  const call = async (invoke: (done: CallDone) => void): Promise<number> => {
    const endUs = clock.monotonicUs() + CALL_PATIENCE_US;
    for (let times = 1; ; times += 1) {
      throwIfClosing();
      const error = await ask(invoke);
      progressMs = error ? progressMs : clock.wallMs();
      if (!error) return times;
      if (!error.isRetriable) throw error;
      if (clock.monotonicUs() >= endUs) throw new OutOfPatience(error.message, { cause: error });
      setHealth(false, error.message);
      await pause(CALL_REST_MS);
    }
  };

  const dispose = async (): Promise<void> => {
    const old = producer;
    producer = undefined;
    stage = 'none';
    if (old) await disconnectProducer(old, 0);
  };

  const connect = async (): Promise<TransactionalProducer> => {
    const { transactionalId, markerGroup } = transactions;
    const next = lane.createProducer({ transactionalId, markerGroup, lingerMs: options.lingerMs });
    next.on('event.error', (error) => {
      // Between transactions connections also end because nothing was sent for a while.
      if (producer === next && stage !== 'none' && clientTrouble(error) === 'allDown') setHealth(false, error.message);
    });
    await connectClient(next, options, CONNECT_TIMEOUT_MS);
    producer = next;
    return next;
  };

  const open = async (): Promise<void> => {
    try {
      await options.hanging?.find([transactions.transactionalId]);
      markerClient ??= await openMarkerClient(lane, options, transactions.markerGroup);
      const next = await connect();
      await call((done) => next.initTransactions(CALL_TIMEOUT_MS, done)).catch((error: unknown) => {
        throw error instanceof EngineError ? error : notInitialised(transactions, error);
      });
      await options.hanging?.end([transactions.transactionalId]);
      if (!(await transactions.isOwner())) throw fenced(transactions);
      setHealth(true, 'connected');
    } catch (error) {
      await dispose();
      throw error;
    }
  };

  const markers = (): Promise<Markers> => (markerClient ? readMarkers(markerClient, transactions) : Promise.reject(closed(transactions)));

  const disposeMarkerClient = async (): Promise<void> => {
    const old = markerClient;
    markerClient = undefined;
    if (old) await disconnectConsumerWithin(old, DISCONNECT_TIMEOUT_MS, pause);
  };

  /** Opens again what failed; true when the markers show that the lost attempt had come through. */
  const reopen = async (wanted: Markers): Promise<boolean> => {
    await open();
    try {
      return isReached(await markers(), wanted);
    } catch (error) {
      await dispose();
      // It may have lost the brokers for good, as it happens to a client whose broker was away: the next attempt has another.
      await disposeMarkerClient();
      throw error;
    }
  };

  const outletOf = (current: TransactionalProducer): Outlet => ({
    put({ topic, payload, key, headers }) {
      try {
        current.produce(topic, null, payload, key, null, undefined, headers);
        progress();
        return true;
      } catch (error) {
        if (codeOf(error) === RDKAFKA_ERROR.queueFull) return false;
        if (codeOf(error) !== RDKAFKA_ERROR.messageTooLarge) throw error;
        const text = `message of ${payload.length} bytes to ${topic}: ${messageOf(error)}; raise message.max.bytes of the topic or send less`;
        throw new EngineError('KAFKA_MESSAGE', text, { cause: error });
      }
    },
    ...(current.produceBars
      ? {
          putBars(words: Int32Array, wordIndex: number, count: number): number {
            const taken = current.produceBars?.(words, wordIndex, count) ?? 0;
            if (taken > 0) progress();
            return taken;
          },
        }
      : {}),
    async rest(isFull) {
      throwIfClosing();
      current.poll();
      await pause(isFull ? QUEUE_REST_MS : 0);
    },
  });

  const transact = async (current: TransactionalProducer, group: MarkerClient, { markers: moved, send }: Publication): Promise<void> => {
    progress();
    await call((done) => current.beginTransaction(done));
    stage = 'sending';
    await send(outletOf(current));
    const offsets = [...moved].map(([partition, offset]) => ({ topic: transactions.markerTopic, partition, offset }));
    await call((done) => current.sendOffsetsToTransaction(offsets, group, CALL_TIMEOUT_MS, done));
    stage = 'committing';
    const times = await call((done) => current.commitTransaction(CALL_TIMEOUT_MS, done));
    stage = 'none';
    // Brokers that went away meanwhile may have left it open somewhere: the next transaction begins by looking.
    if (times > 1 && options.hanging) await dispose();
  };

  /** Leaves nothing of a failed attempt behind: an aborted transaction, or no producer. */
  const cleanUp = async (error: unknown): Promise<void> => {
    failed.set(messageOf(error), (failed.get(messageOf(error)) ?? 0) + 1);
    setHealth(false, messageOf(error));
    const current = producer;
    if (current && stage === 'sending' && isAbortable(error)) {
      try {
        await call((done) => current.abortTransaction(CALL_TIMEOUT_MS, done));
        stage = 'none';
      } catch (abortError) {
        if (abortError instanceof EngineError) throw abortError;
        setHealth(false, messageOf(abortError));
        await dispose();
      }
    } else await dispose();
    await pause(retryMs, closing.signal).catch(() => throwIfClosing());
    retryMs = Math.min(retryMs * 2, RETRY_LAST_MS);
  };

  const publish = async (publication: Publication): Promise<number> => {
    for (let attempt = 1; ; attempt += 1) {
      throwIfClosing();
      try {
        if (!producer && (await reopen(publication.markers))) return 0;
        if (producer && markerClient) await transact(producer, markerClient, publication);
        retryMs = retryFirstMs;
        setHealth(true, 'publishing');
        return attempt;
      } catch (error) {
        if (error instanceof EngineError && !error.retryable) throw error;
        await cleanUp(error);
      }
    }
  };

  return {
    get health() {
      return health;
    },
    get progressMs() {
      return progressMs;
    },
    poll() {
      if (producer?.isConnected()) producer.poll();
    },
    failed,
    open,
    markers,
    publish(publication) {
      const result = publish(publication);
      busy = result.catch(() => undefined);
      return result;
    },
    async close() {
      closing.abort();
      await busy;
      const current = producer;
      // Best effort: what stays open ends by its timeout, or by who claims the lanes next.
      if (current && stage !== 'none') await ask((done) => current.abortTransaction(CALL_TIMEOUT_MS, done)).catch(() => undefined);
      await dispose();
      await disposeMarkerClient();
      setHealth(false, 'closed');
    },
  };
}

/**
 * Ends whatever transaction the owner of an id has open, and makes every later commit of that owner fail.
 * @throws EngineError KAFKA_UNREACHABLE (retryable)
 */
export async function fenceTransactionalId(
  { library, pause = SYSTEM_PAUSE, ...access }: KafkaAccess & Pick<TransactorOptions, 'library' | 'pause'>,
  transactionalId: string,
  timeoutMs: number,
): Promise<void> {
  const producer = rdkafkaLane(library, access).createProducer({ transactionalId, markerGroup: '', lingerMs: 0 });
  await connectClient(producer, access, CONNECT_TIMEOUT_MS);
  const cause = await answered((done) => producer.initTransactions(timeoutMs, done), timeoutMs + CALL_SILENCE_MS, pause).catch(
    (error: unknown) => error,
  );
  // One that does not answer is left alone.
  if (!(cause instanceof Unanswered)) await disconnectProducer(producer, 0);
  if (!cause) return;
  const text = `transactional id ${transactionalId}: not fenced in ${timeoutMs} ms: ${messageOf(cause)}`;
  throw new EngineError('KAFKA_UNREACHABLE', text, { cause, retryable: true });
}

/** True when the markers are where they are to be, or beyond. */
export function isReached(markers: Markers, wanted: Markers): boolean {
  return [...wanted].every(([lane, epoch]) => (markers.get(lane) ?? -1) >= epoch);
}

/** What can be repeated, but did not get anywhere. */
class OutOfPatience extends Error {}

/** What was not answered, neither well nor badly. A client with a call under way cannot be disconnected. */
class Unanswered extends Error {}

/**
 * The answer of a transactional call.
 * @throws Unanswered when there is none in time
 */
async function answered(invoke: (done: CallDone) => void, silenceMs: number, pause: Pause): Promise<CallError | null> {
  const isAnswered = new AbortController();
  const answer = new Promise<CallError | null>((resolve) => invoke((error) => resolve(error ?? null)));
  const silence = pause(silenceMs, isAnswered.signal).then(
    () => {
      throw new Unanswered(`a transactional call is not answered in ${silenceMs} ms`);
    },
    () => answer,
  );
  try {
    return await Promise.race([answer, silence]);
  } finally {
    isAnswered.abort();
  }
}

function isAbortable(error: unknown): boolean {
  if (error instanceof OutOfPatience) return false;
  const isFatal = error instanceof Error && 'isFatal' in error && error.isFatal === true;
  return !isFatal && codeOf(error) !== RDKAFKA_ERROR.fatal && codeOf(error) !== RDKAFKA_ERROR.fenced;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function fenced({ transactionalId, lanes }: TransactionOptions): EngineError {
  return new EngineError('FENCED', `publisher ${transactionalId}: lanes ${lanes.join(', ')} belong to another engine now`);
}

/** Whoever took the id over meanwhile shows when the database is asked for the owner of the lanes, at the next attempt. */
function notInitialised({ transactionalId }: TransactionOptions, cause: unknown): EngineError {
  const text = `publisher ${transactionalId}: not initialised: ${messageOf(cause)}`;
  return new EngineError('PUBLISHER_FAILED', text, { cause, retryable: true });
}

function closed({ transactionalId }: TransactionOptions): EngineError {
  return new EngineError('KAFKA_CLOSED', `publisher ${transactionalId}: closed before everything was published`);
}
