import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kafkaAccess, securityText } from './kafka-access.ts';
import { KnobsInvalid, loadConfig } from './load.ts';

const BROKER = { KAFKA_BROKER: 'b:9092' };
const USER = { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', KAFKA_USERNAME: 'engine', KAFKA_PASSWORD: 'hunter2' };
// Any two: those that Node.js trusts are certificates.
const PEM = rootCertificates.slice(0, 2).join('\n');
const BROKEN = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';

let folder = '';
const file = (name: string): string => join(folder, name);

function faultsOf(environment: Record<string, string>): readonly string[] {
  try {
    loadConfig({ environment });
  } catch (thrown) {
    if (thrown instanceof KnobsInvalid) return thrown.faults;
    throw thrown;
  }
  return [];
}

const accessOfKnobs = (environment: Record<string, string>) => kafkaAccess(loadConfig({ environment }).config);

describe('access to Kafka', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tickwright-access-'));
    writeFileSync(file('ca.pem'), PEM);
    writeFileSync(file('broken.pem'), `${PEM}\n${BROKEN}`);
    writeFileSync(file('password'), ' of a file \n');
    writeFileSync(file('empty'), '\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is in the clear and as nobody unless something else is asked for', () => {
    expect(accessOfKnobs(BROKER)).toEqual({ brokers: 'b:9092' });
    expect(securityText(accessOfKnobs(BROKER))).toBe('plaintext');
  });

  it('has TLS with the authorities of a file, and without a file with those that the clients trust', () => {
    const ssl = { ...BROKER, KAFKA_SECURITY_PROTOCOL: 'ssl' };
    expect(accessOfKnobs(ssl).security).toEqual({ tls: {} });
    expect(accessOfKnobs({ ...ssl, KAFKA_SSL_CA: file('ca.pem') }).security).toEqual({ tls: { ca: PEM } });
  });

  it('has a user with a password of the environment, or of a file to its last blank', () => {
    const sasl = { ...BROKER, ...USER, KAFKA_SECURITY_PROTOCOL: 'sasl_plaintext' };
    const given = accessOfKnobs(sasl);
    expect([given.security?.tls, given.security?.sasl?.password(), securityText(given)]).toEqual([
      undefined,
      'hunter2',
      'sasl_plaintext, SCRAM-SHA-512 as engine',
    ]);
    const fromFile = accessOfKnobs({
      ...sasl,
      KAFKA_SECURITY_PROTOCOL: 'sasl_ssl',
      KAFKA_PASSWORD: '',
      KAFKA_PASSWORD_FILE: file('password'),
    });
    expect([fromFile.security?.tls, fromFile.security?.sasl?.password()]).toEqual([{}, ' of a file ']);
  });

  it('does not show its password to who prints or stores it', () => {
    const access = accessOfKnobs({ ...BROKER, ...USER, KAFKA_SECURITY_PROTOCOL: 'sasl_ssl' });
    for (const text of [inspect(access, { depth: 9 }), JSON.stringify(access), JSON.stringify({ ...access.security?.sasl })]) {
      expect(text).toContain('engine');
      expect(text).not.toContain('hunter2');
    }
  });

  it('is refused where knobs make no sense together, all at once', () => {
    const sasl = { ...BROKER, KAFKA_SECURITY_PROTOCOL: 'sasl_ssl' };
    expect(faultsOf({ ...sasl, WORKERS: '2', SIM_VOL_MIN: '9' })).toEqual([
      'SIM_VOL_MIN 9: expected at most SIM_VOL_MAX, 5',
      'KAFKA_SECURITY_PROTOCOL sasl_ssl: needs KAFKA_SASL_MECHANISM, one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512',
      'KAFKA_SECURITY_PROTOCOL sasl_ssl: needs KAFKA_USERNAME',
      'KAFKA_SECURITY_PROTOCOL sasl_ssl: needs KAFKA_PASSWORD or KAFKA_PASSWORD_FILE',
    ]);
    const useless = 'for KAFKA_SECURITY_PROTOCOL sasl_plaintext or sasl_ssl; it is ssl';
    expect(faultsOf({ ...BROKER, ...USER, KAFKA_SECURITY_PROTOCOL: 'ssl' })).toEqual([
      `KAFKA_SASL_MECHANISM SCRAM-SHA-512: ${useless}`,
      `KAFKA_USERNAME engine: ${useless}`,
      `KAFKA_PASSWORD (hidden): ${useless}`,
    ]);
    expect(faultsOf({ ...BROKER, KAFKA_SSL_CA: file('ca.pem') })).toEqual([
      `KAFKA_SSL_CA '${file('ca.pem')}': for KAFKA_SECURITY_PROTOCOL ssl or sasl_ssl; it is plaintext`,
    ]);
    expect(faultsOf({ KAFKA_SECURITY_PROTOCOL: 'ssl' })).toEqual([
      'KAFKA_SECURITY_PROTOCOL ssl: needs KAFKA_BROKER; the embedded mock cluster is spoken to in the clear',
    ]);
    expect(faultsOf({ ...BROKER, KAFKA_SECURITY_PROTOCOL: 'SASL_SSL' })[0]).toContain('did you mean sasl_ssl?');
  });

  it('is refused with files that are not there, or hold something else', () => {
    const ssl = { ...BROKER, KAFKA_SECURITY_PROTOCOL: 'ssl' };
    expect(faultsOf({ ...ssl, KAFKA_SSL_CA: file('none') })[0]).toMatch(/^KAFKA_SSL_CA '.*none': cannot be read: ENOENT/);
    expect(faultsOf({ ...ssl, KAFKA_SSL_CA: file('password') })[0]).toMatch(/password': has no certificate; expected PEM/);
    expect(faultsOf({ ...ssl, KAFKA_SSL_CA: file('broken.pem') })[0]).toMatch(/broken.pem': certificate 3 of 3 is none: /);
    const sasl = { ...BROKER, ...USER, KAFKA_SECURITY_PROTOCOL: 'sasl_ssl' };
    expect(faultsOf({ ...sasl, KAFKA_PASSWORD_FILE: file('password') })[0]).toMatch(/KAFKA_PASSWORD is set as well/);
    const without = { ...sasl, KAFKA_PASSWORD: '' };
    expect(faultsOf({ ...without, KAFKA_PASSWORD_FILE: file('none') })[0]).toMatch(/none': cannot be read: ENOENT/);
    expect(faultsOf({ ...without, KAFKA_PASSWORD_FILE: file('empty') })).toEqual([`KAFKA_PASSWORD_FILE '${file('empty')}': is empty`]);
  });
});
