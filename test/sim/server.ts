/** A server as its clients see it: requests travel, wait, fail, are carried out without an answer, or are answered. */
import { createOwner, type Owner, type Scheduler } from './scheduler.ts';

/** What may happen to a request. `lost`: carried out, but the answer is an error. */
export type Fate = 'done' | 'refused' | 'lost' | 'slow';

/** Returned by the work of a request that has to wait: it is tried again a little later. */
export const WAIT: unique symbol = Symbol('wait');

export interface Faults {
  /** One request in this many does not go well; 0: all do. */
  oneIn: number;
}

export interface Request<T> {
  readonly client: Owner;
  /** Carried out at the server, at once or not at all; what it throws is the answer. */
  work(): T | typeof WAIT;
  /** What the client is told of a failure of the line. */
  failure(fate: Fate): unknown;
  /** How long the work may wait; then `failure` is the answer. */
  readonly waitMs?: number;
  /** Called once the work has waited for long. */
  onPatience?(): void;
  readonly isReliable?: boolean;
}

export interface Server {
  readonly owner: Owner;
  isUp: boolean;
  readonly faults: Faults;
  request<T>(request: Request<T>): Promise<T>;
}

const LATENCY_MS = 2;
const SLOW_MS = 400;
const PATIENCE_MS = 2000;
const RETRY_MS = 3;

export function createServer(scheduler: Scheduler, name: string): Server {
  const { prng, clock } = scheduler;
  const owner = createOwner(name);
  const drawFate = (): Fate => {
    if (!scheduler.isOneIn(server.faults.oneIn)) return 'done';
    return (['refused', 'lost', 'slow'] as const)[prng.nextBelow(3)]!;
  };
  const server: Server = {
    owner,
    isUp: true,
    faults: { oneIn: 0 },
    request<T>({ client, work, failure, waitMs = Number.POSITIVE_INFINITY, onPatience, isReliable }: Request<T>) {
      return new Promise<T>((resolve, reject) => {
        const fate = isReliable ? 'done' : drawFate();
        const sentMs = clock.wallMs();
        let isPatient = true;
        const answer = (tell: () => void): void => {
          scheduler.after(client, prng.nextFloat() * LATENCY_MS, tell);
        };
        const refuse = (): void => answer(() => reject(failure('refused')));
        /** The work has to wait: it is tried again, unless it has waited for too long. */
        const wait = (): void => {
          const waitedMs = clock.wallMs() - sentMs;
          if (waitedMs >= waitMs) {
            refuse();
            return;
          }
          if (waitedMs >= PATIENCE_MS && isPatient) {
            isPatient = false;
            onPatience?.();
          }
          scheduler.after(owner, RETRY_MS + prng.nextFloat() * RETRY_MS, arrive);
        };
        const arrive = (): void => {
          if (!server.isUp || fate === 'refused') {
            refuse();
            return;
          }
          try {
            const result = work();
            if (result === WAIT) wait();
            else answer(() => (fate === 'lost' ? reject(failure('lost')) : resolve(result)));
          } catch (error) {
            answer(() => reject(error));
          }
        };
        scheduler.after(owner, prng.nextFloat() * (fate === 'slow' ? SLOW_MS : LATENCY_MS), arrive);
      });
    },
  };
  return server;
}
