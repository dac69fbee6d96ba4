/** Opens the source that a run names. */
import { existsSync, statSync } from 'node:fs';
import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { HealthPart } from '../gateway/http.ts';
import { createKafkaSource } from '../ingest/kafka.ts';
import { FORMATS } from '../ingest/replay/formats.ts';
import { createReplaySource } from '../ingest/replay.ts';
import { createSimSource } from '../ingest/sim.ts';
import type { Source } from '../ingest/source.ts';
import { type DeadLetter, deadLetterOf } from '../sinks/kafka/dlq.ts';
import type { RunOptions } from './run.ts';
import type { Servers } from './servers.ts';
import { formatCount, formatRate } from './text.ts';

export interface OpenedSource {
  readonly source: Source;
  /** For people. */
  readonly title: string;
  /** How the source's own connection stands, where it has one. */
  health(): HealthPart | undefined;
  /** What the summary should say beside its numbers. */
  notes(): readonly string[];
  /** Dead letters since the last call. */
  takeLetters(): readonly DeadLetter[];
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

export function openSource(options: RunOptions, servers: Servers, clock: Clock): OpenedSource {
  const { config } = options.loaded;
  switch (config.SOURCE) {
    case 'sim': {
      const rate = config.SIM_SYMBOLS * config.SIM_BASE_TPS;
      return {
        source: createSimSource(config, clock),
        title: `simulator, ${config.SIM_SYMBOLS} symbols, ${formatRate(rate)} ticks/s (seed ${config.SIM_SEED})`,
        health: () => undefined,
        notes: () => [],
        takeLetters: () => [],
        close: async () => undefined,
      };
    }
    case 'replay': {
      const source = createReplaySource({
        files: options.files,
        speed: config.REPLAY_SPEED === 'max' ? 'max' : Number(config.REPLAY_SPEED),
        clock,
        ...(options.format === undefined ? {} : { format: options.format }),
        ...(options.symbol === undefined ? {} : { symbol: options.symbol }),
      });
      return {
        source,
        title: `replay of ${options.files.length} files at ${config.REPLAY_SPEED === 'max' ? 'full speed' : `${config.REPLAY_SPEED} x real time`}`,
        health: () => undefined,
        notes: () =>
          source.ignoredCount > 0 ? [`${formatCount(source.ignoredCount)} lines of the files were not ticks (other frames, headers)`] : [],
        takeLetters: () => [],
        close: async () => undefined,
      };
    }
    case 'kafka':
      return openKafkaSource(options, servers, clock);
  }
}

function openKafkaSource({ loaded: { config } }: RunOptions, servers: Servers, clock: Clock): OpenedSource {
  const { kafka } = servers;
  if (!kafka) throw new EngineError('KAFKA_UNAVAILABLE', `SOURCE kafka: Kafka is ${servers.kafkaLabel}`);
  const letters: DeadLetter[] = [];
  let lettersTaken = 0;
  const topic = `${config.TOPIC_PREFIX}${config.TICKS_TOPIC}`;
  const source = createKafkaSource({
    library: kafka.library,
    brokers: kafka.brokers,
    topic,
    group: config.KAFKA_GROUP,
    clock,
    onRejected: (rejected) => letters.push(deadLetterOf(rejected, clock.wallMs())),
  });
  let isUp = false;
  let sinceMs = clock.wallMs();
  /** Since when is seen here: the source only knows how it stands. */
  const health = (): HealthPart => {
    if (source.health.isUp !== isUp) {
      isUp = source.health.isUp;
      sinceMs = clock.wallMs();
    }
    return { name: 'source', isUp, detail: source.health.detail, sinceMs };
  };
  return {
    source,
    title: `Kafka topic ${topic}, group ${config.KAFKA_GROUP}`,
    notes: () => (lettersTaken > 0 ? [`${lettersTaken} records went to ${config.TOPIC_PREFIX}dlq`] : []),
    health,
    takeLetters() {
      lettersTaken += letters.length;
      return letters.splice(0);
    },
    close: () => source.close(),
  };
}
