/** Opens the source that a run names. */
import { existsSync, statSync } from 'node:fs';
import { type Clock, type Pause, SYSTEM_PAUSE } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { HealthPart } from '../gateway/http.ts';
import { createKafkaSource } from '../ingest/kafka.ts';
import { createKafkaReader } from '../ingest/kafka-reader.ts';
import { FORMATS } from '../ingest/replay/formats.ts';
import { createReplaySource } from '../ingest/replay.ts';
import { createSimSource } from '../ingest/sim.ts';
import type { Source } from '../ingest/source.ts';
import type { Letters } from './letters.ts';
import type { RunOptions } from './run.ts';
import type { Servers } from './servers.ts';
import { formatCount, formatRate } from './text.ts';

/** Where sources come from, for the life of the process. A session takes a fresh source from it. */
export interface SourceHost {
  readonly name: string;
  readonly isLive: boolean;
  /** True when the source shares its partitions with other engines, so that each of them is a lane of its own. */
  readonly isLaned: boolean;
  /** For people. */
  readonly title: string;
  /** Joins what there is to join. */
  start(): Promise<void>;
  /** The lanes that a session would own now; none while another engine has them all. */
  lanes(): readonly number[];
  /** A source for these lanes. */
  open(letters: Letters, lanes: readonly number[]): Source;
  /** The session is over: its lanes may go to others. */
  endSession(): void;
  /** How the source's own connection stands, where it has one. */
  health(): HealthPart | undefined;
  /** What the summary should say beside its numbers. */
  notes(): readonly string[];
  close(): Promise<void>;
}

/**
 * Refuses what needs no server to be refused, before any is started.
 * @throws EngineError NO_FILES, FILE_UNREADABLE, FORMAT_UNKNOWN
 */
export function checkSource({ loaded: { config }, files, format }: RunOptions): void {
  if (config.SOURCE !== 'replay') return;
  if (files.length === 0) {
    throw new EngineError('NO_FILES', 'replay: no files; run npm start -- replay FILE... (formats: docs/reference/replay-formats.md)');
  }
  if (format !== undefined && !FORMATS.some(({ name }) => name === format)) {
    throw new EngineError('FORMAT_UNKNOWN', `--format ${format}: expected one of ${FORMATS.map(({ name }) => name).join(', ')}`);
  }
  for (const file of files) {
    if (!existsSync(file)) throw new EngineError('FILE_UNREADABLE', `replay: ${file} does not exist; check the path`);
    if (!statSync(file).isFile())
      throw new EngineError('FILE_UNREADABLE', `replay: ${file} is not a file; name the files in it one by one`);
  }
}

export function openSourceHost(options: RunOptions, servers: Servers, clock: Clock, pause: Pause = SYSTEM_PAUSE): SourceHost {
  const { config } = options.loaded;
  switch (config.SOURCE) {
    case 'sim': {
      const rate = config.SIM_SYMBOLS * config.SIM_BASE_TPS;
      const title = `simulator, ${config.SIM_SYMBOLS} symbols, ${formatRate(rate)} ticks/s (seed ${config.SIM_SEED})`;
      return singleHost({ name: 'sim', isLive: true, title, open: () => createSimSource(config, clock), notes: () => [] });
    }
    case 'replay':
      return replayHost(options, clock);
    case 'kafka':
      return kafkaHost(options, servers, { clock, pause });
  }
}

/** A source that no other engine shares: one lane. */
function singleHost(parts: Pick<SourceHost, 'name' | 'isLive' | 'title' | 'notes'> & { open(): Source }): SourceHost {
  return {
    ...parts,
    isLaned: false,
    start: async () => undefined,
    lanes: () => [0],
    endSession: () => undefined,
    health: () => undefined,
    close: async () => undefined,
  };
}

function replayHost(options: RunOptions, clock: Clock): SourceHost {
  const { config } = options.loaded;
  let ignoredCount = (): number => 0;
  return singleHost({
    name: 'replay',
    isLive: false,
    title: `replay of ${options.files.length} files at ${config.REPLAY_SPEED === 'max' ? 'full speed' : `${config.REPLAY_SPEED} x real time`}`,
    open() {
      const source = createReplaySource({
        files: options.files,
        speed: config.REPLAY_SPEED === 'max' ? 'max' : Number(config.REPLAY_SPEED),
        clock,
        ...(options.format === undefined ? {} : { format: options.format }),
        ...(options.symbol === undefined ? {} : { symbol: options.symbol }),
      });
      ignoredCount = () => source.ignoredCount;
      return source;
    },
    notes: () => (ignoredCount() > 0 ? [`${formatCount(ignoredCount())} lines of the files were not ticks (other frames, headers)`] : []),
  });
}

function kafkaHost({ loaded: { config } }: RunOptions, servers: Servers, time: { clock: Clock; pause: Pause }): SourceHost {
  const { clock } = time;
  const { kafka } = servers;
  if (!kafka) throw new EngineError('KAFKA_UNAVAILABLE', `SOURCE kafka: Kafka is ${servers.kafkaLabel}`);
  const topic = `${config.TOPIC_PREFIX}${config.TICKS_TOPIC}`;
  const reader = createKafkaReader({ library: kafka.library, brokers: kafka.brokers, topic, group: config.KAFKA_GROUP, ...time });
  let letterCount = 0;
  let isUp = false;
  let sinceMs = clock.wallMs();
  return {
    name: 'kafka',
    isLive: true,
    isLaned: true,
    title: `Kafka topic ${topic}, group ${config.KAFKA_GROUP}`,
    start: () => reader.join(),
    lanes() {
      reader.pump();
      const failure = reader.takeFailure();
      if (failure) throw failure;
      return reader.assigned ?? [];
    },
    open: (letters, lanes) =>
      createKafkaSource({
        reader,
        clock,
        partitions: lanes,
        onRejected(rejected) {
          letterCount += 1;
          letters.add(rejected);
        },
      }),
    endSession: () => reader.end(),
    /** Since when is seen here: the reader only knows how it stands. */
    health() {
      if (reader.health.isUp !== isUp) {
        isUp = reader.health.isUp;
        sinceMs = clock.wallMs();
      }
      return { name: 'source', isUp, detail: reader.health.detail, sinceMs };
    },
    notes: () => (letterCount > 0 ? [`${letterCount} records went to ${config.TOPIC_PREFIX}dlq`] : []),
    close: () => reader.close(),
  };
}
