/** Knobs of how the brokers of KAFKA_BROKER are spoken to: through TLS or in the clear, and as whom. */
import type { Knob } from './knobs.ts';

export const ACCESS_KNOBS = [
  {
    name: 'KAFKA_SECURITY_PROTOCOL',
    kind: 'choice',
    fallback: 'plaintext',
    choices: ['plaintext', 'ssl', 'sasl_plaintext', 'sasl_ssl'],
    group: 'Kafka',
    doc: 'of the listener that KAFKA_BROKER names: in the clear or through TLS (`ssl`), with a user or without (`sasl_`); for both lanes and the tools',
  },
  {
    name: 'KAFKA_SASL_MECHANISM',
    kind: 'choice',
    fallback: 'none',
    choices: ['none', 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    group: 'Kafka',
    doc: 'how the user is proven, with a `sasl_` protocol; PLAIN sends the password as it is: with `sasl_ssl` only',
  },
  { name: 'KAFKA_USERNAME', kind: 'text', fallback: '', group: 'Kafka', doc: 'with a `sasl_` protocol' },
  { name: 'KAFKA_PASSWORD', kind: 'secret', fallback: '', group: 'Kafka', doc: 'of KAFKA_USERNAME' },
  {
    name: 'KAFKA_PASSWORD_FILE',
    kind: 'text',
    fallback: '',
    group: 'Kafka',
    doc: 'file with the password instead, as secrets are mounted; a line end behind it is no part of it',
  },
  {
    name: 'KAFKA_SSL_CA',
    kind: 'text',
    fallback: '',
    group: 'Kafka',
    doc: "file with the certificates (PEM) of the brokers' authority; empty: the authorities that this machine and Node.js trust",
  },
] as const satisfies readonly Knob[];
