/** Runs one scenario: load, one fault, a watch on the engine's own pages; then everything is compared as in any round. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { EngineError } from '../../engine/core/errors.ts';
import type { Comparison, Difference } from './compare.ts';
import { createEngines, type EngineProcess, type Engines } from './engines.ts';
import type { FeedMessage } from './feed.ts';
import { describeBounds, describeHealth, isGreen, judgeBounds, judgeHealth, largest } from './judge.ts';
import { createFeeder, type Feeder } from './kafka-server.ts';
import { cleanUp, compareRound, feedOf, READY_TIMEOUT_MS, type Round, type Stage, setUp, waitUntil, waitUntilCaughtUp } from './round.ts';
import { planScenario, type Scenario, type ScenarioName } from './scenario.ts';
import { openSmallDisk, type SmallDisk } from './small-disk.ts';
import { type Look, lookAt, metricValues, type Watch, watchEngine } from './watch.ts';

export interface ScenarioOptions {
  readonly seed: number;
  /** Instead of the scenario's own. */
  readonly seconds: number | undefined;
  /** Whether an engine that takes too long to stop is a difference. */
  readonly isTimed: boolean;
}

export interface ScenarioResult extends Comparison {
  readonly schema: string;
  readonly folder: string;
  /** What was measured, a line each. */
  readonly report: readonly string[];
}

interface Act {
  readonly scenario: Scenario;
  readonly options: ScenarioOptions;
  readonly seconds: number;
  readonly round: Round;
  readonly stage: Stage;
  readonly engines: Engines;
  readonly feeder: Feeder;
  readonly messages: readonly FeedMessage[];
  readonly problems: Difference[];
  readonly report: string[];
  /** While a server is away. */
  setOutage(isOutage: boolean): void;
}

/** Generous: the machine may have other things to do. */
const CATCH_UP_TIMEOUT_MS = 900_000;
const GREEN_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 120_000;
/** Asked of an engine that is told to stop. */
const STOP_MAX_MS = 5000;
/** As the summary says it. */
const CUT_SHORT = 'stopped before all was written';
const LOAD_TIMEOUT_MS = 60_000;
const LOAD_LOOK_MS = 40;
const FULL_SHARE = 0.9;
const SLOW_STATEMENT_MS = 500;
/** An epoch has more than this many statements, one after the other. */
const STATEMENTS_LEAST = 4;
/** A database that is slow for this long is seen to be. */
const SLOW_SEEN_SEC = 20;
/** Share of the feed that comes when all is well again. */
const AFTER_SHARE = 0.04;
const AFTER_MS = 3000;
const BACKLOG_FEED_MS = 1000;

export async function runScenario(stage: Stage, scenario: Scenario, options: ScenarioOptions): Promise<ScenarioResult> {
  const seconds = options.seconds ?? scenario.seconds;
  const plan = planScenario(scenario, options.seed, seconds);
  const round = await setUp(stage, plan);
  const { note, folder } = round;
  let isOutage = false;
  const engines = createEngines({ root: stage.root, folder, knobs: round.knobs, isOutage: () => isOutage, note });
  stage.onEngines(engines);
  const disk = scenario.name === 'disk-full' ? await openSmallDisk(folder, round.address) : undefined;
  const act: Act = {
    scenario,
    options,
    seconds,
    round,
    stage,
    engines,
    feeder: await createFeeder(stage.kafka),
    messages: feedOf(plan),
    problems: [],
    report: [],
    setOutage(value) {
      isOutage = value;
    },
  };
  act.report.push(`${plan.feed.ticks} ticks in ${act.messages.length} messages, ${plan.feed.spanSec} s of event time`);
  if (scenario.name === 'stop-under-load') await stopUnderLoad(act);
  else await endure(act, ACTIONS[scenario.name](act, disk));
  await act.feeder.close();
  const stopMs = await engines.stopAll(STOP_TIMEOUT_MS);
  act.report.push(`stopped in ${inSeconds(stopMs)}`);
  for (const text of engines.complaints) complain(act, 'engine', '(nothing of the kind)', text);

  const comparison = await compareRound(round);
  const differences = [...act.problems, ...comparison.differences];
  if (differences.length > 0) writeFileSync(join(folder, 'differences.json'), JSON.stringify(differences, undefined, 1));
  if (differences.length === 0 && !stage.isKept) {
    await cleanUp(round);
    await disk?.close();
  }
  return { ...comparison, differences, schema: round.name, folder, report: act.report };
}

/** What is done to the servers or the engine: `begin` at once, `mend` when its time is over. */
interface Fault {
  /** For people. */
  readonly how: string;
  begin(engine: EngineProcess): Promise<void>;
  mend(engine: EngineProcess): Promise<void>;
}

const ACTIONS: Readonly<Record<Exclude<ScenarioName, 'stop-under-load'>, (act: Act, disk: SmallDisk | undefined) => Fault>> = {
  'postgres-60s': ({ stage: { postgres } }) => ({
    how: 'Postgres stopped (fast), then started',
    begin: () => postgres.stop('fast'),
    mend: () => postgres.start(),
  }),
  'kafka-60s': ({ stage: { kafka } }) => ({
    how: 'broker killed, then started',
    begin: () => kafka.kill(),
    mend: () => kafka.start(),
  }),
  'both-60s': ({ stage: { kafka, postgres } }) => ({
    how: 'Postgres stopped (fast) and broker killed, then both started',
    async begin() {
      await Promise.all([postgres.stop('fast'), kafka.kill()]);
    },
    async mend() {
      await Promise.all([postgres.start(), kafka.start()]);
    },
  }),
  'slow-500ms': ({ stage: { proxy } }) => ({
    how: `each statement ${SLOW_STATEMENT_MS} ms later`,
    begin: async () => proxy.setDelayMs(SLOW_STATEMENT_MS),
    mend: async () => proxy.setDelayMs(0),
  }),
  'disk-full': (_, disk) => ({
    how: disk?.how ?? '',
    begin: async () => disk?.fill(),
    mend: async () => disk?.free(),
  }),
  'backlog-5m': ({ engines, feeder, round, messages, scenario, seconds }) => ({
    how: 'engine stopped by SIGSTOP until the whole backlog lies in the topic',
    async begin(engine) {
      engines.freeze(engine);
      const from = backlogFrom(messages, scenario.leadSec, seconds);
      await feeder.feed(`${round.prefix}ticks`, messages.slice(from, afterFrom(messages)), BACKLOG_FEED_MS);
    },
    mend: async (engine) => engines.thaw(engine),
  }),
};

function backlogFrom(messages: readonly FeedMessage[], leadSec: number, seconds: number): number {
  return Math.floor((messages.length * leadSec) / (leadSec + seconds));
}

function afterFrom(messages: readonly FeedMessage[]): number {
  return Math.floor(messages.length * (1 - AFTER_SHARE));
}

/** One engine under load, one fault, and a little more load when all is well again. */
async function endure(act: Act, fault: Fault): Promise<void> {
  const { scenario, round, feeder, messages, problems, report, seconds } = act;
  const { note } = round;
  const isBacklog = scenario.name === 'backlog-5m';
  const topic = `${round.prefix}ticks`;
  const engine = await startEngine(act, 0);
  await startGreen(act, engine);
  const watch = watchEngine(engine.url ?? '');
  const after = afterFrom(messages);
  const until = isBacklog ? backlogFrom(messages, scenario.leadSec, seconds) : after;
  const feedMs = (scenario.leadSec + (isBacklog ? 0 : seconds)) * 1000;
  let fromMs = 0;
  let toMs = 0;
  const breakAndMend = async (): Promise<void> => {
    await sleep(scenario.leadSec * 1000);
    note(`begins: ${fault.how}`);
    act.setOutage(true);
    fromMs = SYSTEM_CLOCK.wallMs();
    await fault.begin(engine);
    // A backlog is there when it is written; its length is of event time.
    if (!isBacklog) await sleep(Math.max(0, seconds * 1000 - (SYSTEM_CLOCK.wallMs() - fromMs)));
    await fault.mend(engine);
    toMs = SYSTEM_CLOCK.wallMs();
    note('mended');
  };
  await Promise.all([feeder.feed(topic, messages.slice(0, until), feedMs), breakAndMend()]);
  act.setOutage(false);
  await catchUp(act, `${fault.how}: ${inSeconds(toMs - fromMs)}`, toMs);
  await feeder.feed(topic, messages.slice(after), AFTER_MS);
  await catchUp(act, undefined, toMs);
  const greenMs = await waitForGreen(watch);
  await watch.stop();
  if (greenMs === undefined) complain(act, 'health at last', 'green', describeParts(watch.looks.at(-1)));
  const isSlow = scenario.name === 'slow-500ms' && seconds >= SLOW_SEEN_SEC;
  const trouble = { ...scenario, ...(isSlow ? { reds: ['postgres'] } : {}), fromMs, toMs };
  problems.push(...judgeHealth(watch.looks, trouble), ...judgeBounds(watch.looks));
  report.push(...describeHealth(watch.looks, trouble), ...describeBounds(watch.looks));
  if (scenario.name === 'slow-500ms') judgeEpochs(act, watch.looks);
  if (isBacklog) {
    const rate = Math.round((round.plan.feed.ticks * (after - until)) / messages.length);
    report.push(
      `backlog of about ${rate} ticks, the oldest ${largest(watch.looks, 'tickwright_source_lag_seconds').toFixed(0)} s old when read`,
    );
  }
}

/** Where the database does not keep up, epochs grow, and the metric says so. */
function judgeEpochs(act: Act, looks: readonly Look[]): void {
  const leastSec = (STATEMENTS_LEAST * SLOW_STATEMENT_MS) / 1000;
  const interval = largest(looks, 'tickwright_epoch_interval_seconds');
  if (interval < leastSec) complain(act, 'tickwright_epoch_interval_seconds', `at least ${leastSec}`, String(interval));
}

/** Engines read a backlog one after the other, each told to stop when it is loaded. What the last leaves is compared by the caller. */
async function stopUnderLoad(act: Act): Promise<void> {
  const { round, feeder, messages, engines, report, options } = act;
  await feeder.feed(`${round.prefix}ticks`, messages, BACKLOG_FEED_MS);
  const stops = round.plan.engines.slice(0, -1);
  for (const [stop, { queue }] of stops.entries()) {
    const engine = await startEngine(act, stop);
    const load = await waitForLoad(engine, { queue, ticks: round.plan.feed.ticks / round.plan.engines.length });
    const stopMs = await stopEngine(act, engine);
    if (stopMs > STOP_MAX_MS && options.isTimed) {
      complain(act, `engine ${engine.number} told to stop`, `at most ${STOP_MAX_MS} ms`, `${Math.round(stopMs)} ms`);
    }
    report.push(`stop ${stop + 1}: ${load}; exit after ${inSeconds(stopMs)}; ${await compareStopped(act, engine)}`);
    if (engines.complaints.length > 0) return;
  }
  const last = await startEngine(act, stops.length);
  const watch = watchEngine(last.url ?? '');
  await catchUp(act, 'backlog read to its end by another engine', SYSTEM_CLOCK.wallMs());
  await watch.stop();
  act.problems.push(...judgeBounds(watch.looks));
  report.push(...describeBounds(watch.looks));
}

/** What a stopped engine left must be what it had taken; where its drain was cut short, the next engine first publishes the rest. */
async function compareStopped(act: Act, engine: EngineProcess): Promise<string> {
  if (engine.said.includes(CUT_SHORT)) return 'cut short, the rest is for the next engine';
  const { bars, messages, differences } = await compareRound(act.round, false);
  for (const { what, ...values } of differences) act.problems.push({ what: `after engine ${engine.number} stopped: ${what}`, ...values });
  return `${bars} bars, ${messages} messages compared with what it had taken, ${differences.length} differences`;
}

/** Waits until a tick ring is full, or at the latest until the engine has taken so many ticks; returns how the load was. */
async function waitForLoad(engine: EngineProcess, { queue, ticks }: { readonly queue: number; readonly ticks: number }): Promise<string> {
  const endMs = performance.now() + LOAD_TIMEOUT_MS;
  let deepest = 0;
  let accepted = 0;
  const startMs = performance.now();
  while (performance.now() < endMs) {
    const look = await lookAt(engine.url ?? '');
    const depth = Math.max(0, ...(look ? metricValues(look, 'tickwright_ring_depth') : []));
    accepted = look?.metrics.get('tickwright_ticks_accepted_total') ?? accepted;
    deepest = Math.max(deepest, depth);
    if (depth >= queue * FULL_SHARE || accepted >= ticks) break;
    await sleep(LOAD_LOOK_MS);
  }
  const rate = Math.round((accepted / (performance.now() - startMs)) * 1000);
  return `tick ring ${deepest} of ${queue} full, ${accepted} ticks taken (${rate} a second)`;
}

async function stopEngine(act: Act, engine: EngineProcess): Promise<number> {
  const startMs = performance.now();
  act.engines.stop(engine);
  const isDone = await Promise.race([engine.done.then(() => true), sleep(STOP_TIMEOUT_MS, false)]);
  if (isDone) return performance.now() - startMs;
  complain(act, `engine ${engine.number} told to stop`, `an end within ${STOP_TIMEOUT_MS} ms`, 'it still runs');
  act.engines.kill(engine);
  await engine.done;
  return performance.now() - startMs;
}

async function startEngine({ engines, round }: Act, index: number): Promise<EngineProcess> {
  const knobs = round.plan.engines[index % round.plan.engines.length]!;
  const engine = engines.start(knobs);
  await waitUntil(() => engine.isReady, READY_TIMEOUT_MS);
  if (!engine.isReady) throw new EngineError('TORTURE_READY', `engine ${engine.number}: not ready in ${READY_TIMEOUT_MS} ms`);
  return engine;
}

/** @param what for the report; nothing is reported without */
async function catchUp(act: Act, what: string | undefined, sinceMs: number): Promise<void> {
  const behind = await waitUntilCaughtUp(act.round, CATCH_UP_TIMEOUT_MS);
  const tookMs = SYSTEM_CLOCK.wallMs() - sinceMs;
  act.round.note('caught up');
  if (behind !== '') complain(act, `not caught up in ${CATCH_UP_TIMEOUT_MS} ms`, 'the end of the topic', behind);
  if (what !== undefined) act.report.push(`${what}; caught up ${inSeconds(tookMs)} after`);
}

/** An engine answers before all of its parts are connected. */
async function startGreen(act: Act, engine: EngineProcess): Promise<void> {
  const watch = watchEngine(engine.url ?? '');
  const greenMs = await waitForGreen(watch);
  await watch.stop();
  if (greenMs === undefined) complain(act, 'health at first', 'green', describeParts(watch.looks.at(-1)));
}

/** Waits for a look in which everything is green; undefined when none comes. */
async function waitForGreen(watch: Watch): Promise<number | undefined> {
  const fromMs = SYSTEM_CLOCK.wallMs();
  const find = (): Look | undefined => watch.looks.find((look) => look.atMs >= fromMs && isGreen(look));
  await waitUntil(() => find() !== undefined, GREEN_TIMEOUT_MS);
  return find()?.atMs;
}

function describeParts(look: Look | undefined): string {
  return look ? look.parts.map(({ name, isUp, detail }) => `${name} ${isUp ? 'green' : `red: ${detail}`}`).join('; ') : 'no answer';
}

function complain(act: Act, what: string, expected: string, found: string): void {
  act.problems.push({ what, expected, found });
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
