/** One round: engines run, ticks are fed, things go wrong; then everything is compared with what the ticks must come to. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '../../config/load.ts';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { messageOf } from '../../engine/core/errors.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { deadLetterTopic, ensureTopics, ordersTopic, planTopics } from '../../engine/sinks/kafka/topics.ts';
import { quoteIdentifier, withConnection } from '../../engine/sinks/postgres/connection.ts';
import { type Comparison, compare, type Difference } from './compare.ts';
import { createEngines, type Engines } from './engines.ts';
import { createOrderFlow, type ExchangeComparison, exchangeKnobs, type OrderFlow } from './exchange.ts';
import { expectOf, type TopicMessage } from './expected.ts';
import { createFaultRunner } from './faults.ts';
import { makeFeed } from './feed.ts';
import { createFeeder, deleteTopics, type OwnKafka } from './kafka-server.ts';
import { endLeftOpen } from './left-open.ts';
import type { RoundPlan } from './plan.ts';
import { connectionStringAt, type OwnPostgres } from './postgres-server.ts';
import type { LineProxy } from './proxy.ts';
import { type FoundTables, readOffsets, readTables, type SchemaAddress } from './read-database.ts';
import { barMessages, letterMessages, type TopicReader, tickMessages } from './read-topics.ts';

export interface Stage {
  readonly postgres: OwnPostgres;
  readonly kafka: OwnKafka;
  readonly proxy: LineProxy;
  readonly reader: TopicReader;
  /** Where the engine's `dist` is: the checkout, or a copy with a bug put in. */
  readonly root: string;
  readonly folder: string;
  /** Keep schema, topics and logs even when nothing differs. */
  readonly isKept: boolean;
  /** Told of the engines of a round, so that they can be ended with the driver. */
  onEngines(engines: Engines): void;
}

export interface RoundResult extends Comparison {
  readonly faults: number;
  /** Partitions in which the broker had left a transaction open that it counts as complete. */
  readonly leftOpen: number;
  /** Of rounds with an exchange. */
  readonly exchange: ExchangeComparison | undefined;
  readonly schema: string;
  readonly folder: string;
  /** From everything mended to everything committed, and from SIGTERM to the last exit. */
  readonly catchUpMs: number;
  readonly stopMs: number;
}

/** A round under way, also one of a scenario. */
export interface Round {
  readonly stage: Stage;
  readonly plan: RoundPlan;
  readonly name: string;
  readonly folder: string;
  readonly prefix: string;
  readonly address: SchemaAddress;
  readonly knobs: Readonly<Record<string, string>>;
  /** Of the engine that has the exchange, where one has. */
  readonly exchange: Readonly<Record<string, string>> | undefined;
  readonly topics: ReturnType<typeof planTopics>;
  readonly note: (text: string) => void;
}

export const READY_TIMEOUT_MS = 60_000;
const CATCH_UP_TIMEOUT_MS = 90_000;
const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 50;
const QUARTER_MS = 900_000;
const HOURS_AGO_MS = 2 * 3_600_000;
/** Short, so that a killed engine's partitions are soon given to others. */
const SESSION_MS = '2500';
const FUTURE_NS = 2_000_000_000n;

let roundsRun = 0;

export async function runRound(stage: Stage, plan: RoundPlan): Promise<RoundResult> {
  const round = await setUp(stage, plan);
  const { note, folder } = round;
  const faults = createFaultRunner({ ...stage, topics: round.topics.map(({ topic }) => topic), note }, () => engines);
  const { knobs: shared, exchange } = round;
  const engines = createEngines({ root: stage.root, folder, knobs: shared, exchange, isOutage: faults.isOutage, note });
  const orders = plan.exchange && createOrderFlow(round, plan.exchange, engines);
  stage.onEngines(engines);
  const problems: Difference[] = [];
  const complain = (what: string, found: string): void => {
    problems.push({ what, expected: '(nothing of the kind)', found });
  };

  for (const knobs of plan.engines) engines.start(knobs);
  await waitUntil(() => engines.alive().some((engine) => engine.isReady), READY_TIMEOUT_MS);
  const feeder = await createFeeder(stage.kafka);
  note('feed begins');
  const running = plan.faults.map(async (fault) => {
    await sleep(fault.atMs);
    await faults.run(fault);
  });
  await Promise.all([feeder.feed(`${round.prefix}ticks`, feedOf(plan), plan.feedMs), ...ordersOf(round, orders), ...running]);
  await feeder.close();
  note('feed ended, everything is mended');
  if (engines.alive().length === 0) engines.start(plan.engines[0]!);

  const mendedMs = performance.now();
  await orders?.sendLast();
  const behind = await waitUntilCaughtUp(round, CATCH_UP_TIMEOUT_MS, orders?.behind);
  if (behind !== '') complain(`not caught up in ${CATCH_UP_TIMEOUT_MS} ms`, behind);
  const catchUpMs = performance.now() - mendedMs;
  note('caught up');
  const stopMs = await engines.stopAll(STOP_TIMEOUT_MS);
  for (const text of engines.complaints) complain('engine', text);

  const comparison = await compareRound(round);
  const compared = await orders?.compare();
  const differences = [...problems, ...comparison.differences, ...(compared?.differences ?? [])];
  if (differences.length > 0) writeFileSync(join(folder, 'differences.json'), JSON.stringify(differences, undefined, 1));
  if (differences.length === 0 && !stage.isKept) await cleanUp(round);
  return { ...comparison, differences, faults: plan.faults.length, exchange: compared, schema: round.name, folder, catchUpMs, stopMs };
}

/** What is sent to the exchange, where there is one: by clients, and into its topic by others. */
function ordersOf({ stage, plan, prefix }: Round, orders: OrderFlow | undefined): Promise<void>[] {
  if (orders === undefined) return [];
  const writeForeign = async (): Promise<void> => {
    if (orders.foreign.length === 0) return;
    const feeder = await createFeeder(stage.kafka);
    await feeder.feed(ordersTopic(prefix), orders.foreign, plan.feedMs);
    await feeder.close();
  };
  return [orders.send(plan.feedMs), writeForeign()];
}

/** Makes the folder and the topics of a round. */
export async function setUp(stage: Stage, plan: RoundPlan): Promise<Round> {
  roundsRun += 1;
  const name = `torture_${plan.seed}_${roundsRun}`;
  const folder = join(stage.folder, name);
  mkdirSync(folder, { recursive: true });
  const prefix = `${name}.`;
  const knobs = {
    SOURCE: 'kafka',
    POSTGRES_URL: connectionStringAt(stage.proxy.port),
    PG_SCHEMA: name,
    KAFKA_BROKER: stage.kafka.brokers,
    RF: String(stage.kafka.replication),
    KAFKA_GROUP: name,
    KAFKA_SESSION_MS: SESSION_MS,
    TOPIC_PREFIX: prefix,
    P_TICKS: String(plan.feed.partitions),
    P_BARS: String(plan.barPartitions),
    LATENESS_MS: String(plan.feed.latenessMs),
    AMEND_SEC: String(plan.feed.amendSec),
    LATE_POLICY: 'amend',
    // An hour: nothing moves by the wall clock.
    IDLE_MS: '3600000',
  };
  const exchange = plan.exchange && exchangeKnobs(plan.exchange, folder);
  const { config } = loadConfig({ environment: { ...knobs, ...exchange } });
  const timeframes = parseTimeframes(config.TIMEFRAMES);
  const address = { connectionString: stage.postgres.connectionString, schema: name, source: 'kafka', timeframes };
  const startMs = performance.now();
  const lines: string[] = [];
  const note = (text: string): void => {
    lines.push(`${((performance.now() - startMs) / 1000).toFixed(3).padStart(8)}  ${text}`);
    writeFileSync(join(folder, 'round.log'), `${lines.join('\n')}\n`);
  };
  writeFileSync(
    join(folder, 'plan.json'),
    JSON.stringify(plan, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value), 1),
  );
  const topics = planTopics(
    config,
    timeframes.map((timeframe) => timeframe.name),
  );
  await ensureTopics(stage.kafka.library, stage.kafka.brokers, topics);
  return { stage, plan, name, folder, prefix, address, knobs, exchange, topics, note };
}

/** Event times are of hours ago: nothing is in the future, and quarters of an hour fall where the seed wants them. */
export function feedOf({ feed }: RoundPlan) {
  const quarterMs = Math.floor((SYSTEM_CLOCK.wallMs() - HOURS_AGO_MS) / QUARTER_MS) * QUARTER_MS;
  return makeFeed({ ...feed, baseNs: BigInt(quarterMs) * 1_000_000n + feed.baseNs });
}

export async function waitUntil(isDone: () => boolean, timeoutMs: number): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!isDone() && performance.now() < endMs) await sleep(POLL_MS);
}

/** Waits until the offsets in the database are the ends of the topic; returns what is behind when the time is over. */
export async function waitUntilCaughtUp(
  { stage, plan, prefix, address }: Round,
  timeoutMs: number,
  ordersBehind: () => Promise<string> = async () => '',
): Promise<string> {
  const partitions = Array.from({ length: plan.feed.partitions }, (_, partition) => partition);
  const ends = await Promise.all(partitions.map((partition) => stage.reader.highOffset(`${prefix}ticks`, partition)));
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    let behind: string;
    try {
      const offsets = await readOffsets(address);
      behind = partitions
        .filter((partition) => (offsets.get(partition) ?? 0n) < BigInt(ends[partition] ?? 0))
        .map((partition) => `partition ${partition} at ${offsets.get(partition) ?? 0n} of ${ends[partition]}`)
        .join(', ');
      behind ||= await ordersBehind();
    } catch (error) {
      // Just started again: it may still send its clients away.
      behind = messageOf(error);
    }
    if (behind === '' || performance.now() > endMs) return behind;
    await sleep(POLL_MS);
  }
}

/** @param isWhole false where the engines stopped before the end: then what they must hold is that of the messages that they had taken */
export async function compareRound(
  { stage, plan, prefix, address, topics, note }: Round,
  isWhole = true,
): Promise<Comparison & Pick<RoundResult, 'leftOpen'>> {
  const leftOpen = await endLeftOpen(
    stage.kafka.brokers,
    topics.map(({ topic }) => topic),
  );
  if (leftOpen > 0) note(`kafka: ${leftOpen} partitions had a transaction left open that the broker counts as complete`);
  const partitions = topics.flatMap(({ topic, partitions: count }) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  );
  const [messages, tables] = await Promise.all([stage.reader.read(partitions), readTables(address)]);
  const sent = tickMessages(messages, `${prefix}ticks`);
  const ticks = isWhole ? sent : takenOf(sent, tables);
  const expected = expectOf(ticks, {
    timeframes: address.timeframes,
    latenessMs: plan.feed.latenessMs,
    amendSec: plan.feed.amendSec,
    latestNs: BigInt(Math.floor(SYSTEM_CLOCK.wallMs())) * 1_000_000n + FUTURE_NS,
  });
  const comparison = compare(expected, {
    ...tables,
    messages: barMessages(messages, prefix, address.timeframes),
    letters: letterMessages(messages, { dlq: deadLetterTopic(prefix), ticks: `${prefix}ticks` }),
  });
  return { ...comparison, leftOpen };
}

function takenOf(sent: ReadonlyMap<number, TopicMessage[]>, { partitions }: FoundTables): Map<number, TopicMessage[]> {
  const ends = new Map(partitions.map(({ partition, nextOffset }) => [partition, nextOffset ?? 0n]));
  return new Map([...sent].map(([partition, list]) => [partition, list.filter(({ offset }) => offset < (ends.get(partition) ?? 0n))]));
}

export async function cleanUp({ stage, name, topics }: Round): Promise<void> {
  await withConnection(stage.postgres.connectionString, undefined, (client) =>
    client.query(`drop schema if exists ${quoteIdentifier(name)} cascade`),
  );
  await deleteTopics(
    stage.kafka,
    topics.map(({ topic }) => topic),
  );
}
