import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../config/load.ts';
import { isIngestConserved, renderIngestSummary } from './ingest-summary.ts';
import { stageLine, stageOf, stageTitle } from './stage.ts';

function configOf(environment: Record<string, string>) {
  return loadConfig({ environment: { KAFKA_BROKER: 'broker:9092', TOPIC_PREFIX: 'x.', KAFKA_GROUP: 'g', ...environment } }).config;
}

describe('stageOf', () => {
  it('is the whole engine unless one is named', () => {
    const stage = stageOf(configOf({}));
    expect(stage).toMatchObject({ source: 'kafka', topic: 'x.ticks', group: 'g', input: undefined });
    expect(stage.timeframes.map(({ name }) => name)).toEqual(['1s', '1m', '3m', '5m', '15m']);
    expect(stageLine(configOf({}))).toBeUndefined();
  });

  it('has a source, a group, an input and timeframes of its own', () => {
    const found = ['bars1s', 'bars1m', 'multi'].map((name) => {
      const { source, topic, group, timeframes, input } = stageOf(configOf({ STAGES: name, TIMEFRAMES: '1s,30s,1m,3m,1h' }));
      return [source, topic, group, input?.name, timeframes.map((timeframe) => timeframe.name).join()];
    });
    expect(found).toEqual([
      ['kafka.bars1s', 'x.ticks', 'g.bars1s', undefined, '1s'],
      ['kafka.bars1m', 'x.bars.1s', 'g.bars1m', '1s', '1m'],
      ['kafka.multi', 'x.bars.1m', 'g.multi', '1m', '3m,1h'],
    ]);
  });

  it('says what it reads and writes', () => {
    const config = configOf({ STAGES: 'multi' });
    expect(stageTitle(stageOf(config), config.TOPIC_PREFIX)).toBe(
      'stage multi, x.bars.1m to x.bars.3m, x.bars.5m, x.bars.15m and bars_3m, bars_5m, bars_15m',
    );
    expect(stageLine(config)).toEqual({ flow: 'x.bars.1m > bars.3m bars.5m bars.15m', input: '1m' });
  });
});

describe('the summary of ingest', () => {
  const COUNTS = { offered: 10, accepted: 8, acknowledged: 8, refused: { quantityOffLot: 2 } };
  const SUMMARY = {
    ...COUNTS,
    ...{ stage: 'ingest', source: 's', topic: 'ticks', reason: 'stopped', elapsedSec: 1, messages: 3, failedDeliveries: 0 },
    ...{ replacedProducers: 0, isConserved: true },
  };

  it('is conserved when everything offered is acknowledged or refused', () => {
    expect(isIngestConserved(COUNTS)).toBe(true);
    expect(isIngestConserved({ ...COUNTS, acknowledged: 7 })).toBe(false);
    expect(isIngestConserved({ ...COUNTS, refused: {} })).toBe(false);
  });

  it('says what is not acknowledged', () => {
    expect(renderIngestSummary(SUMMARY, 'stage ingest').join('\n')).toMatch(/acknowledged by Kafka +8\n +dropped: quantityOffLot +2/);
    const text = renderIngestSummary({ ...SUMMARY, acknowledged: 5, isConserved: false }, 'stage ingest').join('\n');
    expect(text).toMatch(/Conservation: NOT CONSERVED/);
    expect(text).toMatch(/note: 3 ticks were NOT acknowledged/);
  });
});
