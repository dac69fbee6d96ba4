/** Whether brokers let this client in. Where they do not, what is wrong is found out: a client that is turned away sees little but a line that ends. */
import { connect as connectTls } from 'node:tls';
import type { KafkaAccess, Security } from '../../config/kafka-access.ts';
import { EngineError } from '../core/errors.ts';
import { type BrokerAddress, type BrokerConnection, connectBroker, parseBrokers, textOf } from './connection.ts';

const CLIENT_ID = 'tickwright-greeting';
const TIMEOUT_MS = 5000;
/** A listener with TLS answers a beginning of TLS at once, one without it may not answer at all. */
const TLS_TIMEOUT_MS = 2000;
/** ILLEGAL_SASL_STATE: what a listener without SASL answers who begins with it. */
const NO_SASL_HERE = 34;

/**
 * Asks every broker of the list at once and is content with the first that lets this client in. So it is when none answers: brokers that are away
 * may come.
 * @throws EngineError KAFKA_REFUSED, KAFKA_SECURITY: what waiting does not mend
 */
export async function greetBrokers({ brokers, security = {} }: KafkaAccess): Promise<void> {
  const failures: EngineError[] = [];
  const greetings = parseBrokers(brokers).map(async (address) => {
    try {
      await greet(address, security);
    } catch (error) {
      if (error instanceof EngineError && !error.retryable && error.code !== 'KAFKA_PROTOCOL') failures.push(error);
      throw error;
    }
  });
  await Promise.any(greetings).catch(() => {
    // Where others are only away, they may come.
    if (failures[0] && failures.length === greetings.length) throw failures[0];
  });
}

/** @throws EngineError KAFKA_REFUSED, KAFKA_SECURITY, KAFKA_UNREACHABLE (retryable) and other things that say nothing of access */
async function greet(address: BrokerAddress, security: Security): Promise<void> {
  const broker = await connect(address, security).catch(async (error: unknown) => {
    if (error instanceof EngineError && error.retryable) await explainLine(address, security);
    throw error;
  });
  try {
    const { metadataV9 } = await import('@platformatic/kafka');
    await broker.call('Metadata', metadataV9.api, [], false);
  } catch (error) {
    if (!security.sasl) await explainSilence(address, security);
    throw error;
  } finally {
    await broker.close();
  }
}

function connect(address: BrokerAddress, security: Security): Promise<BrokerConnection> {
  return connectBroker(address, { clientId: CLIENT_ID, timeoutMs: TIMEOUT_MS, security });
}

/** @throws EngineError KAFKA_SECURITY when the other end has TLS and this one has not, or the other way round */
async function explainLine(address: BrokerAddress, { tls, sasl }: Security): Promise<void> {
  const prefix = sasl ? 'sasl_' : '';
  const fault = (what: string, expected: string): EngineError =>
    new EngineError(
      'KAFKA_SECURITY',
      `broker ${textOf(address)} ${what}: KAFKA_SECURITY_PROTOCOL is ${prefix}${tls ? 'ssl' : 'plaintext'}, expected ${expected}`,
    );
  if (!tls) {
    if (await speaksTls(address)) throw fault('speaks TLS', 'ssl or sasl_ssl');
    return;
  }
  const plain = await connect(address, {}).catch(() => undefined);
  if (!plain) return;
  await plain.close();
  throw fault('speaks in the clear', 'plaintext or sasl_plaintext');
}

/** @throws EngineError KAFKA_SECURITY when the other end wants to know who this is */
async function explainSilence(address: BrokerAddress, security: Security): Promise<void> {
  const broker = await connect(address, security).catch(() => undefined);
  if (!broker) return;
  try {
    const { saslHandshakeV1 } = await import('@platformatic/kafka');
    // Any name does: the answer has those that are known here.
    const { errorCode, mechanisms = [] } = await broker.call('SaslHandshake', saslHandshakeV1.api, 'PLAIN');
    if (errorCode === NO_SASL_HERE || mechanisms.length === 0) return;
    const protocol = security.tls ? 'ssl' : 'plaintext';
    const text = `KAFKA_SECURITY_PROTOCOL is ${protocol}, expected sasl_${protocol} with one of ${mechanisms.join(', ')}`;
    throw new EngineError('KAFKA_SECURITY', `broker ${textOf(address)} wants SASL: ${text}`);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'KAFKA_SECURITY') throw error;
    // It does not answer this either: then it says nothing of SASL.
  } finally {
    await broker.close();
  }
}

/** Whose certificate it is does not matter here, and nothing is sent. */
function speaksTls({ host, port }: BrokerAddress): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: TLS_TIMEOUT_MS });
    const end = (isTls: boolean): void => {
      resolve(isTls);
      socket.destroy();
    };
    socket.once('secureConnect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
    socket.once('close', () => end(false));
  });
}
