/** What a producer asks about its topics: who leads their partitions, and how large a batch may be. */
import type { BrokerAddress, WireRequest } from './connection.ts';
import { createWireWriter, type WireReader } from './wire.ts';

/** Versions that this lane speaks, by name, for `assertApi`. */
export const METADATA_APIS = { Metadata: { key: 3, version: 9 }, DescribeConfigs: { key: 32, version: 4 } } as const;

const TOPIC_RESOURCE = 2;
const MAX_BYTES = 'max.message.bytes';

export interface TopicLeaders {
  readonly code: number;
  readonly name: string;
  /** Broker that leads each partition, by partition; -1 while none does. */
  readonly leaders: readonly number[];
}

export interface ClusterMetadata {
  readonly brokers: ReadonlyMap<number, BrokerAddress>;
  readonly topics: readonly TopicLeaders[];
}

/** Asks for these topics; brokers that create topics by themselves do so for a missing one. */
export function metadataRequest(topics: readonly string[]): WireRequest<ClusterMetadata> {
  const writer = createWireWriter();
  writer.compactCount(topics.length);
  for (const topic of topics) {
    writer.compactString(topic);
    writer.noTags();
  }
  writer.int8(1);
  writer.int8(0);
  writer.int8(0);
  writer.noTags();
  const { key, version } = METADATA_APIS.Metadata;
  return { what: 'Metadata', apiKey: key, version, isFlexible: true, body: [writer.bytes()], read: readMetadata };
}

function readMetadata(reader: WireReader): ClusterMetadata {
  reader.int32();
  const brokers = new Map<number, BrokerAddress>();
  for (let count = reader.compactCount(); count > 0; count -= 1) {
    const brokerId = reader.int32();
    const host = reader.compactString() ?? '';
    brokers.set(brokerId, { host, port: reader.int32() });
    reader.compactString();
    reader.skipTags();
  }
  reader.compactString();
  reader.int32();
  const topics: TopicLeaders[] = [];
  for (let count = reader.compactCount(); count > 0; count -= 1) {
    const code = reader.int16();
    const name = reader.compactString() ?? '';
    reader.int8();
    topics.push({ code, name, leaders: readLeaders(reader) });
    reader.int32();
    reader.skipTags();
  }
  return { brokers, topics };
}

function readLeaders(reader: WireReader): number[] {
  const leaders: number[] = [];
  for (let count = reader.compactCount(); count > 0; count -= 1) {
    reader.int16();
    const partition = reader.int32();
    while (leaders.length <= partition) leaders.push(-1);
    leaders[partition] = reader.int32();
    reader.int32();
    for (let list = 0; list < 3; list += 1) reader.skip(4 * Math.max(0, reader.compactCount()));
    reader.skipTags();
  }
  return leaders;
}

/** Asks for `max.message.bytes` of topics; one whose settings may not be read is left out of the answer. */
export function batchBytesRequest(topics: readonly string[]): WireRequest<ReadonlyMap<string, number>> {
  const writer = createWireWriter();
  writer.compactCount(topics.length);
  for (const topic of topics) {
    writer.int8(TOPIC_RESOURCE);
    writer.compactString(topic);
    writer.compactCount(1);
    writer.compactString(MAX_BYTES);
    writer.noTags();
  }
  writer.int8(0);
  writer.int8(0);
  writer.noTags();
  const { key, version } = METADATA_APIS.DescribeConfigs;
  return { what: 'DescribeConfigs', apiKey: key, version, isFlexible: true, body: [writer.bytes()], read: readBatchBytes };
}

function readBatchBytes(reader: WireReader): ReadonlyMap<string, number> {
  reader.int32();
  const found = new Map<string, number>();
  for (let count = reader.compactCount(); count > 0; count -= 1) {
    reader.int16();
    reader.compactString();
    reader.int8();
    const topic = reader.compactString() ?? '';
    for (let settings = reader.compactCount(); settings > 0; settings -= 1) {
      const name = reader.compactString();
      const value = Number(reader.compactString());
      if (name === MAX_BYTES && Number.isSafeInteger(value)) found.set(topic, value);
      skipSettingRest(reader);
    }
    reader.skipTags();
  }
  return found;
}

/** Flags, source, synonyms, type and documentation of a setting. */
function skipSettingRest(reader: WireReader): void {
  reader.skip(3);
  for (let synonyms = reader.compactCount(); synonyms > 0; synonyms -= 1) {
    reader.compactString();
    reader.compactString();
    reader.int8();
    reader.skipTags();
  }
  reader.int8();
  reader.compactString();
  reader.skipTags();
}
