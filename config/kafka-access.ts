/** How to get to the brokers: where they are, and what they want to know of a client. Made once of the knobs, and passed down to every client. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from './knobs.ts';

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';

/** Without `tls` in the clear, without `sasl` as nobody. */
export interface Security {
  /** `ca`: certificates of the authorities that are trusted, PEM; without it those that the client library trusts by itself. */
  readonly tls?: { readonly ca?: string };
  readonly sasl?: {
    readonly mechanism: SaslMechanism;
    readonly username: string;
    /** A function, so that nothing that prints or stores what it is given has the password with it. */
    readonly password: () => string;
  };
}

export interface KafkaAccess {
  /** `host:port` pairs with commas between. */
  readonly brokers: string;
  readonly security?: Security;
}

type AccessConfig = Pick<
  Config,
  | 'KAFKA'
  | 'KAFKA_BROKER'
  | 'KAFKA_SECURITY_PROTOCOL'
  | 'KAFKA_SASL_MECHANISM'
  | 'KAFKA_USERNAME'
  | 'KAFKA_PASSWORD'
  | 'KAFKA_PASSWORD_FILE'
  | 'KAFKA_SSL_CA'
>;

/**
 * The access that settings name which `wrongAccess` finds nothing wrong with. Reads the files that they name.
 * @throws what reading them throws, when they are gone since
 */
export function kafkaAccess(config: AccessConfig): KafkaAccess {
  const { KAFKA_BROKER: brokers, KAFKA_SECURITY_PROTOCOL: protocol, KAFKA_SASL_MECHANISM: mechanism } = config;
  if (protocol === 'plaintext') return { brokers };
  const password = config.KAFKA_PASSWORD_FILE === '' ? config.KAFKA_PASSWORD : readPassword(config.KAFKA_PASSWORD_FILE);
  const ca = config.KAFKA_SSL_CA === '' ? undefined : readFileSync(config.KAFKA_SSL_CA, 'utf8');
  return {
    brokers,
    security: {
      ...(isTls(protocol) ? { tls: ca === undefined ? {} : { ca } } : {}),
      ...(isSasl(protocol) && mechanism !== 'none'
        ? { sasl: { mechanism, username: config.KAFKA_USERNAME, password: () => password } }
        : {}),
    },
  };
}

/** Of something that has more, the access alone. */
export function accessOf({ brokers, security }: KafkaAccess): KafkaAccess {
  return security ? { brokers, security } : { brokers };
}

/** The protocol by its name and as whom, for people: `sasl_ssl, SCRAM-SHA-512 as engine`. */
export function securityText({ security }: KafkaAccess): string {
  const { tls, sasl } = security ?? {};
  const protocol = sasl ? (tls ? 'sasl_ssl' : 'sasl_plaintext') : tls ? 'ssl' : 'plaintext';
  return sasl ? `${protocol}, ${sasl.mechanism} as ${sasl.username}` : protocol;
}

/** Faults of the knobs of access with each other and with the files that they name. */
export function wrongAccess(config: AccessConfig): string[] {
  const { KAFKA, KAFKA_BROKER, KAFKA_SECURITY_PROTOCOL: protocol, KAFKA_SSL_CA: ca } = config;
  const faults: string[] = [];
  if (protocol !== 'plaintext' && KAFKA !== 'off' && KAFKA_BROKER === '') {
    faults.push(`KAFKA_SECURITY_PROTOCOL ${protocol}: needs KAFKA_BROKER; the embedded mock cluster is spoken to in the clear`);
  }
  faults.push(...(isSasl(protocol) ? missingUser(config) : needlessUser(config)));
  if (ca !== '' && !isTls(protocol)) faults.push(`KAFKA_SSL_CA '${ca}': for KAFKA_SECURITY_PROTOCOL ssl or sasl_ssl; it is ${protocol}`);
  if (ca !== '' && isTls(protocol)) faults.push(...wrongCa(ca));
  return faults;
}

function isTls(protocol: string): boolean {
  return protocol === 'ssl' || protocol === 'sasl_ssl';
}

function isSasl(protocol: string): boolean {
  return protocol === 'sasl_plaintext' || protocol === 'sasl_ssl';
}

function missingUser(config: AccessConfig): string[] {
  const { KAFKA_USERNAME, KAFKA_PASSWORD, KAFKA_PASSWORD_FILE: file } = config;
  const faults: string[] = [];
  const need = (what: string): void => void faults.push(`KAFKA_SECURITY_PROTOCOL ${config.KAFKA_SECURITY_PROTOCOL}: needs ${what}`);
  if (config.KAFKA_SASL_MECHANISM === 'none') need('KAFKA_SASL_MECHANISM, one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512');
  if (KAFKA_USERNAME === '') need('KAFKA_USERNAME');
  if (KAFKA_PASSWORD === '' && file === '') need('KAFKA_PASSWORD or KAFKA_PASSWORD_FILE');
  if (file === '') return faults;
  if (KAFKA_PASSWORD !== '') faults.push(`KAFKA_PASSWORD_FILE '${file}': KAFKA_PASSWORD is set as well; expected one of them`);
  try {
    if (readPassword(file) === '') faults.push(`KAFKA_PASSWORD_FILE '${file}': is empty`);
  } catch (error) {
    faults.push(`KAFKA_PASSWORD_FILE '${file}': cannot be read: ${messageOf(error)}`);
  }
  return faults;
}

/** A user that nobody is told of is a mistake in the protocol. */
function needlessUser(config: AccessConfig): string[] {
  const set: readonly (readonly [string, string])[] = [
    ['KAFKA_SASL_MECHANISM', config.KAFKA_SASL_MECHANISM === 'none' ? '' : config.KAFKA_SASL_MECHANISM],
    ['KAFKA_USERNAME', config.KAFKA_USERNAME],
    ['KAFKA_PASSWORD', config.KAFKA_PASSWORD === '' ? '' : '(hidden)'],
    ['KAFKA_PASSWORD_FILE', config.KAFKA_PASSWORD_FILE],
  ];
  return set
    .filter(([, value]) => value !== '')
    .map(
      ([name, value]) =>
        `${name} ${value}: for KAFKA_SECURITY_PROTOCOL sasl_plaintext or sasl_ssl; it is ${config.KAFKA_SECURITY_PROTOCOL}`,
    );
}

function wrongCa(file: string): string[] {
  const fault = (text: string): string => `KAFKA_SSL_CA '${file}': ${text}`;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    return [fault(`cannot be read: ${messageOf(error)}`)];
  }
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0) return [fault('has no certificate; expected PEM, with -----BEGIN CERTIFICATE-----')];
  return certificates.flatMap((certificate, index) => {
    try {
      new X509Certificate(certificate);
      return [];
    } catch (error) {
      return [fault(`certificate ${index + 1} of ${certificates.length} is none: ${messageOf(error)}`)];
    }
  });
}

function readPassword(file: string): string {
  return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
