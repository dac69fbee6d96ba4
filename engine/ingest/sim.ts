/**
 * The simulator as a source: an open loop. A tick is due at its intended time whether or not the engine kept up with those
 * before it; when held back, the simulator falls behind and catches up, and drops nothing. Ticks are stamped with their intended time, so a
 * latency measured from the stamp contains the time that a tick waited here.
 */
import type { Config } from '../../config/knobs.ts';
import type { Clock } from '../core/clock.ts';
import { createSimModel } from './sim-model.ts';
import { createSimWriter, SIM_PARTITION, type SimWriter } from './sim-writer.ts';
import type { IngestPort, Source } from './source.ts';

const NANOS = 1e9;

/** A source of random ticks as the SIM_* knobs say. Event times start at the wall clock's time when it is started. */
export function createSimSource(config: Config, clock: Clock): Source {
  const model = createSimModel(config);
  const { tick } = model;
  const durationNanos = config.SIM_DURATION_SEC > 0 ? config.SIM_DURATION_SEC * NANOS : Number.POSITIVE_INFINITY;
  let port: IngestPort | undefined;
  let writer: SimWriter | undefined;
  // Intended time of the tick in hand, nanoseconds since the start; infinite before the start and when no tick will come.
  let dueNanos = Number.POSITIVE_INFINITY;
  let isSecondCopy = false;
  let offered = 0;
  let isStopped = false;

  const elapsedNanos = (): number => (writer ? (clock.wallMs() - writer.startMs) * 1e6 : 0);
  const isDue = (nowNanos: number): boolean => dueNanos <= nowNanos && dueNanos < durationNanos;
  const moveOn = (): void => {
    isSecondCopy = !isSecondCopy && tick.isSentTwice;
    if (isSecondCopy) return;
    model.next();
    dueNanos = tick.sentSeconds * NANOS + tick.sentNanos;
  };
  return {
    name: 'sim',
    isReplayable: false,
    isLive: true,
    partitions: [SIM_PARTITION],
    async start(target) {
      writer = createSimWriter(target, config, clock);
      port = target;
      if (model.rate > 0) moveOn();
    },
    poll(budget) {
      if (!port || !writer || isStopped) return 0;
      const limit = Math.min(budget, port.room(), port.stagingCapacity);
      const nowNanos = elapsedNanos();
      let staged = 0;
      let refused = 0;
      while (staged + refused < limit && isDue(nowNanos)) {
        const refusal = writer.write(tick, staged);
        if (refusal === 0) {
          staged += 1;
        } else {
          port.refuse(refusal, 1);
          refused += 1;
        }
        moveOn();
      }
      offered += staged + refused;
      if (staged > 0) port.commit(staged, SIM_PARTITION, true);
      return staged + refused;
    },
    get offered() {
      return offered;
    },
    get lagMs() {
      const nowNanos = elapsedNanos();
      return isDue(nowNanos) ? (nowNanos - dueNanos) / 1e6 : 0;
    },
    get isEnded() {
      return writer !== undefined && !isStopped && dueNanos >= durationNanos && elapsedNanos() >= durationNanos;
    },
    isCaughtUp: () => writer !== undefined && !isStopped && !isDue(elapsedNanos()),
    position: () => ({ offsets: new Map() }),
    failure: () => undefined,
    committed() {},
    async stop() {
      isStopped = true;
    },
  };
}
