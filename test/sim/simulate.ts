/** One seed: engines, servers and mishaps on one thread; then what is left is compared with what the ticks must come to. */
import { messageOf } from '../../engine/core/errors.ts';
import { createPrng } from '../../engine/core/prng.ts';
import { parseTimeframes } from '../../engine/market/timeframes.ts';
import { deadLetterTopic } from '../../engine/sinks/kafka/topics.ts';
import { compare, type Difference } from '../torture/compare.ts';
import { type Expected, expectOf, type TopicMessage } from '../torture/expected.ts';
import { makeFeed } from '../torture/feed.ts';
import { createBroker } from './broker.ts';
import { createDatabase } from './database.ts';
import { findAll } from './found.ts';
import { appendTick, createGroup, createTickLog, type TickLog } from './group.ts';
import { planMishaps } from './mishaps.ts';
import { type ProcessPlan, planSimulation, type SimPlan } from './plan.ts';
import { PREFIX, type SimProcess, startProcess, type World } from './process.ts';
import { type Bugs, NO_BUGS } from './sabotage.ts';
import { createOwner, createScheduler, isFrozen, type Scheduler } from './scheduler.ts';
import { createStore, SimFault } from './store.ts';

export interface SimResult {
  readonly seed: number;
  readonly differences: readonly Difference[];
  readonly steps: number;
  readonly bars: number;
  readonly messages: number;
  readonly transactions: number;
  readonly sessions: number;
  /** What happened, for people. */
  readonly story: readonly string[];
}

const STEPS_MAX = 80_000;
const STAGE_STEPS = 64;
const FUTURE_NS = 2_000_000_000n;
/** Beyond the batch limits of one simulated seed. */
const HUGE = '1 MB';

export async function simulate(seed: number, bugs: Bugs = NO_BUGS): Promise<SimResult> {
  const plan = planSimulation(seed);
  const story: string[] = [];
  const world = createWorld(plan, bugs, story);
  const { scheduler, database, broker } = world;
  const processes: SimProcess[] = [];
  const engines = {
    alive: () => processes.filter(({ owner }) => !owner.isDead),
    start(knobs: ProcessPlan) {
      const process = startProcess(world, `engine-${processes.length + 1}`, knobs);
      // Some are slower than others.
      if (scheduler.prng.nextBelow(3) === 0) process.owner.slowness = scheduler.prng.nextFloat() * 0.9;
      processes.push(process);
    },
  };
  for (const knobs of plan.engines) engines.start(knobs);
  const feeder = startFeed(world);
  const mishaps = planMishaps(world, engines);
  const differences: Difference[] = [];
  const complain = (what: string, found: string): void => {
    differences.push({ what, expected: '(nothing of the kind)', found });
  };
  try {
    await drive(world, { engines, mishaps, feeder, processes });
  } catch (error) {
    complain(
      'the run',
      error instanceof SimFault ? error.message : error instanceof Error ? (error.stack ?? error.message) : messageOf(error),
    );
  }
  for (const fault of [database.fault, broker.fault]) if (fault) complain('a rule', fault.message);
  for (const { owner, fault } of processes)
    if (fault !== undefined) complain(owner.name, fault instanceof Error ? (fault.stack ?? '') : String(fault));
  const comparison = differences.length > 0 ? undefined : compareAll(world);
  return {
    seed,
    differences: [...differences, ...(comparison?.differences ?? [])],
    steps: scheduler.steps,
    bars: comparison?.bars ?? 0,
    messages: comparison?.messages ?? 0,
    transactions: database.store.transactions,
    sessions: processes.reduce((sum, { supervisor }) => sum + supervisor.sessions, 0),
    story,
  };
}

function createWorld(plan: SimPlan, bugs: Bugs, story: string[]): World {
  const timeframes = parseTimeframes(plan.timeframes);
  const scheduler = createScheduler(createPrng(plan.seed ^ 0x5eed));
  const store = createStore(timeframes, bugs.isAdditive);
  const database = createDatabase(scheduler, store, bugs);
  const published = new Set<string>();
  const isLetter = ({ topic }: { readonly topic: string }): boolean => topic === deadLetterTopic(PREFIX);
  const broker = createBroker(
    scheduler,
    {
      onCommitted(message) {
        if (!store.lines.has(message.value)) throw new SimFault(`published and not committed: ${message.value}`);
        if (isLetter(message)) return;
        if (published.has(message.value)) throw new SimFault(`published again: ${message.value}`);
        published.add(message.value);
      },
    },
    bugs,
  );
  database.server.faults.oneIn = plan.databaseFaultsOneIn;
  broker.server.faults.oneIn = plan.brokerFaultsOneIn;
  const startMs = scheduler.clock.wallMs();
  return {
    plan,
    timeframes,
    scheduler,
    database,
    broker,
    group: createGroup(scheduler, broker.server.owner, plan.feed.partitions),
    log: createTickLog(`${PREFIX}ticks`, plan.feed.partitions),
    bugs,
    note: (text) => story.push(`${(scheduler.clock.wallMs() - startMs).toFixed(1).padStart(8)}  ${text}`),
  };
}

interface Feeder {
  readonly isDone: boolean;
}

function startFeed({ plan, scheduler, log }: World): Feeder {
  const messages = makeFeed(plan.feed).filter(({ poison }) => poison !== HUGE);
  const owner = createOwner('feed');
  const { prng } = scheduler;
  const chunkMax = 1 + prng.nextBelow(40);
  const restMs = (plan.feedMs / messages.length) * chunkMax;
  let sent = 0;
  const send = (): void => {
    const count = 1 + prng.nextBelow(chunkMax);
    for (const message of messages.slice(sent, sent + count)) appendTick(log, message);
    sent += count;
    if (sent < messages.length) scheduler.after(owner, prng.nextFloat() * restMs, send);
  };
  scheduler.after(owner, 0, send);
  return {
    get isDone() {
      return sent >= messages.length;
    },
  };
}

interface Cast {
  readonly engines: { alive(): readonly SimProcess[]; start(knobs: ProcessPlan): void };
  readonly mishaps: { readonly areUnderWay: boolean; mend(): void };
  readonly feeder: Feeder;
  readonly processes: readonly SimProcess[];
}

/** Runs until everything is in, stops the engines in order, and waits for their end. */
async function drive(world: World, { engines, mishaps, feeder, processes }: Cast): Promise<void> {
  const { scheduler, database, broker, plan } = world;
  const knobs = plan.engines[0]!;
  const until = async (what: string, isDone: () => boolean): Promise<void> => {
    while (!isDone()) {
      for (let step = 0; step < STAGE_STEPS; step += 1) {
        if (!(await scheduler.step())) {
          if (isDone() || engines.alive().length === 0) break;
          throw new SimFault(`${what}: nothing moves any more: ${describe(world, processes)}`);
        }
        if (database.fault ?? broker.fault) throw database.fault ?? broker.fault;
      }
      // As whoever watches over processes does.
      if (engines.alive().length === 0 && !isDone()) engines.start(knobs);
      if (scheduler.steps > STEPS_MAX) throw new SimFault(`${what}: not done after ${STEPS_MAX} turns: ${describe(world, processes)}`);
    }
  };
  await until('the feed', () => feeder.isDone && !mishaps.areUnderWay);
  world.note('everything is mended');
  database.server.faults.oneIn = 0;
  broker.server.faults.oneIn = 0;
  mishaps.mend();
  for (const { owner } of engines.alive()) owner.slowness = 0;
  const stopAll = (): boolean => {
    for (const process of engines.alive()) process.requestStop();
    return engines.alive().length === 0;
  };
  const catchUpAndStop = async (): Promise<void> => {
    await until('catching up', () => isCaughtUp(world) && isManned(world, engines.alive()));
    world.note('caught up');
    await until('stopping', stopAll);
  };
  const { store } = database;
  const owned = (): number[] => [...store.lanes].filter(([, { owner }]) => owner !== undefined).map(([lane]) => lane);
  await catchUpAndStop();
  // One that was fenced, or stopped between two sessions, leaves lanes to whoever comes next.
  if (owned().length > 0) {
    engines.start(knobs);
    await catchUpAndStop();
  }
  if (owned().length > 0) throw new SimFault(`lanes ${owned().join(', ')} are owned after a clean end`);
  if (store.outbox.length > 0) throw new SimFault(`the outbox holds ${store.outbox.length} rows after the end`);
}

function isCaughtUp({ log, database: { store } }: World): boolean {
  return log.partitions.every(({ length }, partition) => (store.partitions.get(partition)?.nextOffset ?? 0n) >= BigInt(length));
}

/** True when every lane has a session: what a crashed one has left unpublished waits for the next. */
function isManned({ log }: World, alive: readonly SimProcess[]): boolean {
  if (alive.some(({ threads }) => threads.running.some(({ owner }) => owner.isFrozen))) return false;
  const lanes = new Set(alive.flatMap(({ supervisor: { state, session } }) => (state.phase === 'running' ? (session?.lanes ?? []) : [])));
  return log.partitions.every((_, partition) => lanes.has(partition));
}

function describe({ scheduler, log, database: { store } }: World, processes: readonly SimProcess[]): string {
  const places = log.partitions.map(({ length }, partition) => `${store.partitions.get(partition)?.nextOffset ?? 0n} of ${length}`);
  const states = processes
    .filter(({ owner }) => !owner.isDead)
    .map(({ owner, consumers, supervisor: { state, session } }) => {
      const engine = session?.topology.engine;
      return `${owner.name}${isFrozen(owner) ? ' (frozen)' : ''} ${state.phase} ${state.detail}, ${engine?.phase} ${engine?.openEpochs} open epochs, ${consumers.map((consumer) => consumer.text).join(' ')}`;
    });
  return `at ${scheduler.clock.wallMs()}: ${places.join(', ')}; ${states.join('; ')}`;
}

function compareAll(world: World): ReturnType<typeof compare> {
  const expected = expectedOf(world.log, world.plan, world.scheduler);
  return compare(expected, findAll(world, expected));
}

function expectedOf(log: TickLog, plan: SimPlan, scheduler: Scheduler): Expected {
  const partitions = log.partitions.map((messages): [number, TopicMessage[]] => [
    log.partitions.indexOf(messages),
    messages.map(({ offset, value, isPacked }) => ({ offset: BigInt(offset), value, isPacked })),
  ]);
  return expectOf(new Map(partitions), {
    timeframes: parseTimeframes(plan.timeframes),
    latenessMs: plan.feed.latenessMs,
    amendSec: plan.feed.amendSec,
    latestNs: BigInt(Math.floor(scheduler.clock.wallMs())) * 1_000_000n + FUTURE_NS,
  });
}
