/** The ticks topic and the group that shares out its partitions: members join, leave, and are put out when they do not answer. */
import type { FeedMessage } from '../torture/feed.ts';
import type { Owner, Scheduler } from './scheduler.ts';

export interface TickMessage {
  readonly offset: number;
  readonly value: Buffer | null;
  readonly isPacked: boolean;
}

export interface TickLog {
  readonly topic: string;
  readonly partitions: readonly TickMessage[][];
}

export interface Member {
  readonly owner: Owner;
  readonly name: string;
  /** What the group has given it. */
  owned: readonly number[];
  /** Asked to give it back, and has not yet. */
  isRevoking: boolean;
  /** False once it left or was put out. */
  isIn: boolean;
  onAssigned(partitions: readonly number[]): void;
  onRevoked(partitions: readonly number[]): void;
}

export interface Group {
  readonly members: readonly Member[];
  join(member: Member): void;
  leave(member: Member): void;
  /** The member has let go of what it was asked to give back. */
  release(member: Member): void;
  /** Puts a member out that does not answer in time: what it had goes to others at once. */
  evict(member: Member): void;
  rebalance(): void;
}

export function createTickLog(topic: string, partitions: number): TickLog {
  return { topic, partitions: Array.from({ length: partitions }, () => []) };
}

export function appendTick(log: TickLog, { partition, value, isPacked }: FeedMessage): void {
  const messages = log.partitions[partition]!;
  messages.push({ offset: messages.length, value: value === null ? null : Buffer.from(value), isPacked });
}

const SERVER_MS = 3;

export function createGroup(scheduler: Scheduler, server: Owner, partitions: number): Group {
  let members: Member[] = [];
  let isPending = false;

  const settle = (): void => {
    if (!isPending || members.some(({ isRevoking }) => isRevoking)) return;
    isPending = false;
    const first = members.length === 0 ? 0 : scheduler.prng.nextBelow(members.length);
    for (const [index, member] of members.entries()) {
      const place = (index + first) % members.length;
      member.owned = Array.from({ length: partitions }, (_, partition) => partition).filter(
        (partition) => partition % members.length === place,
      );
      member.onAssigned(member.owned);
    }
  };
  const rebalance = (): void => {
    isPending = true;
    for (const member of members) {
      if (member.isRevoking || member.owned.length === 0) continue;
      member.isRevoking = true;
      member.onRevoked(member.owned);
    }
    // Others may join or leave meanwhile: one assignment for all of them.
    scheduler.after(server, scheduler.prng.nextFloat() * SERVER_MS, settle);
  };
  const remove = (member: Member): void => {
    if (!member.isIn) return;
    member.isIn = false;
    member.owned = [];
    member.isRevoking = false;
    members = members.filter((other) => other !== member);
    rebalance();
  };

  return {
    get members() {
      return members;
    },
    join(member) {
      if (member.isIn) return;
      member.isIn = true;
      member.owned = [];
      member.isRevoking = false;
      members.push(member);
      rebalance();
    },
    leave: remove,
    release(member) {
      if (!member.isIn || !member.isRevoking) return;
      member.owned = [];
      member.isRevoking = false;
      scheduler.after(server, 0, settle);
    },
    evict: remove,
    rebalance,
  };
}
