/** The DescribeConfigs API, version 4, as far as a producer asks: how large a batch each topic takes. */
import { messageOf } from '../core/errors.ts';
import type { Brokers } from './brokers.ts';
import type { WireRequest } from './connection.ts';
import { PRODUCE_APIS } from './produce-requests.ts';
import { createWireWriter, type WireReader } from './wire.ts';

const TOPIC_RESOURCE = 2;
const MAX_BYTES = 'max.message.bytes';

/** `max.message.bytes` of topics, of those whose settings may be read. Never rejects. */
export async function batchBytesOf(brokers: Brokers, topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
  try {
    return await brokers.askAny((connection) => connection.ask(batchBytesRequest(topics)));
  } catch (error) {
    brokers.trouble = messageOf(error);
    return new Map();
  }
}

/** Asks for `max.message.bytes` of topics; one whose settings may not be read is left out of the answer. */
function batchBytesRequest(topics: readonly string[]): WireRequest<ReadonlyMap<string, number>> {
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
  const { key, version } = PRODUCE_APIS.DescribeConfigs;
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
