import { afterEach, describe, expect, it } from 'vitest';
import { chooseLane } from './choose-lane.ts';
import { PRODUCE_APIS } from './produce-requests.ts';
import { startScriptedCluster } from './scripted-cluster.ts';
import { startWireServer } from './wire-server.ts';

const asked = { apis: PRODUCE_APIS, isEmbedded: false };
const closing: (() => Promise<void>)[] = [];

describe('the choice of a lane', () => {
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  it('is direct where the brokers have the APIs', async () => {
    const cluster = await startScriptedCluster([]);
    closing.push(() => cluster.close());
    const { brokers } = cluster;
    expect(await chooseLane({ ...asked, knob: 'auto', brokers })).toMatchObject({ name: 'direct', why: /have the APIs/ });
    expect(await chooseLane({ ...asked, knob: 'librdkafka', brokers })).toMatchObject({ name: 'librdkafka' });
  });

  it('is librdkafka by itself where an API is missing, and a refusal where direct was asked for', async () => {
    const server = await startWireServer([[0, 3, 8]], () => undefined);
    closing.push(() => server.close());
    const brokers = `${server.address.host}:${server.address.port}`;
    const missing = /Produce version 9, it has 3 to 8/;
    expect(await chooseLane({ ...asked, knob: 'auto', brokers })).toMatchObject({ name: 'librdkafka', why: missing });
    await expect(chooseLane({ ...asked, knob: 'direct', brokers })).rejects.toMatchObject({ code: 'KAFKA_LANE', message: missing });
  });

  it('is librdkafka on the embedded cluster, and a refusal where direct was asked for', async () => {
    expect(await chooseLane({ ...asked, knob: 'auto', brokers: '', isEmbedded: true })).toMatchObject({ name: 'librdkafka' });
    await expect(chooseLane({ ...asked, knob: 'direct', brokers: '', isEmbedded: true })).rejects.toMatchObject({ code: 'KAFKA_LANE' });
  });
});
