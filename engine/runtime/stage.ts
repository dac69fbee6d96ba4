/**
 * What a single stage reads and writes. A stage has tables and topics of the contract and a name of its own in `lanes` and markers, so that
 * the stages of one namespace share a schema and never a lane.
 *
 *   ingest ─▶ ticks ─▶ bars1s ─▶ bars.1s ─▶ bars1m ─▶ bars.1m ─▶ multi ─▶ bars.3m, bars.5m, bars.15m
 */
import type { Config } from '../../config/knobs.ts';
import { multiTimeframes } from '../../config/stage-rules.ts';
import { parseTimeframes, type Timeframe } from '../market/timeframes.ts';

export interface Stage {
  readonly name: Config['STAGES'];
  /** Name of its source in the tables. */
  readonly source: string;
  /** Topic that it reads, with prefix. */
  readonly topic: string;
  /** The consumer group: stages read different topics, so each has one of its own. */
  readonly group: string;
  /** What it builds. */
  readonly timeframes: readonly Timeframe[];
  /** The bars that it reads; undefined where it reads ticks. */
  readonly input: Timeframe | undefined;
}

const SECOND: Timeframe = { name: '1s', seconds: 1 };
const MINUTE: Timeframe = { name: '1m', seconds: 60 };

/** @throws EngineError TIMEFRAMES_INVALID */
export function stageOf(config: Config): Stage {
  const { STAGES: name, TOPIC_PREFIX: prefix, KAFKA_GROUP } = config;
  const ticks = `${prefix}${config.TICKS_TOPIC}`;
  const timeframes = parseTimeframes(config.TIMEFRAMES);
  const single = { name, source: `kafka.${name}`, group: `${KAFKA_GROUP}.${name}` };
  switch (name) {
    case 'all':
    case 'ingest':
      return { name, source: 'kafka', topic: ticks, group: KAFKA_GROUP, timeframes, input: undefined };
    case 'bars1s':
      return { ...single, topic: ticks, timeframes: [SECOND], input: undefined };
    case 'bars1m':
      return { ...single, topic: `${prefix}bars.1s`, timeframes: [MINUTE], input: SECOND };
    case 'multi': {
      const names = multiTimeframes(config.TIMEFRAMES);
      const built = timeframes.filter((timeframe) => names.includes(timeframe.name));
      return { ...single, topic: `${prefix}bars.1m`, timeframes: built, input: MINUTE };
    }
  }
}

/** For people: what is read and what is written. */
export function stageTitle({ name, topic, timeframes }: Stage, prefix: string): string {
  const names = timeframes.map((timeframe) => timeframe.name);
  const tables = names.map((timeframe) => `bars_${timeframe}`).join(', ');
  return `stage ${name}, ${topic} to ${names.map((timeframe) => `${prefix}bars.${timeframe}`).join(', ')} and ${tables}`;
}

/** How a single stage is shown while it runs. */
export interface StageLine {
  /** What the status line begins with. */
  readonly flow: string;
  /** Timeframe of the bars that it reads. */
  readonly input: string | undefined;
}

/** Undefined for the whole engine. */
export function stageLine(config: Config): StageLine | undefined {
  if (config.STAGES === 'all') return undefined;
  const { topic, timeframes, input } = stageOf(config);
  return { flow: `${topic} > ${timeframes.map(({ name }) => `bars.${name}`).join(' ')}`, input: input?.name };
}
