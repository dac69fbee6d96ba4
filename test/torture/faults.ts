/** Does what a plan's fault says, to real processes and servers, and undoes it when its time is over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../engine/core/errors.ts';
import { createPrng } from '../../engine/core/prng.ts';
import { withConnection } from '../../engine/sinks/postgres/connection.ts';
import type { EngineProcess, Engines } from './engines.ts';
import type { OwnBroker, OwnKafka } from './kafka-server.ts';
import { COORDINATOR_TOPICS, moveLeaders } from './leaders.ts';
import type { Fault, FaultKind } from './plan.ts';
import type { OwnPostgres, StopMode } from './postgres-server.ts';
import type { LineProxy } from './proxy.ts';

export interface FaultTargets {
  readonly postgres: OwnPostgres;
  readonly kafka: OwnKafka;
  readonly proxy: LineProxy;
  readonly engines: Engines;
  /** Of the round. */
  readonly topics: readonly string[];
  note(text: string): void;
}

export interface FaultRunner {
  /** Lets a fault happen now; resolves when it is over. */
  run(fault: Fault): Promise<void>;
  /** True while a server is away, and shortly after. */
  isOutage(): boolean;
}

const ENGINES_MOST = 4;
const LEADER_MOVES_MS = 500;
/** An engine that was starting during an outage may give up this much later. */
const OUTAGE_ECHO_MS = 20_000;

/** @param engines by function, since engines are made with what this returns */
export function createFaultRunner(targets: Omit<FaultTargets, 'engines'>, engines: () => Engines): FaultRunner {
  let outages = 0;
  let lastOutageMs = Number.NEGATIVE_INFINITY;
  /** One fault at a time befalls a server. */
  const turns = new Map<string, Promise<void>>();

  const during = async (work: () => Promise<void>): Promise<void> => {
    outages += 1;
    try {
      await work();
    } finally {
      outages -= 1;
      lastOutageMs = performance.now();
    }
  };
  const inTurn = (server: string, work: () => Promise<void>): Promise<void> => {
    const turn = (turns.get(server) ?? Promise.resolve()).then(() => during(work));
    turns.set(
      server,
      turn.catch(() => undefined),
    );
    return turn;
  };

  return {
    isOutage: () => outages > 0 || performance.now() - lastOutageMs < OUTAGE_ECHO_MS,
    run(fault) {
      const all: FaultTargets = { ...targets, engines: engines() };
      const act = ACTIONS[fault.kind];
      if (fault.kind.startsWith('pg-')) return inTurn('postgres', () => act(all, fault));
      if (/^(kafka|broker)-/.test(fault.kind)) return inTurn('kafka', () => act(all, fault));
      return act(all, fault);
    },
  };
}

type Action = (targets: FaultTargets, fault: Fault) => Promise<void>;

function victimOf({ engines }: FaultTargets, { engine }: Fault): EngineProcess | undefined {
  const awake = engines.alive().filter((entry) => !entry.isFrozen);
  // Half of what befalls an engine befalls the one with the exchange, where there is one.
  const withExchange = awake.find(({ hasExchange }) => hasExchange);
  if (withExchange !== undefined && engine % 2 === 0) return withExchange;
  return awake[engine % Math.max(1, awake.length)];
}

const kill: Action = async (targets, fault) => {
  const victim = victimOf(targets, fault);
  if (!victim) return targets.note('kill: no engine runs');
  targets.note(`kill engine ${victim.number}, another in ${fault.forMs} ms`);
  targets.engines.kill(victim);
  await sleep(fault.forMs);
  targets.engines.start(fault.knobs);
};

const freeze: Action = async (targets, fault) => {
  const victim = victimOf(targets, fault);
  if (!victim) return targets.note('freeze: no engine runs');
  targets.note(`freeze engine ${victim.number} for ${fault.forMs} ms`);
  targets.engines.freeze(victim);
  // Somebody has to take over what it holds.
  if (targets.engines.alive().every((engine) => engine.isFrozen)) targets.engines.start(fault.knobs);
  await sleep(fault.forMs);
  targets.note(`thaw engine ${victim.number}`);
  targets.engines.thaw(victim);
};

const join: Action = async ({ engines, note }, { knobs }) => {
  if (engines.alive().length >= ENGINES_MOST) return note(`join: ${ENGINES_MOST} engines run already`);
  engines.start(knobs);
};

const leave: Action = async (targets, fault) => {
  const victim = victimOf(targets, fault);
  if (!victim) return targets.note('leave: no engine runs');
  targets.note(`stop engine ${victim.number}`);
  targets.engines.stop(victim);
  if (targets.engines.alive().some((engine) => !engine.isFrozen)) return;
  await sleep(fault.forMs);
  targets.engines.start(fault.knobs);
};

function stopPostgres(mode: StopMode): Action {
  return async ({ postgres, note }, { forMs }) => {
    note(`postgres: stop ${mode} for ${forMs} ms`);
    await postgres.stop(mode);
    await sleep(forMs);
    await postgres.start();
    note('postgres: up');
  };
}

const terminate: Action = async ({ postgres, note }) => {
  const ended = await withConnection(postgres.connectionString, undefined, async (client) => {
    const { rowCount } = await client.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'tickwright %' and pid <> pg_backend_pid()`,
    );
    return rowCount ?? 0;
  });
  note(`postgres: ended ${ended} connections`);
};

const slow: Action = async ({ proxy, note }, { delayMs, forMs }) => {
  note(`postgres: each statement ${delayMs} ms later for ${forMs} ms`);
  proxy.setDelayMs(delayMs);
  await sleep(forMs);
  proxy.setDelayMs(0);
};

const cut: Action = async ({ proxy, note }, { forMs }) => {
  note(`postgres: line cut for ${forMs} ms`);
  proxy.setCut(true);
  await sleep(forMs);
  proxy.setCut(false);
};

const silence: Action = async ({ proxy, note }, { forMs }) => {
  note(`postgres: line silent for ${forMs} ms`);
  proxy.setSilent(true);
  await sleep(forMs);
  proxy.setSilent(false);
};

const killKafka: Action = async ({ kafka, note }, { forMs }) => {
  note(`kafka: kill, start in ${forMs} ms`);
  await kafka.kill();
  await sleep(forMs);
  await kafka.start();
  note('kafka: up');
};

const freezeKafka: Action = async ({ kafka, note }, { forMs }) => {
  note(`kafka: freeze for ${forMs} ms`);
  kafka.freeze();
  await sleep(forMs);
  kafka.thaw();
};

function brokerOf({ kafka }: FaultTargets, { engine }: Fault): { readonly broker: OwnBroker; readonly name: string } {
  const index = engine % kafka.nodes.length;
  return { broker: kafka.nodes[index]!, name: `broker ${index + 1}` };
}

const killBroker: Action = async (targets, fault) => {
  const { broker, name } = brokerOf(targets, fault);
  targets.note(`${name}: kill, start in ${fault.forMs} ms`);
  await broker.kill();
  await sleep(fault.forMs);
  await broker.start();
  targets.note(`${name}: up`);
};

const freezeBroker: Action = async (targets, fault) => {
  const { broker, name } = brokerOf(targets, fault);
  targets.note(`${name}: freeze for ${fault.forMs} ms`);
  broker.freeze();
  await sleep(fault.forMs);
  broker.thaw();
  targets.note(`${name}: thawed`);
};

/** Leaders move at once and every so often until the time is over, also while a broker is away: then some moves are refused. */
const moveAllLeaders: Action = async ({ kafka, topics, note }, { atMs, forMs }) => {
  const prng = createPrng(atMs);
  const endMs = performance.now() + forMs;
  for (;;) {
    try {
      const { asked, moved, refusals } = await moveLeaders(kafka.brokers, [...topics, ...COORDINATOR_TOPICS], prng);
      const refused = [...refusals].map(([code, count]) => `, ${count} refused with Kafka error ${code}`).join('');
      note(`leaders: ${moved} of ${asked} moved${refused}`);
    } catch (error) {
      // While every broker is away, none can be asked.
      note(`leaders: not moved: ${messageOf(error)}`);
    }
    if (performance.now() + LEADER_MOVES_MS > endMs) return;
    await sleep(LEADER_MOVES_MS);
  }
};

const ACTIONS: Readonly<Record<FaultKind, Action>> = {
  kill,
  freeze,
  join,
  leave,
  'pg-fast': stopPostgres('fast'),
  'pg-immediate': stopPostgres('immediate'),
  'pg-kill': stopPostgres('kill'),
  'pg-terminate': terminate,
  'pg-slow': slow,
  'pg-cut': cut,
  'pg-silent': silence,
  'kafka-kill': killKafka,
  'kafka-freeze': freezeKafka,
  'broker-kill': killBroker,
  'broker-freeze': freezeBroker,
  'leader-move': moveAllLeaders,
};
