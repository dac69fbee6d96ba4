/**
 * Batches on their way to brokers: which to send next, and what becomes of them by the answers. Nothing here sends, waits or reads a clock.
 *
 *   add ─▶ waiting ─▶ flying ─▶ acknowledged
 *             ▲          │ failed in passing: once nothing of its partition flies any more, all that failed goes back, in order
 *             └──────────┘
 *
 * Brokers take the batches of a partition by their sequence, and know a batch that they have. So a partition's batches fly to one broker at a
 * time, several at once; a batch behind one that failed is refused as out of order and goes back with it; and what was sent
 * on a connection that broke is sent again as it was.
 *
 * A broker that has nothing of a producer, or no more, takes any sequence for its first. So a partition's first batch flies alone, and the first
 * after a while: were it refused in passing, as by a leader that does not know that it is one, the batch behind it would be taken, and it never.
 */
import { assert } from '../core/errors.ts';
import { isPassing, isStale, KAFKA_CODE } from './broker-errors.ts';

/** Requests to one broker that may be unanswered: as many batches of a partition as brokers recognise when they are repeated. */
export const IN_FLIGHT_MAX = 5;
/** Bytes of batches in one request, unless one batch has more. */
const REQUEST_BYTES_MAX = 4_194_304;
/** So long after an acknowledgement a broker is taken to have its producer in mind; it keeps idle ones for a day, unless it is told otherwise. */
const KNOWN_MS = 60_000;
const RETRY_FIRST_MS = 5;
const RETRY_LAST_MS = 1000;

export interface Batch {
  readonly topic: string;
  readonly partition: number;
  readonly recordCount: number;
  readonly bytes: Buffer;
  /** Called when it is acknowledged: `bytes` are not read any more. */
  readonly release?: () => void;
}

/** Batches that go to one broker together, at most one of each partition. */
export interface ProduceRequest {
  readonly brokerId: number;
  readonly batches: readonly Batch[];
}

/** What the answers to one request mean. */
export interface Settled {
  /** Somebody else leads a partition by now. */
  readonly isStale: boolean;
  /** A batch that will not pass under this producer, with the broker's code. */
  readonly refused: { readonly batch: Batch; readonly code: number } | undefined;
}

export type BrokerOf = (topic: string, partition: number) => number | undefined;

export interface ProduceQueue {
  add(batch: Batch): void;
  /** Bytes of batches not acknowledged. */
  readonly bytes: number;
  readonly isEmpty: boolean;
  /** Batches that were sent once more. */
  readonly repeated: number;
  /**
   * The next request that may be sent now. `brokerOf` gives the broker that takes a partition's batches now, or undefined while none does.
   */
  next(brokerOf: BrokerOf, nowMs: number): ProduceRequest | undefined;
  /** Takes in the answers; `codeOf` gives KAFKA_CODE.networkException for a batch that has none. */
  settle(request: ProduceRequest, codeOf: (batch: Batch) => number, nowMs: number): Settled;
  /** When a partition that rests may be sent to again, in ms; undefined when none rests. */
  restsUntilMs(nowMs: number): number | undefined;
}

interface Flight {
  readonly batch: Batch;
  hasFailed: boolean;
}

interface Line {
  readonly topic: string;
  readonly partition: number;
  waiting: Batch[];
  /** In the order of their sequences. */
  flying: Flight[];
  /** Where they fly to. */
  brokerId: number;
  restsUntilMs: number;
  /** Until then its broker knows which sequence comes next. */
  knownUntilMs: number;
  /** Failures since the last acknowledgement. */
  failures: number;
}

export function createProduceQueue(): ProduceQueue {
  const lines = new Map<string, Line>();
  /** Those that have something waiting: of thousands of partitions few may. */
  const waiting = new Set<Line>();
  const requests = new Map<number, number>();
  let bytes = 0;
  let held = 0;
  let repeated = 0;

  const lineOf = ({ topic, partition }: Pick<Batch, 'topic' | 'partition'>): Line => {
    const key = `${partition} ${topic}`;
    const known = lines.get(key);
    if (known) return known;
    const line: Line = { topic, partition, waiting: [], flying: [], brokerId: -1, restsUntilMs: 0, knownUntilMs: 0, failures: 0 };
    lines.set(key, line);
    return line;
  };

  /** The broker that a line with something waiting may send its next batch to. */
  const targetOf = (line: Line, brokerOf: BrokerOf, nowMs: number): number | undefined => {
    if (nowMs < line.restsUntilMs || line.flying.length >= IN_FLIGHT_MAX) return undefined;
    const broker = brokerOf(line.topic, line.partition);
    if (broker === undefined || line.flying.length === 0) return broker;
    const isSteady = nowMs < line.knownUntilMs && line.brokerId === broker && !line.flying.some((flight) => flight.hasFailed);
    return isSteady ? broker : undefined;
  };

  const settleOne = (line: Line, flight: Flight, code: number, nowMs: number): boolean => {
    const index = line.flying.indexOf(flight);
    if (code === KAFKA_CODE.none || code === KAFKA_CODE.duplicateSequence) {
      line.flying.splice(index, 1);
      line.knownUntilMs = nowMs + KNOWN_MS;
      line.failures = 0;
      bytes -= flight.batch.bytes.length;
      held -= 1;
      flight.batch.release?.();
      return true;
    }
    const isBehind = code === KAFKA_CODE.outOfOrderSequence && line.flying.slice(0, index).some((earlier) => earlier.hasFailed);
    flight.hasFailed = true;
    return isBehind || isPassing(code);
  };

  /** Once the last of a line's flights is answered, those that failed go back. */
  const land = (line: Line, nowMs: number): void => {
    if (line.flying.length === 0 || line.flying.some((flight) => !flight.hasFailed)) return;
    repeated += line.flying.length;
    line.waiting = [...line.flying.map((flight) => flight.batch), ...line.waiting];
    waiting.add(line);
    line.flying = [];
    line.restsUntilMs = nowMs + Math.min(RETRY_FIRST_MS * 2 ** line.failures, RETRY_LAST_MS);
    line.failures = Math.min(line.failures + 1, 30);
  };

  return {
    add(batch) {
      const line = lineOf(batch);
      line.waiting.push(batch);
      waiting.add(line);
      bytes += batch.bytes.length;
      held += 1;
    },
    get bytes() {
      return bytes;
    },
    get isEmpty() {
      return held === 0;
    },
    get repeated() {
      return repeated;
    },
    next(brokerOf, nowMs) {
      let brokerId: number | undefined;
      let size = 0;
      const batches: Batch[] = [];
      for (const line of waiting) {
        const target = targetOf(line, brokerOf, nowMs);
        const batch = line.waiting[0];
        if (target === undefined || batch === undefined || (brokerId !== undefined && target !== brokerId)) continue;
        if (brokerId === undefined && (requests.get(target) ?? 0) >= IN_FLIGHT_MAX) continue;
        if (batches.length > 0 && size + batch.bytes.length > REQUEST_BYTES_MAX) continue;
        brokerId = target;
        size += batch.bytes.length;
        batches.push(batch);
        line.waiting.shift();
        if (line.waiting.length === 0) waiting.delete(line);
        line.flying.push({ batch, hasFailed: false });
        line.brokerId = target;
      }
      if (brokerId === undefined) return undefined;
      requests.set(brokerId, (requests.get(brokerId) ?? 0) + 1);
      return { brokerId, batches };
    },
    settle({ brokerId, batches }, codeOf, nowMs) {
      requests.set(brokerId, (requests.get(brokerId) ?? 0) - 1);
      let isAnyStale = false;
      let refused: Settled['refused'];
      for (const batch of batches) {
        const line = lineOf(batch);
        const flight = line.flying.find((candidate) => candidate.batch === batch);
        assert(flight !== undefined && !flight.hasFailed, `a batch of ${batch.topic}/${batch.partition} is answered twice`);
        const code = codeOf(batch);
        isAnyStale ||= isStale(code);
        if (!settleOne(line, flight, code, nowMs)) refused ??= { batch, code };
        land(line, nowMs);
      }
      return { isStale: isAnyStale, refused };
    },
    restsUntilMs(nowMs) {
      let earliest: number | undefined;
      for (const line of waiting) {
        if (line.restsUntilMs <= nowMs) continue;
        earliest = Math.min(earliest ?? line.restsUntilMs, line.restsUntilMs);
      }
      return earliest;
    },
  };
}
