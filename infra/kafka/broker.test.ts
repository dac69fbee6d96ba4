/** Fetching Kafka's jars, with a Maven that writes one and notes that it ran. */
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { fetchJars, type LocalBroker } from './broker.ts';

const MAVEN = `#!/bin/sh
test "$1" = --version && exit
sleep 0.2
for last; do true; done
folder="\${last#-DoutputDirectory=}"
mkdir "$folder" && echo jar > "$folder/kafka.jar"
echo ran >> "$MAVEN_LOG"
`;

const folders: string[] = [];

function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tickwright-jars-'));
  folders.push(folder);
  writeFileSync(join(folder, 'mvn'), MAVEN);
  chmodSync(join(folder, 'mvn'), 0o755);
  vi.stubEnv('PATH', `${folder}${delimiter}${process.env['PATH']}`);
  vi.stubEnv('MAVEN_LOG', join(folder, 'runs.log'));
  return folder;
}

afterEach(() => {
  vi.unstubAllEnvs();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

it('is done once for the brokers of a cluster, which start side by side, and never again', async () => {
  const folder = makeFolder();
  const said: string[] = [];
  const libs = join(folder, 'libs');
  const brokers = [1, 2, 3].map((port): LocalBroker => ({ port, folder: join(folder, `${port}`), libs, say: (text) => said.push(text) }));
  await Promise.all(brokers.map(fetchJars));
  await Promise.all(brokers.map(fetchJars));
  expect(readFileSync(join(folder, 'runs.log'), 'utf8')).toBe('ran\n');
  expect(readdirSync(folder).sort()).toEqual(['libs', 'mvn', 'runs.log']);
  expect(readdirSync(libs)).toEqual(['kafka.jar']);
  expect(said).toHaveLength(1);
});

it('leaves nothing behind when it fails, and is tried again', async () => {
  const folder = makeFolder();
  const broker: LocalBroker = { port: 1, folder, say: () => {} };
  vi.stubEnv('MAVEN_LOG', join(folder, 'missing', 'runs.log'));
  await expect(fetchJars(broker)).rejects.toMatchObject({ code: 'KAFKA_JARS' });
  expect(readdirSync(folder)).toEqual(['mvn']);
  vi.stubEnv('MAVEN_LOG', join(folder, 'runs.log'));
  await fetchJars(broker);
  expect(readdirSync(join(folder, 'libs'))).toEqual(['kafka.jar']);
});
