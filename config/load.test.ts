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

  it('never prints a secret', () => {
    expect(JSON.stringify(faultsOf({ POSTGRES_PASSWORD: 'hunter2', WORKERS: 'x' }))).not.toContain('hunter2');
  });
});
