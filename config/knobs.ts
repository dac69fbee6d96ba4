/**
 * Every knob of the engine, declared once: name, type, default, limits and meaning. From this table come the validation
 * (`load.ts`), `.env.example` and `docs/reference/knobs.md`.
 */
import { ACCESS_KNOBS } from './access-knobs.ts';
import { EXCHANGE_KNOBS } from './exchange-knobs.ts';
import { DAY_MS, TOPIC_KNOBS } from './topic-knobs.ts';

export type KnobValue = number | string | boolean;

export interface Knob {
  readonly name: string;
  readonly kind: 'integer' | 'number' | 'text' | 'choice' | 'secret';
  readonly fallback: number | string;
  readonly group: string;
  readonly doc: string;
  readonly min?: number;
  readonly max?: number;
  readonly isPowerOfTwo?: boolean;
  readonly choices?: readonly string[];
  /** Older names of the contract that mean the same; the knob's own name wins. */
  readonly aliases?: readonly string[];
}

export const KNOBS = [
  {
    name: 'WORKERS',
    kind: 'integer',
    fallback: 1,
    min: 1,
    max: 64,
    group: 'Headline',
    doc: 'shard worker threads; each owns the symbols whose murmur2 hash falls to it',
  },
  {
    name: 'QUEUE',
    kind: 'integer',
    fallback: 65536,
    min: 1024,
    max: 1048576,
    isPowerOfTwo: true,
    group: 'Headline',
    doc: 'slots of each tick ring; when full the source is held back',
  },
  {
    name: 'FLUSH_MS',
    kind: 'integer',
    fallback: 100,
    min: 10,
    max: 60000,
    group: 'Headline',
    doc: 'interval between barriers: one Postgres transaction each',
  },
  {
    name: 'STOP_MS',
    kind: 'integer',
    fallback: 3500,
    min: 100,
    max: 3600000,
    group: 'Operation',
    doc: 'a stop drains for this long at most; what is not written then is read again by the next start. A source that cannot be read again is drained to its end',
  },

  {
    name: 'STAGES',
    kind: 'choice',
    fallback: 'all',
    choices: ['all', 'ingest', 'bars1s', 'bars1m', 'multi'],
    group: 'Source',
    doc: '`all`: the whole engine; else one stage of the contract among other programs, joined by Kafka topics (docs/reference/stages.md)',
  },
  {
    name: 'SOURCE',
    kind: 'choice',
    fallback: 'sim',
    choices: ['sim', 'replay', 'kafka'],
    group: 'Source',
    doc: 'where ticks come from; `replay` takes files on the command line',
  },
  {
    name: 'INGEST_MODE',
    kind: 'choice',
    fallback: 'direct',
    choices: ['direct', 'log-first'],
    group: 'Source',
    doc: 'simulator: `direct` feeds the rings at once; `log-first` writes to the ticks topic of a real Kafka and reads that back, so that ticks survive a crash',
  },
  {
    name: 'PUBLISH_TICKS',
    kind: 'choice',
    fallback: 'off',
    choices: ['off', 'json', 'packed'],
    group: 'Source',
    doc: 'simulator, `direct`: also publish its ticks to the ticks topic, best effort; `log-first`: their encoding, packed unless this is `json`; STAGES `ingest`: their encoding, JSON unless this is `packed`',
  },
  {
    name: 'SYMBOLS',
    kind: 'choice',
    fallback: 'open',
    choices: ['open', 'strict'],
    group: 'Source',
    doc: '`strict` refuses symbols that the instruments file does not name',
  },
  {
    name: 'SYMBOLS_MAX',
    kind: 'integer',
    fallback: 16384,
    min: 1,
    max: 65536,
    group: 'Source',
    doc: 'symbols that may be registered; more are refused and counted',
  },
  {
    name: 'INSTRUMENTS_FILE',
    kind: 'text',
    fallback: 'config/instruments.json',
    group: 'Source',
    doc: 'decimals, lots and sessions of known instruments',
  },
  {
    name: 'FUTURE_MS',
    kind: 'integer',
    fallback: 2000,
    min: 0,
    max: DAY_MS,
    group: 'Source',
    doc: 'an event time further ahead of the wall clock is refused',
  },

  {
    name: 'TIMEFRAMES',
    kind: 'text',
    fallback: '1s,1m,3m,5m,15m',
    group: 'Bars',
    doc: 'bars to build; the first is 1s, each later one a multiple of an earlier one',
  },
  {
    name: 'LATENESS_MS',
    kind: 'integer',
    fallback: 100,
    min: 0,
    max: 600000,
    group: 'Bars',
    doc: "allowed lateness: a partition's watermark is its largest event time less this",
  },
  {
    name: 'IDLE_MS',
    kind: 'integer',
    fallback: 1000,
    min: 100,
    max: 3600000,
    group: 'Bars',
    doc: 'a caught-up partition silent for this long moves its watermark with the wall clock',
  },
  {
    name: 'LATE_POLICY',
    kind: 'choice',
    fallback: 'amend',
    choices: ['amend', 'side'],
    group: 'Bars',
    doc: 'a tick behind the watermark amends closed bars, or goes to late_ticks',
  },
  {
    name: 'AMEND_SEC',
    kind: 'integer',
    fallback: 3600,
    min: 0,
    max: 604800,
    group: 'Bars',
    doc: 'how far behind the watermark an amendment reaches; older ticks go to late_ticks',
  },

  { name: 'SIM_SYMBOLS', kind: 'integer', fallback: 500, min: 1, max: 65536, group: 'Simulator', doc: 'symbols SIM0001 and up' },
  { name: 'SIM_BASE_TPS', kind: 'number', fallback: 10, min: 0, max: 1e6, group: 'Simulator', doc: 'ticks a second of an ordinary symbol' },
  { name: 'SIM_HOT_TPS', kind: 'number', fallback: 1000, min: 0, max: 1e6, group: 'Simulator', doc: 'ticks a second of a hot symbol' },
  { name: 'SIM_HOT_SYMBOL_PCT', kind: 'number', fallback: 0, min: 0, max: 1, group: 'Simulator', doc: 'fraction of symbols that are hot' },
  {
    name: 'SIM_HOT_ROTATE_SEC',
    kind: 'number',
    fallback: 15,
    min: 0,
    max: 86400,
    group: 'Simulator',
    doc: 'the hot set is drawn anew this often; 0 keeps it',
  },
  {
    name: 'SIM_STEP_MS',
    kind: 'integer',
    fallback: 100,
    min: 1,
    max: 10000,
    aliases: ['SIM_INTERVAL_MS'],
    group: 'Simulator',
    doc: 'longest sleep between two looks at the schedule',
  },
  { name: 'SIM_BASE_PRICE', kind: 'number', fallback: 2500, min: 10, max: 1e7, group: 'Simulator', doc: 'start of the price walk' },
  { name: 'SIM_VOL_MIN', kind: 'integer', fallback: 1, min: 1, max: 1000000, group: 'Simulator', doc: 'smallest quantity' },
  { name: 'SIM_VOL_MAX', kind: 'integer', fallback: 5, min: 1, max: 1000000, group: 'Simulator', doc: 'largest quantity' },
  { name: 'SIM_SEED', kind: 'integer', fallback: 1, min: 0, max: 2147483647, group: 'Simulator', doc: 'same seed, same ticks' },
  {
    name: 'SIM_DURATION_SEC',
    kind: 'number',
    fallback: 0,
    min: 0,
    max: 604800,
    group: 'Simulator',
    doc: 'stop after this long; 0 runs until stopped',
  },
  {
    name: 'SIM_LATE_PCT',
    kind: 'number',
    fallback: 0,
    min: 0,
    max: 1,
    group: 'Simulator',
    doc: 'fraction of ticks stamped earlier than they are sent',
  },
  { name: 'SIM_LATE_MS', kind: 'number', fallback: 500, min: 0, max: 600000, group: 'Simulator', doc: 'how much earlier at most' },
  { name: 'SIM_DUPLICATE_PCT', kind: 'number', fallback: 0, min: 0, max: 1, group: 'Simulator', doc: 'fraction of ticks sent twice' },
  {
    name: 'SIM_DISORDER_MS',
    kind: 'number',
    fallback: 0,
    min: 0,
    max: 60000,
    group: 'Simulator',
    doc: 'every event time is moved back by up to this',
  },

  { name: 'REPLAY_SPEED', kind: 'text', fallback: 'max', group: 'Replay', doc: '`max`, or a multiple of real time such as 1 or 10' },
  {
    name: 'DATA_DIR',
    kind: 'text',
    fallback: '../shared/data',
    group: 'Replay',
    doc: 'recorded sets with reference answers, for `npm run golden` and the tests that need them',
  },

  {
    name: 'POSTGRES_URL',
    kind: 'secret',
    fallback: '',
    group: 'Postgres',
    doc: 'a real server; empty: POSTGRES_HOST, or the embedded one',
  },
  { name: 'POSTGRES_HOST', kind: 'text', fallback: '', group: 'Postgres', doc: 'a real server by parts; empty: the embedded one' },
  { name: 'POSTGRES_PORT', kind: 'integer', fallback: 5432, min: 1, max: 65535, group: 'Postgres', doc: 'with POSTGRES_HOST' },
  { name: 'POSTGRES_DB', kind: 'text', fallback: 'trading', group: 'Postgres', doc: 'with POSTGRES_HOST' },
  { name: 'POSTGRES_USER', kind: 'text', fallback: 'trader', group: 'Postgres', doc: 'with POSTGRES_HOST' },
  { name: 'POSTGRES_PASSWORD', kind: 'secret', fallback: 'trader', group: 'Postgres', doc: 'with POSTGRES_HOST' },
  { name: 'PG_SCHEMA', kind: 'text', fallback: 'public', group: 'Postgres', doc: 'schema of all tables: a namespace of its own for a run' },
  {
    name: 'EMBEDDED_PG_PORT',
    kind: 'integer',
    fallback: 54329,
    min: 1024,
    max: 65535,
    group: 'Postgres',
    doc: 'port of the embedded server',
  },

  {
    name: 'KAFKA',
    kind: 'choice',
    fallback: 'auto',
    choices: ['auto', 'off'],
    group: 'Kafka',
    doc: '`auto`: KAFKA_BROKER if set, else the embedded mock cluster; `off`: nothing is published',
  },
  { name: 'KAFKA_BROKER', kind: 'text', fallback: '', group: 'Kafka', doc: 'host:port list; empty: the embedded mock cluster' },

  ...ACCESS_KNOBS,

  { name: 'KAFKA_GROUP', kind: 'text', fallback: 'tickwright', group: 'Kafka', doc: 'consumer group of the kafka source' },
  {
    name: 'ENGINE_ID',
    kind: 'text',
    fallback: '',
    group: 'Kafka',
    doc: 'a name of this engine in its group, the same at each start and no other engine has: it gets its partitions back at once after a kill; empty: other engines take them over after KAFKA_SESSION_MS, and at once when it is stopped',
  },
  {
    name: 'KAFKA_SESSION_MS',
    kind: 'integer',
    fallback: 10000,
    min: 1000,
    max: 300000,
    group: 'Kafka',
    doc: 'an engine that is gone without a word keeps its partitions for this long; brokers refuse less than their group.min.session.timeout.ms (6000)',
  },
  {
    name: 'KAFKA_LANE',
    kind: 'choice',
    fallback: 'auto',
    choices: ['auto', 'direct', 'librdkafka'],
    group: 'Kafka',
    doc: 'how bars and dead letters get to Kafka, and topics are read: `direct`, whole batches by kernels, needs KAFKA_BROKER; `librdkafka`, message by message; `auto`: direct where the first broker that answers has the APIs for it. Groups, orders and fills go by librdkafka',
  },
  {
    name: 'KAFKA_OFFSET_GONE',
    kind: 'choice',
    fallback: 'stop',
    choices: ['stop', 'earliest', 'latest'],
    group: 'Kafka',
    doc: 'what becomes of a partition whose next offset the topic no longer holds (retention, deleted records): `stop`: the session ends with KAFKA_OFFSET_GONE; `earliest`, `latest`: on from the first offset there is, or from the end; each such jump is logged, counted by partition and in the summary',
  },
  {
    name: 'KAFKA_COMPRESSION',
    kind: 'choice',
    fallback: 'auto',
    choices: ['auto', 'none', 'lz4'],
    group: 'Kafka',
    doc: 'codec of published bars and dead letters: `auto`: lz4 by librdkafka, none on the direct lane; what a start finds unpublished in the outbox goes by librdkafka as lz4. lz4 makes them a fraction as large for the brokers, and costs the main thread time on the direct lane',
  },
  {
    name: 'KAFKA_LINGER_MS',
    kind: 'integer',
    fallback: 5,
    min: 0,
    max: 1000,
    group: 'Kafka',
    doc: 'how long librdkafka waits to fill a batch; bars on the direct lane leave at once',
  },
  {
    name: 'TOPIC_PREFIX',
    kind: 'text',
    fallback: '',
    group: 'Kafka',
    doc: 'put before every topic name: a namespace of its own for a run',
  },
  { name: 'TICKS_TOPIC', kind: 'text', fallback: 'ticks', group: 'Kafka', doc: 'topic of the kafka source' },
  {
    name: 'COMMITTED_QUEUE',
    kind: 'integer',
    fallback: 65536,
    min: 1024,
    max: 1048576,
    isPowerOfTwo: true,
    group: 'Kafka',
    doc: 'committed bars that may wait for publication; when full the Postgres writer waits',
  },

  ...EXCHANGE_KNOBS,

  ...TOPIC_KNOBS,

  {
    name: 'METRICS_PORT',
    kind: 'integer',
    fallback: 8111,
    min: 0,
    max: 65535,
    group: 'Operation',
    doc: 'port of /metrics, /health and /ready; 0 picks a free one',
  },
  { name: 'METRICS_HOST', kind: 'text', fallback: '127.0.0.1', group: 'Operation', doc: 'address to listen on' },
  {
    name: 'LOG_LEVEL',
    kind: 'choice',
    fallback: 'info',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    group: 'Operation',
    doc: 'of the JSON log',
  },
  {
    name: 'LOG_FILE',
    kind: 'text',
    fallback: '.data/tickwright.log',
    group: 'Operation',
    doc: 'where the JSON log goes; `-` for standard error',
  },
  { name: 'SUMMARY_JSON', kind: 'text', fallback: '', group: 'Operation', doc: 'file that the summary is also written to, as JSON' },
  { name: 'STATE_DIR', kind: 'text', fallback: '.data', group: 'Operation', doc: 'data of the embedded servers' },
] as const satisfies readonly Knob[];

type Entry = (typeof KNOBS)[number];
type Widen<K> = K extends { kind: 'integer' | 'number' }
  ? number
  : K extends { kind: 'choice'; choices: readonly (infer C)[] }
    ? C
    : string;

/** The settings of a run: one property for each knob. */
export type Config = { readonly [K in Entry as K['name']]: Widen<K> };
