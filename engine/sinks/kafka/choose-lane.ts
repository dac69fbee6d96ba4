/** Which client publishes bars, and why: KAFKA_LANE, and what the brokers have. */
import { accessOf, type KafkaAccess } from '../../../config/kafka-access.ts';
import type { Config } from '../../../config/knobs.ts';
import { type Clock, SYSTEM_CLOCK, SYSTEM_PAUSE } from '../../core/clock.ts';
import { EngineError } from '../../core/errors.ts';
import { createCluster } from '../../kafka-direct/produce-cluster.ts';

const PATIENCE_MS = 5000;

export interface ChosenLane {
  readonly name: 'librdkafka' | 'direct';
  readonly why: string;
}

export interface LaneQuestion extends KafkaAccess {
  readonly knob: Config['KAFKA_LANE'];
  readonly isEmbedded: boolean;
  readonly clock?: Clock;
}

/**
 * `auto` takes the direct lane where every broker that it asks has the APIs for it.
 * @throws EngineError KAFKA_LANE, KAFKA_API_MISSING, KAFKA_REFUSED, KAFKA_UNREACHABLE (retryable)
 */
export async function chooseProduceLane({ knob, isEmbedded, clock = SYSTEM_CLOCK, ...access }: LaneQuestion): Promise<ChosenLane> {
  if (knob === 'librdkafka') return { name: 'librdkafka', why: 'KAFKA_LANE=librdkafka' };
  if (isEmbedded) {
    const why = 'the embedded cluster is a mock of what librdkafka needs';
    if (knob === 'auto') return { name: 'librdkafka', why };
    throw new EngineError('KAFKA_LANE', `KAFKA_LANE direct: ${why}: set KAFKA_BROKER, or KAFKA_LANE to librdkafka or auto`);
  }
  const cluster = createCluster({ clientId: 'tickwright', ...accessOf(access), clock, pause: SYSTEM_PAUSE });
  try {
    await cluster.lookUp([], PATIENCE_MS);
    return { name: 'direct', why: knob === 'direct' ? 'KAFKA_LANE=direct' : 'the brokers have the APIs for it' };
  } catch (error) {
    if (knob === 'auto' && error instanceof EngineError && !error.retryable) return { name: 'librdkafka', why: error.message };
    throw error;
  } finally {
    await cluster.close();
  }
}
