/** What a single stage cannot be combined with. */
import type { Config } from './knobs.ts';

const MINUTE_UNITS: Readonly<Record<string, number>> = { s: 1 / 60, m: 1, h: 60, d: 1440 };

/** Of `TIMEFRAMES`, those that the stage `multi` builds out of 1 m bars. */
export function multiTimeframes(timeframes: string): string[] {
  return timeframes
    .split(',')
    .map((name) => name.trim())
    .filter((name) => {
      const minutes = Number(name.slice(0, -1)) * (MINUTE_UNITS[name.slice(-1)] ?? Number.NaN);
      return minutes > 1 && Number.isInteger(minutes);
    });
}

/** Faults of `STAGES` with other knobs. `origins`: where each knob was set, `default` where it was not. */
export function wrongStages(config: Config, origins: ReadonlyMap<string, string>): string[] {
  const { STAGES: stage, KAFKA, KAFKA_BROKER, MATCHER, INGEST_MODE, SOURCE } = config;
  if (stage === 'all') return [];
  const faults: string[] = [];
  const refuse = (text: string): void => void faults.push(`STAGES ${stage}: ${text}`);
  if (KAFKA === 'off') refuse('stages are joined by Kafka, and KAFKA is off');
  else if (KAFKA_BROKER === '') refuse('needs KAFKA_BROKER: no other program sees the embedded mock cluster');
  if (MATCHER === 'on') refuse('the exchange (MATCHER on) runs with STAGES all');
  if (INGEST_MODE === 'log-first') refuse('INGEST_MODE log-first is STAGES ingest and the rest in one process; leave it at direct');
  if (stage === 'ingest') {
    if (SOURCE === 'kafka') refuse('SOURCE kafka would be read from the topic that it writes; expected sim or replay');
    return faults;
  }
  if (SOURCE !== 'kafka' && origins.get('SOURCE') !== 'default') refuse(`reads a topic, and SOURCE is ${SOURCE}; expected kafka, or none`);
  if (config.PUBLISH_TICKS !== 'off') refuse(`writes no ticks, and PUBLISH_TICKS is ${config.PUBLISH_TICKS}; expected off`);
  return [...faults, ...wrongBars(config)];
}

function wrongBars({ STAGES: stage, TIMEFRAMES, LATE_POLICY }: Config): string[] {
  if (stage === 'bars1s') return [];
  const faults: string[] = [];
  const names = TIMEFRAMES.split(',').map((name) => name.trim());
  if (stage === 'bars1m' && !names.includes('1m')) faults.push(`STAGES bars1m: TIMEFRAMES ${TIMEFRAMES} has no 1m`);
  if (stage === 'multi' && multiTimeframes(TIMEFRAMES).length === 0) {
    faults.push(`STAGES multi: TIMEFRAMES ${TIMEFRAMES} has none that is made of 1m bars, such as 3m`);
  }
  if (LATE_POLICY === 'side') faults.push(`STAGES ${stage}: LATE_POLICY side is for ticks; a bar that comes late always amends`);
  return faults;
}
