/**
 * Where requests come in: it refuses at once what no book can take, lets the rest into the journal, and answers when their epoch is durable.
 * It outlives the exchange's sessions: whoever waits while one is rebuilt is answered by the next.
 */
import type { Clock } from '../../core/clock.ts';
import type { Catalogue } from './catalogue.ts';
import { writeEntry } from './entry.ts';
import type { OrderJournal } from './journal.ts';
import { DOOR_REASON, isRefusal, Refusal } from './refusal.ts';
import { type Reply, refusalReply } from './reply.ts';
import { parseLine, readRequest } from './request.ts';
import { refuseAtDoor } from './resolve.ts';

export type Answer = (reply: Reply) => void;

export interface Door {
  /** Takes one line; `answer` is called once, now or when what came of it is durable. Never, when the journal is lost before that. */
  take(line: string, answer: Answer): void;
  /** Answers a request that was let in. Unknown stamps are of another process. */
  reply(stamp: string, reply: Reply): void;
  /**
   * The journal to let requests into from now on. Those that wait and will not be matched by this session are told that their outcome is not
   * known here: their entries are before `from`, or were lost with a journal that failed.
   */
  open(journal: OrderJournal, from: { readonly offset: bigint; readonly tsNs: bigint }): void;
  /** Requests are refused as `busy` until it is opened again. */
  shut(): void;
  /** Nobody will answer those that wait any more: they are told that their outcome is not known here. */
  giveUp(): void;
  /** From now on everything is refused as `stopping`. */
  stop(): void;
  /** Requests let in and not answered. */
  readonly pending: number;
  readonly counts: Readonly<DoorCounts>;
}

export interface DoorCounts {
  accepted: number;
  refused: number;
}

export interface DoorOptions {
  readonly catalogue: Catalogue;
  readonly clock: Clock;
}

/** A request that was let in. */
interface Waiting {
  /** Where it stands in the journal; in a shared one, or behind. */
  readonly offset: bigint;
  readonly answer: Answer;
}

const NS_PER_MS = 1_000_000;

export function createDoor({ catalogue, clock }: DoorOptions): Door {
  const waiting = new Map<string, Waiting>();
  const counts: DoorCounts = { accepted: 0, refused: 0 };
  // Differs from process to process, so that an entry left by another is not taken for one of this.
  const prefix = `${process.pid}-${Math.floor(clock.wallMs() * 1000).toString(36)}`;
  let journal: OrderJournal | undefined;
  let lastTsNs = 0n;
  let stamps = 0;
  let isStopping = false;

  const refuse = (refusal: Refusal, id: unknown, answer: Answer): void => {
    counts.refused += 1;
    answer(withId(refusalReply(refusal), id));
  };

  const forget = (isLost: (entry: Waiting) => boolean): void => {
    for (const [stamp, entry] of waiting) {
      if (!isLost(entry)) continue;
      waiting.delete(stamp);
      entry.answer(refusalReply(new Refusal(DOOR_REASON.unknownOutcome, 'it may be matched or not: ask by client_order_id')));
    }
  };

  /** Nanoseconds of the wall clock, later than any before. */
  const stampNs = (): bigint => {
    const nowMs = clock.wallMs();
    const wholeMs = Math.floor(nowMs);
    const nowNs = BigInt(wholeMs) * BigInt(NS_PER_MS) + BigInt(Math.floor((nowMs - wholeMs) * NS_PER_MS));
    lastTsNs = nowNs > lastTsNs ? nowNs : lastTsNs + 1n;
    return lastTsNs;
  };

  return {
    take(line, answer) {
      const fields = parseLine(line);
      if (isRefusal(fields)) return refuse(fields, undefined, answer);
      const { id, ...rest } = fields;
      if (rest['op'] === 'ping') return answer(withId({ ok: true }, id));
      const request = readRequest(rest);
      if (isRefusal(request)) return refuse(request, id, answer);
      const refusal = refuseAtDoor(request, catalogue);
      if (refusal !== undefined) return refuse(refusal, id, answer);
      if (isStopping) return refuse(new Refusal(DOOR_REASON.stopping, 'the engine is stopping'), id, answer);
      if (journal === undefined || journal.isFull) return refuse(new Refusal(DOOR_REASON.busy, busyText(journal)), id, answer);
      stamps += 1;
      const stamp = `${prefix}-${stamps}`;
      waiting.set(stamp, { offset: journal.nextOffset, answer: (reply) => answer(withId(reply, id)) });
      counts.accepted += 1;
      journal.append(writeEntry(rest, stampNs(), stamp), request.symbol);
    },
    reply(stamp, reply) {
      const entry = waiting.get(stamp);
      waiting.delete(stamp);
      entry?.answer(reply);
    },
    open(next, { offset, tsNs }) {
      journal = next;
      if (tsNs > lastTsNs) lastTsNs = tsNs;
      forget((entry) => entry.offset < offset || entry.offset >= next.nextOffset);
    },
    giveUp: () => forget(() => true),
    shut() {
      journal = undefined;
    },
    stop() {
      isStopping = true;
    },
    get pending() {
      return waiting.size;
    },
    counts,
  };
}

/** A reply carries the id that its request had. */
function withId(reply: Reply, id: unknown): Reply {
  return id === undefined ? reply : { id, ...reply };
}

function busyText(journal: OrderJournal | undefined): string {
  return journal ? `${journal.waiting + journal.unsynced} requests wait already; come again` : 'the exchange is not open; come again';
}
