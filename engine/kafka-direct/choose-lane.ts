/** Which client speaks to Kafka, and why: KAFKA_LANE, and what the brokers have. */
import type { Config } from '../../config/knobs.ts';
import { type Clock, SYSTEM_CLOCK, SYSTEM_PAUSE } from '../core/clock.ts';
import { EngineError } from '../core/errors.ts';
import type { BrokersOptions } from './brokers.ts';
import { createCluster } from './cluster.ts';

const PATIENCE_MS = 5000;

export interface ChosenLane {
  readonly name: 'librdkafka' | 'direct';
  readonly why: string;
}

export interface LaneQuestion extends Pick<BrokersOptions, 'apis' | 'brokers' | 'security'> {
  readonly knob: Config['KAFKA_LANE'];
  readonly isEmbedded: boolean;
  readonly clock?: Clock;
}

/**
 * `auto` takes the direct lane where a broker has the APIs for it.
 * @throws EngineError KAFKA_LANE, KAFKA_REFUSED, KAFKA_UNREACHABLE (retryable)
 */
export async function chooseLane({ knob, isEmbedded, clock = SYSTEM_CLOCK, ...server }: LaneQuestion): Promise<ChosenLane> {
  if (knob === 'librdkafka') return { name: 'librdkafka', why: 'KAFKA_LANE=librdkafka' };
  const missing = isEmbedded ? 'the embedded cluster is a mock of what librdkafka needs' : await missingForDirect(server, clock);
  if (missing === '') return { name: 'direct', why: knob === 'direct' ? 'KAFKA_LANE=direct' : 'the brokers have the APIs for it' };
  if (knob === 'auto') return { name: 'librdkafka', why: missing };
  const text = `KAFKA_LANE direct: ${missing}: set KAFKA_BROKER to brokers that have it, or KAFKA_LANE to librdkafka or auto`;
  throw new EngineError('KAFKA_LANE', text);
}

/** What the first broker that answers lacks; empty when it lacks nothing. */
async function missingForDirect(server: Pick<BrokersOptions, 'apis' | 'brokers' | 'security'>, clock: Clock): Promise<string> {
  const cluster = createCluster({ ...server, clientId: 'tickwright', clock, pause: SYSTEM_PAUSE });
  try {
    await cluster.lookUp([], PATIENCE_MS);
    return '';
  } catch (error) {
    if (error instanceof EngineError && error.code === 'KAFKA_API_MISSING') return error.message;
    throw error;
  } finally {
    await cluster.close();
  }
}
