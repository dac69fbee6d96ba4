/** What Kafka counts and times of itself, before and after: its JMX figures by HTTP (infra/kafka/jmx.yaml). */
import { type Metrics, readMetrics } from './sampler.ts';

/** Where they are shown, or why not. */
export type BrokerMonitor = { readonly url: string } | { readonly notSeen: string };

/** Parts of the time of a request, as Kafka has them; what is left of `total` waited for others, as a fetch does for bytes. */
const PARTS = { Total: 'total', Local: 'local', RequestQueue: 'in request queue', ResponseQueue: 'in response queue' } as const;
const REQUESTS = { Produce: 'produce', FetchConsumer: 'fetch' } as const;
const WAYS = { In: 'in', Out: 'out' } as const;

/** Undefined where nothing shows them. @throws when the broker does not answer in time */
export async function readBrokerFigures(monitor: BrokerMonitor): Promise<Metrics | undefined> {
  return 'url' in monitor ? await readMetrics(monitor.url) : undefined;
}

/**
 * Counts and means are of the time between the two: the broker has both since it began. A 99th percentile is the broker's own, of its last minutes,
 * and there is none for less.
 */
export function brokerBetween(before: Metrics | undefined, after: Metrics | undefined): Record<string, number> {
  if (before === undefined || after === undefined) return {};
  const found: Record<string, number> = {};
  for (const [request, name] of Object.entries(REQUESTS)) {
    for (const [part, text] of Object.entries(PARTS)) {
      const figureOf = (metrics: Metrics, is: string): number =>
        metrics.get(`kafka_request_ms{is="${is}",part="${part}",request="${request}"}`) ?? 0;
      const [earlier, later] = [figureOf(before, 'Count'), figureOf(after, 'Count')];
      const count = later - earlier;
      if (part === 'Total') found[`kafka ${name} requests`] = count;
      if (count <= 0) continue;
      found[`kafka ${name} ms ${text}, mean`] = (figureOf(after, 'Mean') * later - figureOf(before, 'Mean') * earlier) / count;
      found[`kafka ${name} ms ${text}, p99 of the last minutes`] = figureOf(after, '99thPercentile');
    }
  }
  for (const [way, text] of Object.entries(WAYS)) {
    const bytes = (metrics: Metrics): number => metrics.get(`kafka_bytes{way="${way}"}`) ?? 0;
    found[`kafka bytes ${text}`] = bytes(after) - bytes(before);
  }
  return found;
}
