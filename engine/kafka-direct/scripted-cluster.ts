/**
 * For tests: brokers in the process that store by Kafka's rules and do with each request what a script says. Partitions are led by one of them, and
 * the coordinator of everything is one of them; both may move.
 */

import { KAFKA_CODE } from './broker-errors.ts';
import { crc32c } from './crc32c.ts';
import { METADATA } from './metadata.ts';
import { PRODUCE_APIS } from './produce-requests.ts';
import { createScriptedStore, type ProducerKey, type ScriptedStore, type StoredRecord } from './scripted-store.ts';
import { createWireReader, type WireReader } from './wire.ts';
import { startWireServer, type WireCall, type WireServer, wireBytes } from './wire-server.ts';

/**
 * What a request meets. `lost`: it is carried out, and its connection ends without an answer. `cut`: the same, but it is not carried out.
 * `moved`: another broker leads or coordinates from now on. `passing`: it is refused for the moment. `fenced`: somebody else initialised the
 * id before. `throttled`: it is carried out, and brokers ask to be left alone for 3 ms.
 */
export type WireFate = 'done' | 'lost' | 'cut' | 'moved' | 'passing' | 'fenced' | 'throttled';

export const SCRIPTED_PARTITIONS = 3;
const THROTTLE_MS = 3;
/** What is asked about the cluster itself is always answered. */
const PLAIN: ReadonlySet<number> = new Set([METADATA.key, PRODUCE_APIS.DescribeConfigs.key, PRODUCE_APIS.FindCoordinator.key]);
/** Requests that begin with a transactional id that is initialised already. */
const NAMED: ReadonlySet<number> = new Set(
  (['Produce', 'AddPartitionsToTxn', 'AddOffsetsToTxn', 'TxnOffsetCommit', 'EndTxn'] as const).map((name) => PRODUCE_APIS[name].key),
);
const VERSIONS = [METADATA, ...Object.values(PRODUCE_APIS)].map(({ key, version }) => [key, 0, version] as const);

export interface ScriptedCluster {
  readonly brokers: string;
  readonly store: ScriptedStore;
  /** Topics that there are not. */
  readonly missing: Set<string>;
  /** How often requests of an API came. */
  count(api: keyof typeof PRODUCE_APIS): number;
  close(): Promise<void>;
}

interface State {
  readonly store: ScriptedStore;
  readonly servers: WireServer[];
  readonly batchBytesMax: number;
  readonly missing: Set<string>;
  leader: number;
  coordinator: number;
}

/** @param script fates in turn, once each; then everything is done, or a run would not end */
export async function startScriptedCluster(
  script: readonly WireFate[],
  { brokerCount = 2, batchBytesMax = 1_000_000 }: { readonly brokerCount?: number; readonly batchBytesMax?: number } = {},
): Promise<ScriptedCluster> {
  const state: State = { store: createScriptedStore(), servers: [], batchBytesMax, missing: new Set(), leader: 0, coordinator: 0 };
  let turn = 0;
  const answer = (call: WireCall, brokerId: number): Uint8Array | undefined => {
    const fate = PLAIN.has(call.apiKey) ? 'done' : (script[turn++] ?? 'done');
    if (fate === 'moved') {
      state.leader = (state.leader + 1) % brokerCount;
      state.coordinator = (state.coordinator + 1) % brokerCount;
    }
    if (fate === 'cut') {
      call.socket.destroy();
      return undefined;
    }
    const body = answerTo(state, call, { brokerId, fate });
    if (fate !== 'lost') return body;
    call.socket.destroy();
    return undefined;
  };
  for (let brokerId = 0; brokerId < brokerCount; brokerId += 1) {
    state.servers.push(await startWireServer(VERSIONS, (call) => answer(call, brokerId)));
  }
  return {
    brokers: state.servers.map(({ address }) => `${address.host}:${address.port}`).join(','),
    store: state.store,
    missing: state.missing,
    count: (api) => state.servers.flatMap(({ calls }) => calls).filter(({ apiKey }) => apiKey === PRODUCE_APIS[api].key).length,
    async close() {
      for (const server of state.servers) await server.close();
    },
  };
}

interface Meeting {
  readonly brokerId: number;
  readonly fate: WireFate;
}

function answerTo(state: State, { apiKey, body }: WireCall, meeting: Meeting): Uint8Array {
  const reader = createWireReader([body], 'a request');
  if (meeting.fate === 'fenced' && NAMED.has(apiKey)) state.store.init(createWireReader([body], 'a request').compactString() ?? '');
  const throttleMs = meeting.fate === 'throttled' ? THROTTLE_MS : 0;
  if (apiKey === METADATA.key) return metadataBody(state, reader);
  if (apiKey === PRODUCE_APIS.DescribeConfigs.key) return configsBody(state, reader);
  if (apiKey === PRODUCE_APIS.Produce.key) return produceBody(state, reader, meeting);
  if (apiKey === PRODUCE_APIS.FindCoordinator.key) return coordinatorBody(state);
  const refusal = refusalOf(state, meeting);
  if (apiKey === PRODUCE_APIS.InitProducerId.key) return initBody(state, reader, refusal);
  if (apiKey === PRODUCE_APIS.AddPartitionsToTxn.key) return partitionsBody(state, reader, refusal);
  if (apiKey === PRODUCE_APIS.TxnOffsetCommit.key) return offsetCommitBody(state, reader, refusal);
  if (apiKey === PRODUCE_APIS.OffsetFetch.key) return offsetsBody(state, reader, refusal);
  const key = readKey(reader);
  const carryOut = (): number =>
    apiKey === PRODUCE_APIS.EndTxn.key ? state.store.end(key, reader.int8() === 1) : state.store.addGroup(key);
  const code = refusal ?? carryOut();
  return wireBytes((writer) => {
    writer.int32(throttleMs);
    writer.int16(code);
    writer.noTags();
  });
}

/** Why a coordinator does not carry out a request; undefined when it does. */
function refusalOf(state: State, { brokerId, fate }: Meeting): number | undefined {
  if (fate === 'passing') return KAFKA_CODE.coordinatorLoadInProgress;
  return brokerId === state.coordinator ? undefined : KAFKA_CODE.notCoordinator;
}

function readKey(reader: WireReader): ProducerKey {
  return { transactionalId: reader.compactString() ?? '', producerId: reader.int64(), epoch: reader.int16() };
}

function initBody(state: State, reader: WireReader, refusal: number | undefined): Uint8Array {
  const made = refusal === undefined ? state.store.init(reader.compactString() ?? '') : { producerId: -1n, epoch: -1 };
  return wireBytes((writer) => {
    writer.int32(0);
    writer.int16(refusal ?? KAFKA_CODE.none);
    writer.int64(made.producerId);
    writer.int16(made.epoch);
    writer.noTags();
  });
}

function coordinatorBody({ servers, coordinator }: State): Uint8Array {
  return coordinatorAnswer(KAFKA_CODE.none, coordinator, servers[coordinator]?.address);
}

/** Answers FindCoordinator. */
export function coordinatorAnswer(code: number, brokerId: number, address = { host: '', port: 0 }): Uint8Array {
  return wireBytes((writer) => {
    writer.int32(0);
    writer.int16(code);
    writer.compactString(null);
    writer.int32(brokerId);
    writer.compactString(address.host);
    writer.int32(address.port);
    writer.noTags();
  });
}

function metadataBody({ servers, leader, missing }: State, reader: WireReader): Uint8Array {
  const topics = readTopics(reader, () => undefined);
  return wireBytes((writer) => {
    writer.int32(0);
    writer.compactCount(servers.length);
    for (const [brokerId, { address }] of servers.entries()) {
      writer.int32(brokerId);
      writer.compactString(address.host);
      writer.int32(address.port);
      writer.compactString(null);
      writer.noTags();
    }
    writer.compactString('scripted');
    writer.int32(0);
    writer.compactCount(topics.length);
    for (const topic of topics) {
      const partitions = missing.has(topic) ? 0 : SCRIPTED_PARTITIONS;
      writer.int16(partitions === 0 ? KAFKA_CODE.unknownTopicOrPartition : KAFKA_CODE.none);
      writer.compactString(topic);
      writer.int8(0);
      writer.compactCount(partitions);
      for (let partition = 0; partition < partitions; partition += 1) {
        writer.int16(KAFKA_CODE.none);
        writer.int32(partition);
        writer.int32((leader + partition) % servers.length);
        writer.int32(0);
        for (let list = 0; list < 3; list += 1) writer.compactCount(0);
        writer.noTags();
      }
      writer.int32(0);
      writer.noTags();
    }
    writer.int32(0);
    writer.noTags();
  });
}

function configsBody({ batchBytesMax }: State, reader: WireReader): Uint8Array {
  const topics: string[] = [];
  for (let count = reader.compactCount(); count > 0; count -= 1) {
    reader.int8();
    topics.push(reader.compactString() ?? '');
    for (let keys = reader.compactCount(); keys > 0; keys -= 1) reader.compactString();
    reader.skipTags();
  }
  return wireBytes((writer) => {
    writer.int32(0);
    writer.compactCount(topics.length);
    for (const topic of topics) {
      writer.int16(KAFKA_CODE.none);
      writer.compactString(null);
      writer.int8(2);
      writer.compactString(topic);
      writer.compactCount(1);
      writer.compactString('max.message.bytes');
      writer.compactString(String(batchBytesMax));
      for (const flag of [0, 5, 0]) writer.int8(flag);
      writer.compactCount(0);
      writer.int8(3);
      writer.compactString(null);
      writer.noTags();
      writer.noTags();
    }
    writer.noTags();
  });
}

/** Reads topics, each with what `readRest` reads behind its name. */
function readTopics(reader: WireReader, readRest: (topic: string) => void): string[] {
  const topics: string[] = [];
  for (let count = reader.compactCount(); count > 0; count -= 1) {
    const topic = reader.compactString() ?? '';
    topics.push(topic);
    readRest(topic);
    reader.skipTags();
  }
  return topics;
}

interface Answered {
  readonly topic: string;
  readonly partition: number;
  readonly code: number;
}

/** Topics with a code for each partition, and `rest` zeros behind it. */
function codesBody(answered: readonly Answered[], restBytes: number): Uint8Array {
  return wireBytes((writer) => {
    const topics = new Set(answered.map(({ topic }) => topic));
    writer.compactCount(topics.size);
    for (const topic of topics) {
      const partitions = answered.filter((one) => one.topic === topic);
      writer.compactString(topic);
      writer.compactCount(partitions.length);
      for (const { partition, code } of partitions) {
        writer.int32(partition);
        writer.int16(code);
        for (let byte = 0; byte < restBytes; byte += 1) writer.int8(0);
        if (restBytes > 0) {
          writer.compactCount(0);
          writer.compactString(null);
        }
        writer.noTags();
      }
      writer.noTags();
    }
  });
}

function withThrottle(throttleMs: number, body: Uint8Array, isBehind: boolean): Uint8Array {
  const throttle = wireBytes((writer) => writer.int32(throttleMs));
  const tags = wireBytes((writer) => writer.noTags());
  return Buffer.concat(isBehind ? [body, throttle, tags] : [throttle, body, tags]);
}

function partitionsBody({ store }: State, reader: WireReader, refusal: number | undefined): Uint8Array {
  const key = readKey(reader);
  const answered: Answered[] = [];
  readTopics(reader, (topic) => {
    for (let count = reader.compactCount(); count > 0; count -= 1) {
      const partition = reader.int32();
      answered.push({ topic, partition, code: refusal ?? store.addPartition(key, topic, partition) });
    }
  });
  return withThrottle(0, codesBody(answered, 0), false);
}

function offsetCommitBody({ store }: State, reader: WireReader, refusal: number | undefined): Uint8Array {
  const transactionalId = reader.compactString() ?? '';
  reader.compactString();
  const key = { transactionalId, producerId: reader.int64(), epoch: reader.int16() };
  reader.int32();
  reader.compactString();
  reader.compactString();
  const answered: Answered[] = [];
  readTopics(reader, (topic) => {
    for (let count = reader.compactCount(); count > 0; count -= 1) {
      const partition = reader.int32();
      const offset = Number(reader.int64());
      reader.int32();
      reader.compactString();
      reader.skipTags();
      answered.push({ topic, partition, code: refusal ?? store.commitOffset(key, partition, offset) });
    }
  });
  return withThrottle(0, codesBody(answered, 0), false);
}

function offsetsBody({ store }: State, reader: WireReader, refusal: number | undefined): Uint8Array {
  reader.compactString();
  const wanted: { topic: string; partition: number }[] = [];
  readTopics(reader, (topic) => {
    for (let count = reader.compactCount(); count > 0; count -= 1) wanted.push({ topic, partition: reader.int32() });
  });
  const offsets = store.offsets();
  return wireBytes((writer) => {
    writer.int32(0);
    writer.compactCount(wanted.length);
    for (const { topic, partition } of wanted) {
      writer.compactString(topic);
      writer.compactCount(1);
      writer.int32(partition);
      writer.int64(BigInt(offsets?.get(partition) ?? -1));
      writer.int32(-1);
      writer.compactString('');
      writer.int16(offsets ? KAFKA_CODE.none : KAFKA_CODE.unstableOffsetCommit);
      writer.noTags();
      writer.noTags();
    }
    writer.int16(refusal ?? KAFKA_CODE.none);
    writer.noTags();
  });
}

function produceBody(state: State, reader: WireReader, { brokerId, fate }: Meeting): Uint8Array {
  const transactionalId = reader.compactString() ?? '';
  reader.skip(6);
  const answered: Answered[] = [];
  readTopics(reader, (topic) => {
    for (let count = reader.compactCount(); count > 0; count -= 1) {
      const partition = reader.int32();
      const bytes = Buffer.concat(reader.take(reader.compactCount()));
      reader.skipTags();
      const isLeader = brokerId === (state.leader + partition) % state.servers.length;
      const store = (): number => {
        if (!isLeader) return KAFKA_CODE.notLeaderOrFollower;
        return fate === 'passing' ? KAFKA_CODE.notEnoughReplicas : storeBatch(state, transactionalId, { topic, partition, bytes });
      };
      answered.push({ topic, partition, code: store() });
    }
  });
  return withThrottle(fate === 'throttled' ? THROTTLE_MS : 0, codesBody(answered, 24), true);
}

function storeBatch(
  { store, batchBytesMax }: State,
  transactionalId: string,
  { topic, partition, bytes }: { readonly topic: string; readonly partition: number; readonly bytes: Buffer },
): number {
  if (bytes.length > batchBytesMax) return KAFKA_CODE.messageTooLarge;
  if (bytes.readInt32BE(8) !== bytes.length - 12 || bytes.readUInt32BE(17) !== crc32c(bytes.subarray(21))) return KAFKA_CODE.corruptMessage;
  return store.produce(transactionalId, {
    topic,
    partition,
    producerId: bytes.readBigInt64BE(43),
    epoch: bytes.readInt16BE(51),
    sequence: bytes.readInt32BE(53),
    records: readRecords(bytes),
  });
}

/** Keys and values of a batch. */
export function readRecords(bytes: Buffer): StoredRecord[] {
  let at = 61;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]!;
      value += (byte & 127) * factor;
      if (byte < 128) return value / 2;
    }
  };
  const text = (): string => {
    const length = varint();
    at += length;
    return bytes.toString('utf8', at - length, at);
  };
  return Array.from({ length: bytes.readInt32BE(57) }, () => {
    const end = varint() + at;
    at += 1;
    varint();
    varint();
    const record = { key: text(), value: text() };
    at = end;
    return record;
  });
}
