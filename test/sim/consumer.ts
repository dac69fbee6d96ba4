/** librdkafka's consumer over the simulated broker: a member of the ticks group, or the client that reads the markers. */

import { PACKED_ENCODING } from '../../engine/ingest/packed.ts';
import type {
  Consumer,
  Message,
  Metadata,
  RdkafkaError,
  RdkafkaSettings,
  TopicPartition,
  WatermarkOffsets,
} from '../../engine/sinks/kafka/rdkafka.ts';
import { RDKAFKA_ERROR } from '../../engine/sinks/kafka/rdkafka.ts';
import { type Client, groupNames, troubleOf } from './client.ts';
import type { Group, Member, TickLog } from './group.ts';

import { WAIT } from './server.ts';

export interface ConsumerParts extends Client {
  readonly group: Group;
  readonly log: TickLog;
}

type Rebalance = (error: { readonly code: number }, list: readonly TopicPartition[]) => void;
type EndListener = (end: { topic: string; partition: number; offset: number }) => void;

const POLL_MS = 4;
const FETCH_MAX = 64;
/** A read waits for a thread of the pool, which transactions and other reads use too. */
const POOL_BUSY_ONE_IN = 16;
const POOL_BUSY_MS = 150;

export class SimConsumer implements Consumer {
  readonly #parts: ConsumerParts;
  readonly #groupName: string;
  readonly #onRebalance: Rebalance | undefined;
  readonly #member: Member;
  readonly #positions = new Map<number, number>();
  readonly #ended = new Set<number>();
  readonly #events: (() => void)[] = [];
  #timeoutMs = 0;
  #isConnected = false;
  #isSubscribed = false;
  #isPaused = false;
  /** It has been given partitions and has not said where it reads; until then it is told nothing more of its group. */
  #owesAnswer = false;
  /** It has been told to let go, and has not yet. */
  #isToLetGo = false;
  #onEnd: EndListener | undefined;

  constructor(parts: ConsumerParts, settings: RdkafkaSettings) {
    this.#parts = parts;
    this.#groupName = String(settings['group.id']);
    const callback = settings['rebalance_cb'];
    // A cast: the settings of the ticks reader have exactly this function.
    this.#onRebalance = typeof callback === 'function' ? (callback as Rebalance) : undefined;
    groupNames.set(this, this.#groupName);
    this.#member = {
      owner: parts.owner,
      name: parts.owner.name,
      owned: [],
      isRevoking: false,
      isIn: false,
      onAssigned: (partitions) => this.#tell(RDKAFKA_ERROR.assignPartitions, partitions),
      onRevoked: (partitions) => this.#tell(RDKAFKA_ERROR.revokePartitions, partitions),
    };
  }

  /** Events of the group come in order, in the process's own time. */
  #tell(code: number, partitions: readonly number[]): void {
    const { scheduler, owner, log } = this.#parts;
    const list = partitions.map((partition) => ({ topic: log.topic, partition }));
    this.#events.push(() => {
      this.#isToLetGo = code === RDKAFKA_ERROR.revokePartitions;
      this.#owesAnswer = !this.#isToLetGo;
      this.#onRebalance?.({ code }, list);
    });
    scheduler.after(owner, scheduler.prng.nextFloat() * POLL_MS, () => this.#serve());
  }

  #serve(): void {
    if (!this.#owesAnswer) this.#events.shift()?.();
  }

  #answered(): void {
    if (!this.#owesAnswer) return;
    this.#owesAnswer = false;
    const { scheduler, owner } = this.#parts;
    for (let waiting = this.#events.length; waiting > 0; waiting -= 1) {
      scheduler.after(owner, scheduler.prng.nextFloat() * POLL_MS, () => this.#serve());
    }
  }

  /** Put out of the group while it was away: it is told so, and joins again once it has let go. */
  noteEvicted(partitions: readonly number[]): void {
    if (partitions.length > 0) this.#tell(RDKAFKA_ERROR.revokePartitions, partitions);
    else this.#rejoin();
  }

  #rejoin(): void {
    const { group, scheduler, owner } = this.#parts;
    if (!this.#isSubscribed) return;
    scheduler.after(owner, scheduler.prng.nextFloat() * POLL_MS, () => {
      if (this.#isSubscribed) group.join(this.#member);
    });
  }

  /** How it stands, for people. */
  get text(): string {
    const { isIn, isRevoking, owned } = this.#member;
    const places = [...this.#positions].map(([partition, position]) => `${partition}@${position}`).join(',');
    return this.#onRebalance
      ? `in ${isIn} revoking ${isRevoking} to let go ${this.#isToLetGo} owns [${owned.join()}] reads [${places}]`
      : '';
  }

  get member(): Member {
    return this.#member;
  }

  connect(_options: object, done: (error: RdkafkaError | null, metadata: Metadata) => void): void {
    const { broker, owner } = this.#parts;
    const metadata = this.#metadata();
    broker.server.request({ client: owner, work: () => true, failure: () => troubleOf('down') }).then(
      () => {
        this.#isConnected = true;
        done(null, metadata);
      },
      (error: RdkafkaError) => done(error, metadata),
    );
  }

  #metadata(): Metadata {
    const { topic, partitions } = this.#parts.log;
    return { topics: [{ name: topic, partitions: partitions.map((_, id) => ({ id, leader: 1 })) }], brokers: [] };
  }

  getMetadata(_options: object, done: (error: RdkafkaError | null, metadata: Metadata) => void): void {
    const { scheduler, owner } = this.#parts;
    scheduler.after(owner, 0, () => done(null, this.#metadata()));
  }

  queryWatermarkOffsets(
    _topic: string,
    partition: number,
    _timeoutMs: number,
    done: (error: RdkafkaError | null, offsets: WatermarkOffsets) => void,
  ): void {
    const { broker, owner, log } = this.#parts;
    const none = { lowOffset: 0, highOffset: 0 };
    broker.server.request({ client: owner, work: () => log.partitions[partition]?.length ?? 0, failure: () => troubleOf('down') }).then(
      (highOffset) => done(null, { lowOffset: 0, highOffset }),
      (error: RdkafkaError) => done(error, none),
    );
  }

  committed(
    partitions: readonly TopicPartition[],
    timeoutMs: number,
    done: (error: RdkafkaError | null, offsets: readonly TopicPartition[]) => void,
  ): void {
    const { broker, owner } = this.#parts;
    const keyOf = ({ topic, partition }: TopicPartition): string => `${this.#groupName} ${topic} ${partition}`;
    const work = (): TopicPartition[] | typeof WAIT => {
      if (broker.isPending(partitions.map(keyOf))) return WAIT;
      return partitions.map((place) => {
        const offset = broker.groupOffsets.get(keyOf(place));
        return offset === undefined ? place : { ...place, offset };
      });
    };
    broker.server.request({ client: owner, work, failure: () => troubleOf('down'), waitMs: timeoutMs }).then(
      (offsets) => done(null, offsets),
      (error: RdkafkaError) => done(error, []),
    );
  }

  subscribe(): void {
    this.#isSubscribed = true;
    this.#rejoin();
  }

  unsubscribe(): void {
    this.#isSubscribed = false;
    this.#parts.group.leave(this.#member);
  }

  assign(partitions: readonly TopicPartition[]): void {
    const { broker, log } = this.#parts;
    this.#answered();
    this.#positions.clear();
    this.#ended.clear();
    this.#isPaused = false;
    for (const { partition, offset } of partitions) {
      this.#positions.set(partition, offset ?? broker.groupOffsets.get(`${this.#groupName} ${log.topic} ${partition}`) ?? 0);
    }
  }

  unassign(): void {
    const { group } = this.#parts;
    this.#positions.clear();
    if (!this.#isToLetGo) return;
    this.#isToLetGo = false;
    if (this.#member.isIn) group.release(this.#member);
    else this.#rejoin();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
  }

  commit(offsets: readonly TopicPartition[]): void {
    for (const { topic, partition, offset = 0 } of offsets) {
      this.#parts.broker.groupOffsets.set(`${this.#groupName} ${topic} ${partition}`, offset);
    }
  }

  setDefaultConsumeTimeout(timeoutMs: number): void {
    this.#timeoutMs = timeoutMs;
  }

  consume(count: number, done: (error: RdkafkaError | null, messages: readonly Message[]) => void): void {
    const { scheduler, owner } = this.#parts;
    const timeoutMs = this.#timeoutMs;
    let untilMs: number | undefined;
    const look = (): void => {
      untilMs ??= scheduler.clock.wallMs() + timeoutMs;
      const messages = this.#fetch(count);
      if (messages.length > 0 || scheduler.clock.wallMs() >= untilMs) done(null, messages);
      else scheduler.after(owner, scheduler.prng.nextFloat() * POLL_MS, look);
    };
    const isPoolBusy = scheduler.prng.nextBelow(POOL_BUSY_ONE_IN) === 0;
    scheduler.after(owner, isPoolBusy ? scheduler.prng.nextFloat() * POOL_BUSY_MS : 0, look);
  }

  #fetch(count: number): Message[] {
    const { scheduler, log, broker } = this.#parts;
    const messages: Message[] = [];
    if (this.#isPaused || !broker.server.isUp) return messages;
    const limit = Math.min(count, 1 + scheduler.prng.nextBelow(FETCH_MAX));
    const partitions = [...this.#positions.keys()];
    const first = partitions.length === 0 ? 0 : scheduler.prng.nextBelow(partitions.length);
    for (let index = 0; index < partitions.length; index += 1) {
      const partition = partitions[(index + first) % partitions.length]!;
      const source = log.partitions[partition]!;
      let position = this.#positions.get(partition)!;
      for (; position < source.length && messages.length < limit; position += 1) {
        const { offset, value, isPacked } = source[position]!;
        const headers = isPacked ? [{ encoding: PACKED_ENCODING }] : undefined;
        messages.push({ topic: log.topic, partition, offset, value, ...(headers && { headers }) });
        this.#ended.delete(partition);
      }
      this.#positions.set(partition, position);
      if (position === source.length && !this.#ended.has(partition)) {
        this.#ended.add(partition);
        this.#onEnd?.({ topic: log.topic, partition, offset: position });
      }
    }
    return messages;
  }

  disconnect(done: () => void): void {
    const { scheduler, owner } = this.#parts;
    this.#isConnected = false;
    if (this.#isSubscribed) this.unsubscribe();
    scheduler.after(owner, 0, done);
  }

  isConnected(): boolean {
    return this.#isConnected;
  }

  on(event: string, listener: (argument: never) => void): void {
    // A cast: the interface says which listener belongs to this event.
    if (event === 'partition.eof') this.#onEnd = listener as EndListener;
  }
}
