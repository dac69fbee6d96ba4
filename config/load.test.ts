import { describe, expect, it } from 'vitest';
import { KnobsInvalid, loadConfig } from './load.ts';

function faultsOf(environment: Record<string, string>, envFile?: string): readonly string[] {
  try {
    loadConfig({ environment, ...(envFile === undefined ? {} : { envFile }) });
  } catch (thrown) {
    if (thrown instanceof KnobsInvalid) return thrown.faults;
    throw thrown;
  }
  return [];
}

describe('loadConfig', () => {
  it('takes flags over the environment over .env over defaults and says which', () => {
    const { config, origins } = loadConfig({
      flags: { FLUSH_MS: '50' },
      environment: { FLUSH_MS: '60', WORKERS: '3' },
      envFile: 'WORKERS=4\nQUEUE=2048\n',
    });
    expect([config.FLUSH_MS, config.WORKERS, config.QUEUE, config.IDLE_MS]).toEqual([50, 3, 2048, 1000]);
    expect(['FLUSH_MS', 'WORKERS', 'QUEUE', 'IDLE_MS'].map((name) => origins.get(name))).toEqual([
      'flag',
      'environment',
      '.env',
      'default',
    ]);
  });

  it('reports every fault at once, with limits and the nearest name', () => {
    const faults = faultsOf({ WORKERS: '0', QUEUE: '1000', WORKRES: '2', SOURCE: 'simulator', FLUSH_MS: '1.5' });
    expect(new Set(faults)).toEqual(
      new Set([
        'WORKRES: no such knob; did you mean WORKERS?',
        "WORKERS '0': expected a whole number, 1 to 64",
        "QUEUE '1000': expected a power of two, 1024 to 1048576",
        "FLUSH_MS '1.5': expected a whole number, 10 to 60000",
        "SOURCE 'simulator': expected one of sim, replay, kafka",
      ]),
    );
  });

  it('refuses any unknown name in .env, and only near or prefixed ones in the environment', () => {
    expect(faultsOf({}, 'COLOUR=red')).toEqual(['COLOUR: no such knob']);
    expect(faultsOf({ COLOUR: 'red' })).toEqual([]);
    expect(faultsOf({ SIM_SPEED: '2' })).toEqual(['SIM_SPEED: no such knob; did you mean SIM_SEED?']);
  });

  it('understands the older names of the contract', () => {
    expect(loadConfig({ environment: { SIM_INTERVAL_MS: '20' } }).config.SIM_STEP_MS).toBe(20);
  });

  it('reports a wrong text together with a wrong number, and hides what may hold a password', () => {
    expect(faultsOf({ WORKERS: 'x', PG_SCHEMA: 'Bad-X', POSTGRES_URL: 'user:hunter2' })).toEqual([
      "WORKERS 'x': expected a whole number, 1 to 64",
      "PG_SCHEMA 'Bad-X': expected lower case letters, digits and _, at most 63, not starting with a digit",
      'POSTGRES_URL (hidden): expected postgres://user:password@host:port/database',
    ]);
  });

  it('checks relations between knobs', () => {
    expect(faultsOf({ SIM_VOL_MIN: '9' })).toEqual(['SIM_VOL_MIN 9: expected at most SIM_VOL_MAX, 5']);
    expect(faultsOf({ LATENESS_MS: '600000', SYMBOLS_MAX: '65536' })[0]).toContain('open buckets a shard');
  });

  it('refuses a log that would not survive a crash, and to publish ticks of what is not ours, all at once', () => {
    const why = 'ticks in the log have to survive a crash';
    const embedded = `INGEST_MODE log-first: needs KAFKA_BROKER, the embedded mock cluster is volatile: ${why}`;
    const off = `INGEST_MODE log-first: needs Kafka, KAFKA is off: ${why}`;
    const broker = { KAFKA_BROKER: 'k:9092' };
    expect(faultsOf({ INGEST_MODE: 'log-first', ...broker })).toEqual([]);
    expect(faultsOf({ INGEST_MODE: 'log-first' })).toEqual([embedded]);
    expect(faultsOf({ INGEST_MODE: 'log-first', KAFKA: 'off', ...broker })).toEqual([off]);
    for (const source of ['replay', 'kafka']) {
      const other = `INGEST_MODE log-first: for SOURCE sim; ${source} can be read again as it is`;
      expect(faultsOf({ INGEST_MODE: 'log-first', SOURCE: source, ...broker })).toEqual([other]);
    }
    expect(faultsOf({ INGEST_MODE: 'log-first', SOURCE: 'replay', KAFKA: 'off', SIM_VOL_MIN: '9' })).toHaveLength(4);
    expect(faultsOf({ PUBLISH_TICKS: 'packed' })).toEqual([]);
    expect(faultsOf({ PUBLISH_TICKS: 'json', KAFKA: 'off', SOURCE: 'replay' })).toEqual([
      'PUBLISH_TICKS json: for SOURCE sim; replay has its ticks elsewhere',
      'PUBLISH_TICKS json: needs Kafka, KAFKA is off',
    ]);
  });

  it('never prints a secret', () => {
    expect(JSON.stringify(faultsOf({ POSTGRES_PASSWORD: 'hunter2', WORKERS: 'x' }))).not.toContain('hunter2');
  });
});
