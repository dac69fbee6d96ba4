/** One real Kafka broker on this machine, without containers: Java runs it, Maven fetches its jars once. */
import { execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { EngineError, messageOf } from '../../engine/core/errors.ts';
import { PROJECT_ROOT } from '../../engine/core/root.ts';

const run = promisify(execFile);

const JAVA_VERSION_MIN = 17;
const START_TIMEOUT_MS = 90_000;
/** Of several at once, each of which waits for the others. */
const MEMBER_START_TIMEOUT_MS = 240_000;
const STOP_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const PROGRESS_MS = 2000;
/** Ports as they stand in server.properties. */
const TEMPLATE_PORT = 39092;
const PORT_TIMEOUT_MS = 5000;
const READY = 'Kafka Server started';
const SOURCES = join(PROJECT_ROOT, 'infra/kafka');

export interface LocalBroker {
  /** Port of the broker; the next one is the controller's. */
  readonly port: number;
  /** Where jars, data, log and pid are. */
  readonly folder: string;
  /** Jars from elsewhere; by default `folder`/libs, fetched when missing. */
  readonly libs?: string;
  /** Where it shows its own figures, by HTTP at `/metrics`; `fetchMonitor` comes first. */
  readonly monitorPort?: number;
  /** Where it is one of several. */
  readonly member?: ClusterMember;
  /** Lines put behind those of server.properties, which they take the place of. */
  readonly settings?: readonly string[];
  /** Further options for formatting its storage, such as users to begin with. */
  readonly formatOptions?: readonly string[];
  say(text: string): void;
}

export interface ClusterMember {
  /** That of its fellows: 16 random bytes in URL-safe base 64, `createClusterId`. */
  readonly clusterId: string;
  /** Settings by name that take the place of those in server.properties. */
  readonly settings: Readonly<Record<string, string>>;
  /** Of memory and compiler, instead of a single broker's. */
  readonly javaOptions: readonly string[];
}

export function addressOf({ port }: LocalBroker): string {
  return `127.0.0.1:${port}`;
}

/** Pid of the broker that runs from this folder, if any. */
export function runningPid(broker: LocalBroker): number | undefined {
  const path = pidPath(broker);
  if (!existsSync(path)) return undefined;
  const pid = Number(readFileSync(path, 'utf8'));
  return isBroker(pid) ? pid : undefined;
}

/**
 * Starts the broker, detached, and waits until it is ready.
 * @returns false when it was up already
 * @throws EngineError JAVA_MISSING, MAVEN_MISSING, KAFKA_JARS, PORT_BUSY, KAFKA_FORMAT, KAFKA_START
 */
export async function startBroker(broker: LocalBroker): Promise<boolean> {
  if (runningPid(broker) !== undefined) return false;
  await assertJava();
  await assertPortFree(broker.port);
  mkdirSync(broker.folder, { recursive: true });
  await fetchJars(broker);
  writeProperties(broker);
  await formatStorage(broker);
  await launch(broker);
  return true;
}

/**
 * Stops the broker and waits until it is gone.
 * @returns false when none was running
 * @throws EngineError KAFKA_STOP
 */
export async function stopBroker(broker: LocalBroker): Promise<boolean> {
  const pid = runningPid(broker);
  if (pid !== undefined) {
    process.kill(pid, 'SIGTERM');
    const endMs = performance.now() + STOP_TIMEOUT_MS;
    while (isBroker(pid)) {
      if (performance.now() > endMs) throw new EngineError('KAFKA_STOP', `Kafka, pid ${pid}: still running after ${STOP_TIMEOUT_MS} ms`);
      await sleep(POLL_MS);
    }
  }
  rmSync(pidPath(broker), { force: true });
  return pid !== undefined;
}

function pidPath({ folder }: LocalBroker): string {
  return join(folder, 'kafka.pid');
}

export function logPath({ folder }: LocalBroker): string {
  return join(folder, 'kafka.log');
}

/** A pid may have been given to another process since; where the system tells command lines, that is checked. */
function isBroker(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    // No such process, or one of somebody else: not our broker.
    return false;
  }
  const path = `/proc/${pid}/cmdline`;
  return !existsSync('/proc/self/cmdline') || (existsSync(path) && readFileSync(path, 'utf8').includes('kafka.Kafka'));
}

async function assertJava(): Promise<void> {
  const wanted = `Java ${JAVA_VERSION_MIN} or newer is needed to run Kafka`;
  let text: string;
  try {
    text = (await run('java', ['-version'])).stderr;
  } catch (cause) {
    throw new EngineError('JAVA_MISSING', `${wanted}: java cannot be run (${messageOf(cause)})`, { cause });
  }
  const version = Number(/version "(\d+)/.exec(text)?.[1] ?? 0);
  if (version < JAVA_VERSION_MIN) throw new EngineError('JAVA_MISSING', `${wanted}: found ${text.split('\n', 1)[0]}`);
}

/** A broker that was killed a moment ago may still hold its port: its memory goes before its sockets. */
async function assertPortFree(port: number): Promise<void> {
  const endMs = performance.now() + PORT_TIMEOUT_MS;
  while (await isListening(port)) {
    if (performance.now() > endMs) throw new EngineError('PORT_BUSY', `port ${port}: another program listens there; set KAFKA_LOCAL_PORT`);
    await sleep(POLL_MS);
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function libsOf(broker: LocalBroker): string {
  return broker.libs ?? join(broker.folder, 'libs');
}

function monitorJar(broker: LocalBroker): string {
  return join(libsOf(broker), '../monitor/jmx_prometheus_javaagent.jar');
}

/**
 * Fetches what a broker needs to show its own figures, once.
 * @throws EngineError MAVEN_MISSING, KAFKA_JARS
 */
export async function fetchMonitor(broker: LocalBroker): Promise<void> {
  const path = monitorJar(broker);
  if (existsSync(path)) return;
  await assertMaven();
  const partial = join(dirname(path), 'partial');
  const wanted = ['-DincludeScope=provided', '-DincludeArtifactIds=jmx_prometheus_javaagent', '-Dmdep.stripVersion=true'];
  await copyJars([...wanted, `-DoutputDirectory=${partial}`]);
  renameSync(join(partial, basename(path)), path);
}

async function assertMaven(): Promise<void> {
  try {
    await run('mvn', ['--version']);
  } catch (cause) {
    throw new EngineError('MAVEN_MISSING', `Maven is needed once, to fetch Kafka: mvn cannot be run (${messageOf(cause)})`, { cause });
  }
}

async function copyJars(args: readonly string[]): Promise<void> {
  const goal = ['-q', '-B', '-f', join(SOURCES, 'pom.xml'), 'dependency:copy-dependencies'];
  try {
    await run('mvn', [...goal, ...args], { maxBuffer: 16_777_216 });
  } catch (cause) {
    throw new EngineError('KAFKA_JARS', `Kafka's jars could not be fetched: ${outputOf(cause)}`, { cause });
  }
}

/** By the folder that jars are being fetched into: the brokers of a cluster start side by side. */
const fetching = new Map<string, Promise<void>>();

/**
 * Fetches Kafka's jars, once.
 * @throws EngineError MAVEN_MISSING, KAFKA_JARS
 */
export async function fetchJars(broker: LocalBroker): Promise<void> {
  const libs = libsOf(broker);
  if (existsSync(libs)) return;
  const underWay = fetching.get(libs) ?? fetchInto(libs, broker.say).finally(() => fetching.delete(libs));
  fetching.set(libs, underWay);
  await underWay;
}

/** Beside their place, of which they take it as a whole: a broken download, or that of another process, is not taken for a whole one. */
async function fetchInto(libs: string, say: LocalBroker['say']): Promise<void> {
  await assertMaven();
  say(`fetching Kafka (about 46 jars, 44 MB) into ${libs}`);
  const partial = `${libs}.partial.${process.pid}`;
  rmSync(partial, { recursive: true, force: true });
  const progress = setInterval(() => {
    if (existsSync(partial)) say(`  ${readdirSync(partial).length} jars`);
  }, PROGRESS_MS);
  try {
    await copyJars(['-DincludeScope=runtime', `-DoutputDirectory=${partial}`]);
    if (!existsSync(libs)) renameSync(partial, libs);
  } finally {
    clearInterval(progress);
    rmSync(partial, { recursive: true, force: true });
  }
}

function writeProperties(broker: LocalBroker): void {
  const text = readFileSync(join(SOURCES, 'server.properties'), 'utf8')
    .replaceAll(`127.0.0.1:${TEMPLATE_PORT + 1}`, `127.0.0.1:${broker.port + 1}`)
    .replaceAll(`127.0.0.1:${TEMPLATE_PORT}`, `127.0.0.1:${broker.port}`);
  // Of a name that is there twice, the last counts.
  const own = Object.entries(broker.member?.settings ?? {}).map(([name, value]) => `${name}=${value}`);
  writeFileSync(join(broker.folder, 'server.properties'), [text, ...own, ...(broker.settings ?? []), ''].join('\n'));
}

async function formatStorage(broker: LocalBroker): Promise<void> {
  if (existsSync(join(broker.folder, 'data/meta.properties'))) return;
  const clusterId = broker.member?.clusterId ?? createClusterId();
  const args = ['-cp', `${libsOf(broker)}/*`, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', 'server.properties'];
  args.push(...(broker.formatOptions ?? []));
  try {
    await run('java', args, { cwd: broker.folder });
  } catch (cause) {
    throw new EngineError('KAFKA_FORMAT', `Kafka's storage in ${broker.folder} could not be formatted: ${outputOf(cause)}`, { cause });
  }
}

/** 16 random bytes in URL-safe base 64; a leading dash would be taken for an option. */
export function createClusterId(): string {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? createClusterId() : id;
}

async function launch(broker: LocalBroker): Promise<void> {
  const log = openSync(logPath(broker), 'w');
  const own = broker.member?.javaOptions ?? ['-Xms256m', '-Xmx1g', '-XX:+UseG1GC'];
  const options = [...own, `-Dlog4j2.configurationFile=${join(SOURCES, 'log4j2.properties')}`];
  if (broker.monitorPort !== undefined) {
    options.push(`-javaagent:${monitorJar(broker)}=127.0.0.1:${broker.monitorPort}:${join(SOURCES, 'jmx.yaml')}`);
  }
  const child = spawn('java', [...options, '-cp', `${libsOf(broker)}/*`, 'kafka.Kafka', 'server.properties'], {
    cwd: broker.folder,
    detached: true,
    stdio: ['ignore', log, log],
  });
  let isGone = false;
  child.once('exit', () => {
    isGone = true;
  });
  child.unref();
  if (child.pid === undefined) throw new EngineError('KAFKA_START', 'Kafka: java could not be started');
  writeFileSync(pidPath(broker), String(child.pid));
  const timeoutMs = broker.member ? MEMBER_START_TIMEOUT_MS : START_TIMEOUT_MS;
  const endMs = performance.now() + timeoutMs;
  while (!readFileSync(logPath(broker), 'utf8').includes(READY)) {
    if (isGone || performance.now() > endMs) {
      const why = isGone ? 'it ended' : `not ready in ${timeoutMs} ms`;
      const tail = readFileSync(logPath(broker), 'utf8').trimEnd().split('\n').slice(-5).join('\n');
      throw new EngineError('KAFKA_START', `Kafka on port ${broker.port}: ${why}; the end of ${logPath(broker)}:\n${tail}`);
    }
    await sleep(POLL_MS);
  }
}

function outputOf(error: unknown): string {
  const { stdout, stderr } = error instanceof Error && 'stdout' in error && 'stderr' in error ? error : { stdout: '', stderr: '' };
  const text = `${String(stdout)}${String(stderr)}`.trim();
  return text === '' ? messageOf(error) : text.split('\n').slice(0, 5).join('\n');
}
