/**
 * Fetches the partitions of a topic from whoever leads them, ahead of their reader and within bounds: one request at a time to a broker, of
 * those partitions that have room. What comes is kept as it came, in order, until the reader has decoded it.
 *
 * What goes wrong is either passing (a broker that is away, a leader that moved: tried again, and said in `trouble`), or ends one partition
 * (`stopped`: what stands there cannot be read), or ends the fetcher (`takeFailure`).
 */
import type { Clock } from '../core/clock.ts';
import { EngineError, messageOf } from '../core/errors.ts';
import { KAFKA_CODE } from './broker-errors.ts';
import type { Cluster } from './cluster.ts';
import { FETCH, type FetchAnswer, type FetchedPartition, fetchRequest } from './fetch-request.ts';
import { createRetry, createSetQueue, type FetchedSet, type NodeState, type PartitionState } from './fetch-state.ts';
import { jumpOf, type OffsetJump, type OffsetPolicy } from './offset-jumps.ts';
import { LIST_OFFSETS, offsetsRequest } from './offsets-request.ts';
import type { BatchTrouble, RecordDecoder } from './record-decoder.ts';
import { behindLastBatch } from './set-walk.ts';

/** What brokers must have. */
export const FETCH_APIS = { Fetch: FETCH, ListOffsets: LIST_OFFSETS } as const;

export interface FetcherOptions {
  /** With FETCH_APIS; the fetcher closes it. */
  readonly cluster: Cluster;
  readonly topic: string;
  readonly clock: Clock;
  readonly isCommittedOnly: boolean;
  /** What becomes of a partition that no longer has the offset wanted. */
  readonly onOffsetGone: OffsetPolicy;
  /** Told of each jump once the reader has everything before it. */
  readonly onJump?: (jump: OffsetJump) => void;
  /** By default those below. */
  readonly limits?: Partial<FetchLimits>;
}

export interface FetchLimits {
  /** Bytes of one partition in an answer; a batch that is larger comes whole. */
  readonly partitionBytes: number;
  /** Bytes of one answer. */
  readonly answerBytes: number;
  /** No more is asked for while so many bytes wait for the reader. */
  readonly aheadBytes: number;
  /** Sets of one partition that may wait. */
  readonly aheadSets: number;
  /** How long brokers may not know the topic before that is believed, ms: one that has just started, or a topic just made, is not heard of at once. */
  readonly missingMs: number;
}

const LIMITS: FetchLimits = { partitionBytes: 1 << 20, answerBytes: 8 << 20, aheadBytes: 16 << 20, aheadSets: 2, missingMs: 5000 };
/** The end of a partition is told by the next answer, so an answer must not wait long for more. */
const WAIT_MS = 50;
/** While a partition has no room it is left out, and the others' answer must not keep it waiting when it has some again. */
const SHORT_WAIT_MS = 10;
/** A partition's share of an answer grows up to this when not one batch comes whole. */
const PARTITION_BYTES_MAX = 1 << 26;

/** What one broker may refuse while others read on: it may have been set up anew, or be about to. */
const TURNED_AWAY: ReadonlySet<string> = new Set(['KAFKA_REFUSED', 'KAFKA_SECURITY', 'KAFKA_API_MISSING']);

/** Since it was made. */
export interface FetchCounts {
  /** Fetch requests that were answered. */
  readonly requests: number;
  readonly bytes: number;
  /** Batches and records of what its reader has finished with. */
  readonly batches: number;
  readonly records: number;
  /** Times a broker asked to be left alone, and for how long together. */
  readonly throttles: number;
  readonly throttledMs: number;
  /** Batches fetched again since they could not be read. */
  readonly refetches: number;
  /** Times somebody else led a partition. */
  readonly leaderChanges: number;
}

/** What became of a set, as its decoder tells. */
export type FinishedSet = Pick<RecordDecoder, 'cutBytes' | 'trouble' | 'batches' | 'records'>;

export interface Fetcher {
  /** Begins with these partitions at these offsets; what it had before is forgotten. The policy is that of the options unless given. */
  begin(offsets: ReadonlyMap<number, number>, policy?: OffsetPolicy): void;
  /** Asks for nothing more until it begins again; what it has stays. */
  hold(): void;
  /** Forgets everything; the connections stay. */
  end(): void;
  /** Asks for what there is room for. Call it often; it returns at once. */
  pump(): void;
  /** The oldest set that nobody has finished with. */
  readonly head: FetchedSet | undefined;
  /** The head has been read up to an offset, to its end or as far as it can be. */
  finish(nextOffset: number, ended: FinishedSet): void;
  /** True when nothing of the partition waits, and it ended at `nextOffset` when last asked. */
  isAtEnd(partition: number, nextOffset: number | undefined): boolean;
  /** What is wrong now and may pass; empty when nothing is. */
  readonly trouble: string;
  /** Partitions that are not read any further, and why. */
  readonly stopped: ReadonlyMap<number, string>;
  readonly counts: FetchCounts;
  /** What ended it, once. */
  takeFailure(): EngineError | undefined;
  close(): Promise<void>;
}

export function createFetcher(options: FetcherOptions): Fetcher {
  const { cluster, topic, clock } = options;
  const limits = { ...LIMITS, ...options.limits };
  const nodes = new Map<number, NodeState>();
  const stopped = new Map<number, string>();
  const counts = { requests: 0, bytes: 0, batches: 0, records: 0, throttles: 0, throttledMs: 0, refetches: 0, leaderChanges: 0 };
  const sets = createSetQueue();
  const metadata = createRetry(clock, 'not connected yet');
  let partitions = new Map<number, PartitionState>();
  /** Moves on when what is under way is out of date. */
  let generation = 0;
  let isClosed = false;
  let isHeld = false;
  /** Who leads what has to be asked again. */
  let isStale = true;
  let isRefreshing = false;
  /** Since when brokers say that there is no such topic; undefined: they know it. */
  let missingSinceMs: number | undefined;
  let failure: EngineError | undefined;
  let policy = options.onOffsetGone;

  const fail = (error: unknown): void => {
    failure ??= error instanceof EngineError ? error : new EngineError('KAFKA_FATAL', messageOf(error), { cause: error });
  };
  const isPassing = (error: unknown): error is EngineError => error instanceof EngineError && error.retryable;
  /** Turned away by one broker, others may be read on. */
  const isOfOneBroker = (error: unknown): error is EngineError => error instanceof EngineError && TURNED_AWAY.has(error.code);
  /** There is no such topic, and it was not said for long. */
  const isMissingYet = (error: unknown): error is EngineError => {
    if (!(error instanceof EngineError) || error.code !== 'KAFKA_TOPIC_MISSING') return false;
    missingSinceMs ??= clock.wallMs();
    return clock.wallMs() - missingSinceMs < limits.missingMs;
  };
  const nodeOf = (nodeId: number): NodeState => {
    const known = nodes.get(nodeId) ?? { isAsking: false, notBeforeMs: 0, retry: createRetry(clock) };
    nodes.set(nodeId, known);
    return known;
  };
  const leaderOf = ({ partition }: PartitionState): number | undefined => cluster.leaderOf(topic, partition)?.nodeId;

  const refresh = async (): Promise<void> => {
    isRefreshing = true;
    try {
      await cluster.look([topic]);
      isStale = false;
      missingSinceMs = undefined;
      metadata.wentWell();
      for (const state of partitions.values()) {
        const leaderId = leaderOf(state);
        if (leaderId !== undefined) {
          if (state.leaderId !== -1 && state.leaderId !== leaderId) counts.leaderChanges += 1;
          state.leaderId = leaderId;
          continue;
        }
        isStale = true;
        state.retry.later(`topic ${topic} partition ${state.partition}: it has no leader`);
        metadata.later(state.retry.trouble);
      }
    } catch (error) {
      if (isPassing(error) || isMissingYet(error)) metadata.later(error.message);
      else if (!isClosed) fail(error);
    } finally {
      isRefreshing = false;
    }
  };

  /** Those of a broker's partitions that there is room for, the longest unserved first, and whether these are all that it leads. */
  const wantedOf = (nodeId: number): { readonly wanted: PartitionState[]; readonly areAll: boolean } => {
    const led = [...partitions.values()].filter((state) => leaderOf(state) === nodeId && !stopped.has(state.partition));
    if (sets.bytes >= limits.aheadBytes) return { wanted: [], areAll: false };
    const wanted = led.filter(({ waiting, retry }) => waiting < limits.aheadSets && !retry.isWaiting);
    return { wanted: wanted.sort((left, right) => left.servedAt - right.servedAt), areAll: wanted.length === led.length };
  };

  const ask = async (nodeId: number, node: NodeState): Promise<void> => {
    const asked = generation;
    const connection = await cluster.brokers.connectionTo(nodeId);
    const { wanted, areAll } = wantedOf(nodeId);
    if (asked !== generation || wanted.length === 0) return;
    const request = fetchRequest({
      topic,
      partitions: wanted.map(({ partition, offset, bytesMax }) => {
        return { partition, offset, bytesMax, leaderEpoch: cluster.leaderOf(topic, partition)?.epoch ?? -1 };
      }),
      waitMs: areAll ? WAIT_MS : SHORT_WAIT_MS,
      bytesMax: limits.answerBytes,
      isCommittedOnly: options.isCommittedOnly,
    });
    const answer = await connection.ask(request);
    counts.requests += 1;
    if (answer.throttleMs > 0) {
      counts.throttles += 1;
      counts.throttledMs += answer.throttleMs;
      node.notBeforeMs = clock.wallMs() + answer.throttleMs;
    }
    if (asked === generation && !isClosed) await take(answer, nodeId);
  };

  const take = async (answer: FetchAnswer, nodeId: number): Promise<void> => {
    const { retry } = nodeOf(nodeId);
    if (answer.error !== 0) {
      retry.later(`topic ${topic}: broker ${nodeId} answers with error ${answer.error}`);
      return;
    }
    retry.wentWell();
    const gone: PartitionState[] = [];
    for (const fetched of answer.partitions) {
      const state = partitions.get(fetched.partition);
      if (!state) continue;
      if (fetched.error === 0) keep(state, fetched);
      else if (fetched.error === KAFKA_CODE.offsetOutOfRange) gone.push(state);
      else if (fetched.error === KAFKA_CODE.topicAuthorizationFailed) {
        fail(new EngineError('KAFKA_REFUSED', `topic ${topic}: this client may not read it`));
      } else {
        isStale = true;
        state.retry.later(`topic ${topic} partition ${state.partition}: broker ${nodeId} answers with error ${fetched.error}`);
      }
    }
    if (gone.length > 0) await replaceOffsets(gone, nodeId);
  };

  const keep = (state: PartitionState, { partition, chunks, aborted, endOffset }: FetchedPartition): void => {
    state.end = endOffset;
    state.retry.wentWell();
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (bytes === 0) return;
    counts.bytes += bytes;
    state.waiting += 1;
    state.servedAt = counts.requests;
    // An answer of an earlier leader may bring again what another has brought: the decoder leaves out what lies before this offset.
    sets.push({ partition, chunks, aborted, fromOffset: state.offset, bytes });
    // Where not one batch is whole the reader will say so, and then more is asked for.
    state.offset = Math.max(state.offset, behindLastBatch(chunks) ?? state.offset);
  };

  /** The topic no longer has these offsets, or not yet: by the policy a failure, or a jump. */
  const replaceOffsets = async (gone: readonly PartitionState[], nodeId: number): Promise<void> => {
    const asked = generation;
    const connection = await cluster.brokers.connectionTo(nodeId);
    const wanted = gone.map(({ partition }) => partition);
    const lows = await connection.ask(offsetsRequest(options, wanted, 'earliest'));
    const highs = await connection.ask(offsetsRequest(options, wanted, 'latest'));
    if (asked !== generation) return;
    for (const state of gone) {
      const { partition, offset } = state;
      const offsetIn = (list: typeof lows) => list.find((one) => one.partition === partition && one.error === 0)?.offset;
      const [lowOffset, highOffset] = [offsetIn(lows), offsetIn(highs)];
      if (lowOffset === undefined || highOffset === undefined) {
        state.retry.later(`topic ${topic} partition ${partition}: where it begins and ends is not known`);
        continue;
      }
      const jump = jumpOf({ topic, partition, offset }, { lowOffset, highOffset }, policy);
      if (!jump) {
        state.retry.later(`topic ${topic} partition ${partition}: broker ${nodeId} has offset ${offset}, and answers that it has not`);
        continue;
      }
      // In its turn among what waits, so that the reader's offsets and counts follow what it has handed over.
      sets.push({ partition, chunks: [], aborted: [], fromOffset: jump.to, bytes: 0, jump });
      state.waiting += 1;
      state.offset = jump.to;
      state.end = -1;
    }
  };

  const pumpNode = (nodeId: number): void => {
    const node = nodeOf(nodeId);
    const isResting = node.isAsking || node.retry.isWaiting || clock.wallMs() < node.notBeforeMs;
    if (isResting || wantedOf(nodeId).wanted.length === 0) return;
    node.isAsking = true;
    void ask(nodeId, node)
      .catch((error: unknown) => {
        if (isClosed) return;
        if (!isPassing(error) && !isOfOneBroker(error)) fail(error);
        else {
          isStale = true;
          node.retry.later(error.message);
        }
      })
      .finally(() => {
        node.isAsking = false;
        pump();
      });
  };
  const pump = (): void => {
    if (isClosed || isHeld || failure !== undefined || partitions.size === 0) return;
    if (isStale && !isRefreshing && !metadata.isWaiting) void refresh().then(pump);
    for (const nodeId of new Set([...partitions.values()].map(leaderOf))) {
      if (nodeId !== undefined) pumpNode(nodeId);
    }
  };

  /** Takes away everything that waits of a partition, and asks for it again from an offset. */
  const askAgain = (state: PartitionState, offset: number): void => {
    sets.drop(state.partition);
    state.waiting = 0;
    state.offset = offset;
    // An answer under way was asked from where the reader is not.
    generation += 1;
  };
  const onTrouble = (state: PartitionState, nextOffset: number, { code, offset, text }: BatchTrouble): void => {
    askAgain(state, nextOffset);
    if (state.troubledAt !== nextOffset) {
      state.troubledAt = nextOffset;
      counts.refetches += 1;
      return;
    }
    stopped.set(state.partition, `${code}: topic ${topic} partition ${state.partition}, batch at offset ${offset}: ${text}; fetched twice`);
  };
  const troubleOf = (state: PartitionState): string => {
    const nodeId = leaderOf(state);
    return state.retry.trouble || (nodeId === undefined ? metadata.trouble : nodeOf(nodeId).retry.trouble);
  };

  return {
    pump,
    hold() {
      isHeld = true;
    },
    begin(offsets, nextPolicy = options.onOffsetGone) {
      generation += 1;
      policy = nextPolicy;
      isHeld = false;
      sets.drop();
      stopped.clear();
      const states = [...offsets].map(([partition, offset]): PartitionState => {
        const retry = createRetry(clock);
        return {
          partition,
          offset,
          end: -1,
          waiting: 0,
          bytesMax: limits.partitionBytes,
          troubledAt: -1,
          leaderId: -1,
          servedAt: 0,
          retry,
        };
      });
      partitions = new Map(states.map((state) => [state.partition, state]));
      pump();
    },
    end() {
      generation += 1;
      partitions = new Map();
      sets.drop();
    },
    get head() {
      return sets.head;
    },
    finish(nextOffset, { cutBytes, trouble, batches, records }) {
      const set = sets.shift();
      const state = set && partitions.get(set.partition);
      if (!set || !state) return;
      state.waiting -= 1;
      counts.batches += batches;
      counts.records += records;
      if (set.jump) options.onJump?.(set.jump);
      else if (trouble) onTrouble(state, nextOffset, trouble);
      else if (cutBytes === set.bytes) {
        state.bytesMax = Math.min(PARTITION_BYTES_MAX, state.bytesMax * 2);
        askAgain(state, nextOffset);
      }
      pump();
    },
    isAtEnd(partition, nextOffset) {
      const state = partitions.get(partition);
      if (!state || stopped.has(partition) || state.waiting > 0 || state.end < 0 || troubleOf(state) !== '') return false;
      return (nextOffset ?? state.offset) >= state.end;
    },
    get trouble() {
      for (const state of partitions.values()) {
        const text = troubleOf(state);
        if (text !== '') return text;
      }
      return '';
    },
    stopped,
    get counts() {
      return { ...counts };
    },
    takeFailure() {
      const taken = failure;
      failure = undefined;
      return taken;
    },
    async close() {
      isClosed = true;
      generation += 1;
      await cluster.close();
    },
  };
}
