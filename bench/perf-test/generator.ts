/**
 * The load of a cell, a process of its own: an open loop over Kafka. A tick is due at its intended time whether or not those before it have gone;
 * what goes late counts as late, and no tick is left out. Prints one line of JSON when everything is acknowledged.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { SYSTEM_CLOCK } from '../../engine/core/clock.ts';
import { EngineError } from '../../engine/core/errors.ts';
import { createHistogram, encodeHistogram } from '../../engine/core/latency.ts';
import { createTickProducer, type OutgoingTick, type TickProducer } from '../../engine/ingest/tick-producer.ts';
import { requireRdkafka } from '../../engine/sinks/kafka/client.ts';
import { RDKAFKA_ERROR } from '../../engine/sinks/kafka/rdkafka.ts';
import { createTickStream, type StreamPlan } from './tick-stream.ts';

export interface GeneratorPlan extends StreamPlan {
  readonly brokers: string;
  readonly topic: string;
  readonly encoding: 'json' | 'packed';
  /** False: everything at once, for a backlog. */
  readonly isPaced: boolean;
  /** The measured stage begins so long after the start. */
  readonly warmupSec: number;
}

export interface GeneratorResult {
  readonly ticks: number;
  /** Of the measured stage: ticks due in it, and those of them that had gone when it ended. */
  readonly due: number;
  readonly sent: number;
  /** Intended time to handing over to the client, us, of the measured stage; encoded. */
  readonly sendLag: string;
  readonly elapsedSec: number;
  /** Processor time of the process since the measured stage began. */
  readonly cpuSec: number;
}

const STEP_MS = 1;
const QUEUE_REST_MS = 1;
/** A queue that stays full for so long: the broker takes nothing. */
const QUEUE_FULL_MS = 60_000;
const FLUSH_TIMEOUT_MS = 300_000;
/** Ticks of one turn: between two the client's own work is done. */
const TURN_TICKS = 512;

/** Resolves when everything is acknowledged; the client ends with the process. */
export async function generate(plan: GeneratorPlan): Promise<GeneratorResult> {
  const producer = await createTickProducer(await requireRdkafka(), plan.brokers, plan.topic);
  const counts = await sendAll(plan, producer);
  await producer.flush(FLUSH_TIMEOUT_MS);
  return counts;
}

async function sendAll(plan: GeneratorPlan, producer: TickProducer): Promise<GeneratorResult> {
  const { startMs, isPaced, seconds } = plan;
  const stream = createTickStream(plan);
  const { tick } = stream;
  const stageNs = plan.warmupSec * 1e9;
  const sendLag = createHistogram();
  const send = createSender(plan, producer);
  const counts = { ticks: 0, due: 0, sent: 0 };
  let cpuBefore = process.cpuUsage();
  const began = performance.now();
  if (isPaced) while (SYSTEM_CLOCK.wallMs() < startMs) await sleep(STEP_MS);
  let isThere = stream.next();
  while (isThere) {
    const sinceStartNs = (SYSTEM_CLOCK.wallMs() - startMs) * 1e6;
    let turn = 0;
    while (isThere && turn < TURN_TICKS && (!isPaced || tick.sinceStartNs <= sinceStartNs)) {
      await send.put({ symbol: tick.symbol, tsEventNs: tick.tsEventNs, price: tick.cents / 100, quantityLots: BigInt(tick.quantity) });
      counts.ticks += 1;
      if (tick.sinceStartNs >= stageNs) {
        const nowNs = (SYSTEM_CLOCK.wallMs() - startMs) * 1e6;
        if (counts.due === 0) cpuBefore = process.cpuUsage();
        counts.due += 1;
        if (nowNs < seconds * 1e9) counts.sent += 1;
        if (isPaced) sendLag.recordValue(Math.max(0, Math.round((nowNs - tick.sinceStartNs) / 1000)));
      }
      isThere = stream.next();
      turn += 1;
    }
    await send.flush();
    producer.poll();
    if (turn < TURN_TICKS && isPaced) await sleep(STEP_MS);
    else await new Promise<void>((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  return { ...counts, sendLag: encodeHistogram(sendLag), elapsedSec: (performance.now() - began) / 1000, cpuSec: (user + system) / 1e6 };
}

interface Sender {
  put(tick: OutgoingTick): Promise<void>;
  /** Sends what is held back for a common message. */
  flush(): Promise<void>;
}

function createSender({ encoding, topic }: GeneratorPlan, producer: TickProducer): Sender {
  /** A full queue of the client holds the load back, which is then late, and says so. */
  const insist = async (send: () => void): Promise<void> => {
    const began = performance.now();
    while (!isTaken(send)) {
      if (performance.now() - began > QUEUE_FULL_MS) {
        throw new EngineError('KAFKA_UNREACHABLE', `topic ${topic}: the client's queue stays full for ${QUEUE_FULL_MS} ms`);
      }
      producer.poll();
      await sleep(QUEUE_REST_MS);
    }
  };
  if (encoding === 'json') return { put: (tick) => insist(() => producer.sendJson(tick)), flush: async () => undefined };
  let held: OutgoingTick[] = [];
  return {
    async put(tick) {
      held.push(tick);
    },
    async flush() {
      if (held.length === 0) return;
      const byPartition = new Map<number, OutgoingTick[]>();
      for (const tick of held) {
        const partition = producer.partitionOf(tick.symbol);
        const ticks = byPartition.get(partition);
        if (ticks) ticks.push(tick);
        else byPartition.set(partition, [tick]);
      }
      held = [];
      // A turn has no more than one message of each, so that one that finds the queue full can be sent again alone.
      for (const ticks of byPartition.values()) await insist(() => producer.sendPacked({ priceDecimals: 2, lotDecimals: 0, ticks }));
    },
  };
}

/** False when the client's queue is full. */
function isTaken(send: () => void): boolean {
  try {
    send();
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === RDKAFKA_ERROR.queueFull) return false;
    throw error;
  }
}
