/** Opens the source that a run names. */
import { existsSync, statSync } from 'node:fs';
import type { Clock } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import { FORMATS } from '../ingest/replay/formats.ts';
import { createReplaySource, type ReplaySource } from '../ingest/replay.ts';
import { createSimSource } from '../ingest/sim.ts';
import { besideHost, directHost } from './direct-host.ts';
import { kafkaHost } from './kafka-host.ts';
import { logFirstHost } from './log-first-host.ts';
import type { RunOptions } from './run.ts';
import type { Servers } from './servers.ts';
import { type HostParts, type LiveSource, type SourceHost, singleHost } from './source-host.ts';
import { formatCount, formatRate } from './text.ts';

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

/** @throws EngineError KAFKA_UNAVAILABLE where the source needs Kafka and there is none */
export function openSourceHost(options: RunOptions, servers: Servers, system: Pick<HostParts, 'clock' | 'log' | 'pause'>): SourceHost {
  const { clock } = system;
  const { config } = options.loaded;
  const parts: HostParts = { config, servers, ...system };
  if (config.STAGES !== 'all') return kafkaHost(parts);
  switch (config.SOURCE) {
    case 'sim':
      if (config.INGEST_MODE === 'log-first') return logFirstHost(parts, simSource(parts));
      return config.PUBLISH_TICKS === 'off' ? directHost(parts, simSource(parts)) : besideHost(parts, simSource(parts));
    case 'replay':
      return replayHost(options, clock);
    case 'kafka':
      return kafkaHost(parts);
  }
}

/** The source of the stage `ingest`: what it hands over is written to the ticks topic. */
export function sourceToLog(options: RunOptions, clock: Clock): LiveSource {
  const { config } = options.loaded;
  if (config.SOURCE !== 'replay') return simSource({ config, clock });
  return { name: 'replay', title: replayTitle(options), open: () => openReplay(options, clock) };
}

function simSource({ config, clock }: Pick<HostParts, 'config' | 'clock'>): LiveSource {
  const rate = config.SIM_SYMBOLS * config.SIM_BASE_TPS;
  return {
    name: 'sim',
    title: `simulator, ${config.SIM_SYMBOLS} symbols, ${formatRate(rate)} ticks/s (seed ${config.SIM_SEED})`,
    open: () => createSimSource(config, clock),
  };
}

function replayTitle({ files, loaded: { config } }: RunOptions): string {
  return `replay of ${files.length} files at ${config.REPLAY_SPEED === 'max' ? 'full speed' : `${config.REPLAY_SPEED} x real time`}`;
}

function openReplay({ files, format, symbol, loaded: { config } }: RunOptions, clock: Clock): ReplaySource {
  return createReplaySource({
    files,
    speed: config.REPLAY_SPEED === 'max' ? 'max' : Number(config.REPLAY_SPEED),
    clock,
    ...(format === undefined ? {} : { format }),
    ...(symbol === undefined ? {} : { symbol }),
  });
}

function replayHost(options: RunOptions, clock: Clock): SourceHost {
  let ignoredCount = (): number => 0;
  return singleHost({
    name: 'replay',
    isLive: false,
    crashLoss: '',
    title: replayTitle(options),
    open() {
      const source = openReplay(options, clock);
      ignoredCount = () => source.ignoredCount;
      return source;
    },
    notes: () => (ignoredCount() > 0 ? [`${formatCount(ignoredCount())} lines of the files were not ticks (other frames, headers)`] : []),
  });
}
