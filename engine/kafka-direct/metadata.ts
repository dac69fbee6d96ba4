/** The Metadata API, version 9: the brokers of a cluster, and who leads the partitions of topics. */
import type { BrokerAddress, WireRequest } from './connection.ts';
import { createWireWriter, type WireReader } from './wire.ts';

export const METADATA = { key: 3, version: 9 } as const;

export interface Leader {
  readonly nodeId: number;
  /** Counts the leaders that the partition has had; a broker that knows of another epoch refuses. */
  readonly epoch: number;
}

export interface TopicLeaders {
  readonly code: number;
  readonly name: string;
  /** Who leads each partition, by partition; undefined while nobody does. */
  readonly leaders: readonly (Leader | undefined)[];
}

export interface ClusterMetadata {
  readonly brokers: ReadonlyMap<number, BrokerAddress>;
  readonly topics: readonly TopicLeaders[];
}

/** Asks for these topics; with `isCreating`, brokers that create topics by themselves do so for a missing one. */
export function metadataRequest(topics: readonly string[], isCreating: boolean): WireRequest<ClusterMetadata> {
  const writer = createWireWriter();
  writer.compactCount(topics.length);
  for (const topic of topics) {
    writer.compactString(topic);
    writer.noTags();
  }
  writer.int8(isCreating ? 1 : 0);
  writer.int8(0);
  writer.int8(0);
  writer.noTags();
  const { key, version } = METADATA;
  return { what: `Metadata of ${topics.join(', ')}`, apiKey: key, version, isFlexible: true, body: [writer.bytes()], read: readMetadata };
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

function readLeaders(reader: WireReader): (Leader | undefined)[] {
  const leaders: (Leader | undefined)[] = [];
  for (let count = reader.compactCount(); count > 0; count -= 1) {
    reader.int16();
    const partition = reader.int32();
    while (leaders.length <= partition) leaders.push(undefined);
    const nodeId = reader.int32();
    const epoch = reader.int32();
    if (nodeId >= 0) leaders[partition] = { nodeId, epoch };
    for (let list = 0; list < 3; list += 1) reader.skip(4 * Math.max(0, reader.compactCount()));
    reader.skipTags();
  }
  return leaders;
}
