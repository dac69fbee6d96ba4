/**
 * A real broker with listeners for each way of proving who one is: SCRAM and PLAIN through TLS, SCRAM in the clear, TLS alone. Its certificate and
 * its users are made for the test.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../engine/sinks/postgres/embedded-process.ts';
import { addressOf, type LocalBroker, startBroker, stopBroker } from '../../infra/kafka/broker.ts';
import { libsFolder } from '../torture/kafka-server.ts';

const run = promisify(execFile);

// Below the ports that systems give to outgoing connections, and away from those of the other brokers of tests.
const FIRST_PORT = 23_400;
const STORE_PASSWORD = 'of-the-key-store';
const SCRAM_MODULE = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';

export const USER = { name: 'tick.wright', password: 'Pass phrase 7 of the test' } as const;

export interface SecureBroker {
  /** Addresses by listener. */
  readonly saslSsl: string;
  readonly saslPlaintext: string;
  readonly ssl: string;
  readonly plaintext: string;
  /** The certificate to trust, and one of somebody else. */
  readonly caFile: string;
  readonly otherCaFile: string;
  readonly folder: string;
  close(): Promise<void>;
}

/** @throws those of `startBroker` */
export async function openSecureBroker(): Promise<SecureBroker> {
  const port = await freePort(FIRST_PORT + 8 * (process.pid % 100));
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-secure-'));
  const caFile = await makeCertificate(folder, 'broker');
  const otherCaFile = await makeCertificate(folder, 'other');
  const local: LocalBroker = {
    ...{ port, folder, libs: libsFolder(), say: () => undefined },
    settings: settingsOf(port, join(folder, 'broker.p12')),
    formatOptions: ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name="${USER.name}",password="${USER.password}"]`,
    ]),
  };
  await startBroker(local);
  return {
    saslSsl: `localhost:${port + 2}`,
    saslPlaintext: `127.0.0.1:${port + 3}`,
    ssl: `127.0.0.1:${port + 4}`,
    plaintext: addressOf(local),
    ...{ caFile, otherCaFile, folder },
    async close() {
      await stopBroker(local);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A key with a certificate that vouches for itself, for this machine by name and by number. @returns the certificate as PEM, a file */
async function makeCertificate(folder: string, name: string): Promise<string> {
  const store = ['-keystore', join(folder, `${name}.p12`), '-storetype', 'PKCS12', '-storepass', STORE_PASSWORD, '-alias', name];
  const names = ['-dname', `CN=${name}`, '-ext', 'san=dns:localhost,ip:127.0.0.1', '-ext', 'bc:c'];
  await run('keytool', ['-genkeypair', ...store, ...names, '-keyalg', 'RSA', '-keysize', '2048', '-validity', '2']);
  const file = join(folder, `${name}.pem`);
  await run('keytool', ['-exportcert', ...store, '-rfc', '-file', file]);
  return file;
}

function settingsOf(port: number, keyStore: string): string[] {
  const listeners = [
    `PLAINTEXT://127.0.0.1:${port}`,
    `SASL_SSL://localhost:${port + 2}`,
    `SASL_PLAINTEXT://127.0.0.1:${port + 3}`,
    `SSL://127.0.0.1:${port + 4}`,
  ];
  const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required "user_${USER.name}"="${USER.password}";`;
  return [
    `listeners=${[...listeners, `CONTROLLER://127.0.0.1:${port + 1}`].join(',')}`,
    `advertised.listeners=${listeners.join(',')}`,
    'listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL',
    'listener.name.sasl_ssl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    `listener.name.sasl_ssl.plain.sasl.jaas.config=${plain}`,
    `listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=${SCRAM_MODULE}`,
    `listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=${SCRAM_MODULE}`,
    // Users are to prove themselves anew every so often, on connections that are in use.
    'listener.name.sasl_ssl.connections.max.reauth.ms=10000',
    'listener.name.sasl_plaintext.sasl.enabled.mechanisms=SCRAM-SHA-256',
    `listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=${SCRAM_MODULE}`,
    ...['ssl.keystore.type=PKCS12', `ssl.keystore.location=${keyStore}`, `ssl.keystore.password=${STORE_PASSWORD}`],
  ];
}
