/** Where sources come from. */
import type { Config } from '../../config/knobs.ts';
import type { Clock, Pause } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { HealthPart } from '../gateway/http.ts';
import type { FetchSnapshot } from '../gateway/metrics.ts';
import type { Source } from '../ingest/source.ts';
import type { Letters } from './letters.ts';
import type { KafkaServer, Servers } from './servers.ts';

/** Where sources come from, for the life of the process. A session takes a fresh source from it. */
export interface SourceHost {
  readonly name: string;
  readonly isLive: boolean;
  /** True when the source shares its partitions with other engines, so that each of them is a lane of its own. */
  readonly isLaned: boolean;
  /** For people. */
  readonly title: string;
  /** What a crash of the process loses, for people; empty where everything can be read again. */
  readonly crashLoss: string;
  /** Joins what there is to join. */
  start(): Promise<void>;
  /** The lanes that a session would own now; none while another engine has them all. */
  lanes(): readonly number[];
  /** A source for these lanes. */
  open(letters: Letters, lanes: readonly number[]): Source;
  /** A source for these lanes that ends at the given offsets, to read again what has been read before; what it refuses was told then. */
  openUntil(offsets: ReadonlyMap<number, bigint>, lanes: readonly number[]): Source;
  /** The session is over: its lanes may go to others. */
  endSession(): void;
  /** How the source's own connections stand, where it has some. */
  health(): readonly HealthPart[];
  /** What this process writes to the ticks topic, where it does. */
  feed(): FeedCounts | undefined;
  /** What reading from Kafka counts, where the source does. */
  fetch(): FetchSnapshot | undefined;
  /** A stop was asked for: nothing more is written to the ticks topic. Returns at once. */
  requestStop(): void;
  /** Called when the sessions are over: waits, within a limit, until what was written to the ticks topic is acknowledged. */
  settle(): Promise<void>;
  /** What the summary should say beside its numbers. */
  notes(): readonly string[];
  close(): Promise<void>;
}

/** Ticks written to the ticks topic by the process that also makes bars of them. */
export interface FeedCounts {
  readonly written: number;
  readonly acknowledged: number;
  /** Ticks that were to be published beside and were not. */
  readonly dropped: number;
  /** Messages that had to be sent again by another producer. */
  readonly failedDeliveries: number;
  /** How far what writes is behind its schedule, in ms. */
  readonly lagMs: number;
  /** How much of the source is not in the log yet, in ms; 0 where the rings are fed at once. */
  readonly unloggedMs: number;
}

export interface HostParts {
  readonly config: Config;
  readonly servers: Servers;
  readonly clock: Clock;
  readonly log: Logger;
  /** The system's unless given. */
  readonly pause?: Pause;
}

/** A source without offsets. Each session of a direct one opens it anew. */
export interface LiveSource {
  readonly name: string;
  /** For people. */
  readonly title: string;
  open(): Source;
}

/** A source that no other engine shares: one lane. */
export function singleHost(
  parts: Pick<SourceHost, 'name' | 'isLive' | 'title' | 'crashLoss' | 'notes'> & { open(): Source } & Partial<SourceHost>,
): SourceHost {
  return {
    isLaned: false,
    start: async () => undefined,
    lanes: () => [0],
    openUntil() {
      throw new EngineError('REBUILD_IMPOSSIBLE', `source ${parts.name}: cannot be read again up to an offset`);
    },
    endSession: () => undefined,
    health: () => [],
    feed: () => undefined,
    fetch: () => undefined,
    requestStop: () => undefined,
    settle: async () => undefined,
    close: async () => undefined,
    ...parts,
  };
}

/** @throws EngineError KAFKA_UNAVAILABLE */
export function requireKafka({ servers }: HostParts, what: string): KafkaServer {
  if (!servers.kafka) throw new EngineError('KAFKA_UNAVAILABLE', `${what}: Kafka is ${servers.kafkaLabel}`);
  return servers.kafka;
}
