import { expect, it } from 'vitest';
import { readPerfOptions } from './options.ts';

it('takes the names of the contract from the environment, and its own settings where nothing is said', () => {
  const options = readPerfOptions([], { PERF_SCENARIO: 'catch-up', LOADS: '50, 5000', WORKERS: '1,2,4', STAGE_SEC: '2.5', QUEUE: '' });
  expect(options).toMatchObject({ scenario: 'catch-up', loads: [50, 5000], workers: [1, 2, 4], stageSec: 2.5, queue: 65_536, repeats: 3 });
});

it('lets a flag win over the environment', () => {
  expect(readPerfOptions(['--scenario', 'pipeline'], { PERF_SCENARIO: 'catch-up' }).scenario).toBe('pipeline');
});

it('says of a scenario that is not there what is missing', () => {
  expect(() => readPerfOptions(['--scenario', 'paper-flow'], {})).toThrow(
    /'paper-flow': not built: no strategy sends orders .*; expected one of/,
  );
  expect(() => readPerfOptions(['--scenario', 'kernels'], {})).toThrow(/'kernels': expected one of/);
});

it('refuses what needs servers where there are none', () => {
  const flags = ['--search', '--peer', 'go=./bars', '--sabotage', 'stall'];
  expect(() => readPerfOptions(['--scenario', 'kernel', ...flags], {})).toThrow(/--search, --sabotage, --peer: not with .*'kernel'/);
});

it('refuses brokers that want TLS or a user, where there are brokers', () => {
  const environment = { KAFKA_SECURITY_PROTOCOL: 'sasl_ssl' };
  expect(() => readPerfOptions([], environment)).toThrow(/KAFKA_SECURITY_PROTOCOL 'sasl_ssl'.*expected plaintext/);
  expect(readPerfOptions([], { KAFKA_SECURITY_PROTOCOL: 'plaintext' }).scenario).toBe('pipeline');
  expect(readPerfOptions(['--scenario', 'kernel'], environment).scenario).toBe('kernel');
});

it('names everything that is wrong at once', () => {
  const wrong = { WORKERS: '0', LOADS: 'many', REPEATS: '1.5', PERF_ENCODING: 'xml', STAGE_SEC: '1' };
  expect(() => readPerfOptions([], wrong)).toThrow(/WORKERS.*\n.*LOADS.*\n.*REPEATS.*\n.*STAGE_SEC.*\n.*PERF_ENCODING/s);
});

it('refuses a peer without a command, and flags that it does not know', () => {
  expect(() => readPerfOptions(['--peer', 'go'], {})).toThrow(/NAME=COMMAND/);
  expect(() => readPerfOptions(['--lods'], {})).toThrow(/--lods/);
  expect(readPerfOptions(['--peer', 'go=./bars --fast=1'], {}).peerCommands).toEqual([{ name: 'go', command: './bars --fast=1' }]);
});

it('gives a scenario that is a load of its own that load, unless told otherwise', () => {
  const load = { loads: [500], baseTps: 20, backlogTicks: 5_000_000, encoding: 'both' };
  expect(readPerfOptions(['--scenario', 'ingest-kafka'], {})).toMatchObject(load);
  expect(readPerfOptions([], { PERF_SCENARIO: 'ingest-kafka', PERF_ENCODING: 'packed' })).toMatchObject({ ...load, encoding: 'packed' });
  expect(readPerfOptions([], {})).toMatchObject({ loads: [50, 200, 500], baseTps: 10, encoding: 'json' });
});

it('records the lane of the engine, where there is Kafka', () => {
  expect(readPerfOptions([], {}).kafkaLane).toBe('direct');
  expect(readPerfOptions([], { KAFKA_LANE: 'librdkafka' }).kafkaLane).toBe('librdkafka');
  expect(readPerfOptions(['--scenario', 'kernel'], { KAFKA_LANE: 'direct' }).kafkaLane).toBeUndefined();
  expect(() => readPerfOptions([], { KAFKA_LANE: 'quick' })).toThrow(/KAFKA_LANE: expected one of auto, direct, librdkafka/);
});

it('takes commands of single stages by the variables of the contract, and then runs them as one more runtime', () => {
  const options = readPerfOptions(['--peer', 'go=./bars'], { INGEST_CMD: './feed', BARS1S_CMD: './seconds --fast', BARAGG_CMD: '' });
  expect(options.stageCommands).toEqual({ ingest: './feed', bars1s: './seconds --fast' });
  expect(options.peers).toEqual(['go', 'stages']);
  expect(readPerfOptions([], {}).peers).toEqual([]);
  expect(() => readPerfOptions(['--scenario', 'catch-up'], { INGEST_CMD: './feed' })).toThrow(/INGEST_CMD '\.\/feed': scenario catch-up/);
  expect(() => readPerfOptions(['--peer', 'stages=./bars'], {})).toThrow(/BARAGG_CMD/);
});

it('looks less often at engines whose pauses are compared', () => {
  expect(readPerfOptions(['--sabotage', 'stall'], {}).sampleSec).toBe(4);
  expect(readPerfOptions(['--sabotage', 'stall'], { SAMPLE_SEC: '2' }).sampleSec).toBe(2);
});
