/** librdkafka's transactional producer over the simulated broker, with everything that its calls may be answered with. */
import type {
  Consumer,
  Done,
  Metadata,
  Producer,
  RdkafkaError,
  RdkafkaSettings,
  TopicPartition,
} from '../../engine/sinks/kafka/rdkafka.ts';
import type { BrokerMessage, Verdict } from './broker.ts';
import { type Client, groupNames, type Trouble, troubleOf } from './client.ts';
import type { Fate } from './server.ts';

const LIMBO_MS = 400;
/** A late request arrives between two messages of the next transaction as often as this, unless it has before. */
const LATE_ONE_IN = 4;
const FULL_ONE_IN = 40;

export class SimProducer implements Producer {
  readonly #client: Client;
  readonly #id: string;
  /** Messages are kept here until the next call, or sent at once. */
  readonly #isLingering: boolean;
  #buffer: BrokerMessage[] = [];
  #epoch = 0;
  #isConnected = false;
  /** The coordinator has something of this transaction. */
  #isKnown = false;
  #lost: Trouble | undefined;
  /** Carries out the request that is under way although its answer has come. */
  #late: (() => void) | undefined;

  constructor(client: Client, settings: RdkafkaSettings) {
    this.#client = client;
    this.#id = String(settings['transactional.id']);
    this.#isLingering = client.scheduler.prng.nextBelow(2) === 0;
  }

  connect(_options: object, done: (error: RdkafkaError | null, metadata: Metadata) => void): void {
    const { broker, owner } = this.#client;
    const metadata: Metadata = { topics: [], brokers: [] };
    broker.server.request({ client: owner, work: () => true, failure: () => troubleOf('down') }).then(
      () => {
        this.#isConnected = true;
        done(null, metadata);
      },
      (error: RdkafkaError) => done(error, metadata),
    );
  }

  /** One request to the coordinator. */
  #call(done: Done, work: () => Verdict, limbo?: () => void): void {
    const { broker, owner, scheduler } = this.#client;
    if (this.#lost !== undefined) {
      const error = troubleOf(this.#lost);
      scheduler.after(owner, 0, () => done(error));
      return;
    }
    // The line breaks with the request on its way: the coordinator carries it out later, if it still may. What the client is told meanwhile
    // is the answer to one that was sent after it.
    if (limbo !== undefined && scheduler.isOneIn(broker.server.faults.oneIn)) {
      const trouble = scheduler.prng.nextBelow(2) === 0 ? 'fatal' : 'abort';
      if (trouble === 'fatal') this.#lose(trouble);
      const arrive = (): void => {
        if (this.#late !== arrive) return;
        this.#late = undefined;
        limbo();
      };
      this.#late = arrive;
      scheduler.after(broker.server.owner, scheduler.prng.nextFloat() * LIMBO_MS, arrive);
      scheduler.after(owner, scheduler.prng.nextFloat(), () => done(troubleOf(trouble)));
      return;
    }
    broker.server
      .request({ client: owner, work: () => this.#flushed() ?? work(), failure: (fate) => troubleOf(this.#drawTrouble(fate)) })
      .then(
        (verdict) => {
          if (verdict === 'done') done(null);
          else done(this.#lose(verdict === 'fenced' ? 'fenced' : 'fatal'));
        },
        (error: RdkafkaError) => {
          if (error.isFatal) this.#lose('fatal');
          done(error);
        },
      );
  }

  /** A request that was carried out but not answered is asked again, or ends the producer; one that was not may cost the transaction too. */
  #drawTrouble(fate: Fate): Trouble {
    const { prng } = this.#client.scheduler;
    const kinds: readonly Trouble[] = fate === 'lost' ? ['again', 'again', 'fatal'] : ['again', 'again', 'abort', 'fatal'];
    return kinds[prng.nextBelow(kinds.length)]!;
  }

  #lose(trouble: Trouble): RdkafkaError {
    this.#lost = trouble;
    return troubleOf(trouble);
  }

  /** Sends what is kept; a verdict when that was refused. */
  #flushed(): Verdict | undefined {
    for (const message of this.#buffer.splice(0)) {
      const verdict = this.#append(message);
      if (verdict !== 'done') return verdict;
    }
    return undefined;
  }

  #append(message: BrokerMessage): Verdict {
    const { broker, scheduler } = this.#client;
    this.#isKnown = true;
    const verdict = broker.append(this.#id, this.#epoch, message);
    if (this.#late !== undefined && scheduler.isOneIn(LATE_ONE_IN)) this.#late();
    return verdict;
  }

  initTransactions(_timeoutMs: number, done: Done): void {
    this.#call(done, () => {
      this.#epoch = this.#client.broker.initialise(this.#id);
      return 'done';
    });
  }

  beginTransaction(done: Done): void {
    this.#buffer = [];
    this.#isKnown = false;
    const { scheduler, owner } = this.#client;
    const error = this.#lost === undefined ? null : troubleOf(this.#lost);
    scheduler.after(owner, 0, () => done(error));
  }

  sendOffsetsToTransaction(offsets: readonly TopicPartition[], consumer: Consumer, _timeoutMs: number, done: Done): void {
    const group = groupNames.get(consumer) ?? '';
    const byKey = new Map(offsets.map(({ topic, partition, offset = -1 }) => [`${group} ${topic} ${partition}`, offset]));
    this.#call(done, () => {
      this.#isKnown = true;
      return this.#client.broker.addOffsets(this.#id, this.#epoch, byKey);
    });
  }

  commitTransaction(_timeoutMs: number, done: Done): void {
    const commit = (): Verdict => this.#client.broker.end(this.#id, this.#epoch, true);
    // The commit is asked for once everything else has arrived.
    this.#call(done, () => this.#flushed() ?? commit(), this.#buffer.length === 0 ? commit : undefined);
  }

  abortTransaction(_timeoutMs: number, done: Done): void {
    this.#buffer = [];
    // Of what it has never heard of the coordinator is not asked.
    this.#call(done, () => (this.#isKnown ? this.#client.broker.end(this.#id, this.#epoch, false) : 'done'));
  }

  produce(topic: string, _partition: number | null, value: Buffer, key: Buffer | string): void {
    const { broker, scheduler } = this.#client;
    if (this.#lost !== undefined) throw troubleOf(this.#lost);
    if (scheduler.isOneIn(broker.server.faults.oneIn === 0 ? 0 : FULL_ONE_IN)) throw troubleOf('full');
    const message = { topic, key: String(key), value: String(value) };
    const isKept = this.#isLingering || !broker.server.isUp || this.#buffer.length > 0;
    if (isKept) this.#buffer.push(message);
    else if (this.#append(message) !== 'done') throw this.#lose('fenced');
  }

  poll(): void {
    // Without delivery reports there is nothing to tell.
  }

  flush(_timeoutMs: number, done: Done): void {
    this.#client.scheduler.after(this.#client.owner, 0, () => done(null));
  }

  disconnect(_timeoutMs: number, done: () => void): void {
    this.#isConnected = false;
    this.#client.scheduler.after(this.#client.owner, 0, done);
  }

  isConnected(): boolean {
    return this.#isConnected;
  }

  getMetadata(): void {
    throw new Error('the publisher asks for no metadata');
  }

  queryWatermarkOffsets(): void {
    throw new Error('the publisher asks for no offsets');
  }

  on(): void {
    // No events are sent.
  }
}
