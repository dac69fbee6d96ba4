import { describe, expect, it } from 'vitest';
import { KnobsInvalid, loadConfig } from './load.ts';
import { multiTimeframes } from './stage-rules.ts';

function faultsOf(environment: Record<string, string>, flags: Record<string, string> = {}): readonly string[] {
  try {
    loadConfig({ environment: { KAFKA_BROKER: 'broker:9092', ...environment }, flags });
  } catch (thrown) {
    if (thrown instanceof KnobsInvalid) return thrown.faults;
    throw thrown;
  }
  return [];
}

describe('STAGES', () => {
  it('takes every stage with the other knobs as they are', () => {
    for (const stage of ['all', 'ingest', 'bars1s', 'bars1m', 'multi']) expect(faultsOf({ STAGES: stage }), stage).toEqual([]);
    expect(faultsOf({ STAGES: 'bars1s', SOURCE: 'kafka' })).toEqual([]);
    expect(faultsOf({ STAGES: 'ingest', PUBLISH_TICKS: 'packed' }, { SOURCE: 'replay' })).toEqual([]);
  });

  it('names the nearest stage for one that is not there', () => {
    expect(faultsOf({ STAGES: 'bar1s' })).toEqual([
      "STAGES 'bar1s': expected one of all, ingest, bars1s, bars1m, multi; did you mean bars1s?",
    ]);
    expect(faultsOf({ STAGES: 'everything' })).toEqual(["STAGES 'everything': expected one of all, ingest, bars1s, bars1m, multi"]);
  });

  it('refuses what has no Kafka to be joined by', () => {
    expect(faultsOf({ STAGES: 'ingest', KAFKA_BROKER: '' })).toEqual([
      'STAGES ingest: needs KAFKA_BROKER: no other program sees the embedded mock cluster',
    ]);
    expect(faultsOf({ STAGES: 'bars1s', KAFKA: 'off' })).toEqual(['STAGES bars1s: stages are joined by Kafka, and KAFKA is off']);
  });

  it('refuses a source that the stage does not read', () => {
    expect(faultsOf({ STAGES: 'ingest', SOURCE: 'kafka' })).toEqual([
      'STAGES ingest: SOURCE kafka would be read from the topic that it writes; expected sim or replay',
    ]);
    expect(faultsOf({ STAGES: 'bars1s' }, { SOURCE: 'replay' })).toEqual([
      'STAGES bars1s: reads a topic, and SOURCE is replay; expected kafka, or none',
    ]);
    expect(faultsOf({ STAGES: 'bars1s', SOURCE: 'kafka', MATCHER: 'on' })).toHaveLength(1);
  });

  it('refuses timeframes that the stage does not make, and late bars beside', () => {
    expect(faultsOf({ STAGES: 'bars1m', TIMEFRAMES: '1s,30s' })).toEqual(['STAGES bars1m: TIMEFRAMES 1s,30s has no 1m']);
    expect(faultsOf({ STAGES: 'multi', TIMEFRAMES: '1s,1m' })).toEqual([
      'STAGES multi: TIMEFRAMES 1s,1m has none that is made of 1m bars, such as 3m',
    ]);
    expect(faultsOf({ STAGES: 'multi', LATE_POLICY: 'side' })).toHaveLength(1);
  });

  it('multi makes whole minutes above one', () => {
    expect(multiTimeframes('1s,30s,1m,90s,3m, 1h,1d')).toEqual(['3m', '1h', '1d']);
  });
});
