import { expect, it } from 'vitest';
import { brokerBetween } from './broker-figures.ts';
import { parseMetrics } from './sampler.ts';

function page(count: number, mean: number, p99: number, bytes: number) {
  const lines = ['Total', 'Local', 'RequestQueue', 'ResponseQueue'].flatMap((part) =>
    ['Produce', 'FetchConsumer'].flatMap((request) =>
      Object.entries({ Count: count, Mean: mean, '99thPercentile': p99 }).map(
        ([is, value]) => `kafka_request_ms{is="${is}",part="${part}",request="${request}"} ${value}`,
      ),
    ),
  );
  return parseMetrics(['# HELP kafka_bytes', ...lines, `kafka_bytes{way="In"} ${bytes}`, `kafka_bytes{way="Out"} ${2 * bytes}`].join('\n'));
}

it('takes counts and means of the time in between out of those since the broker began', () => {
  const figures = brokerBetween(page(100, 4, 30, 1000), page(300, 2, 20, 5000));
  // 300 x 2 ms less 100 x 4 ms are 200 ms of 200 requests.
  expect(figures).toMatchObject({
    'kafka produce requests': 200,
    'kafka produce ms total, mean': 1,
    'kafka fetch ms in request queue, mean': 1,
    'kafka fetch ms local, p99 of the last minutes': 20,
    'kafka bytes in': 4000,
    'kafka bytes out': 8000,
  });
});

it('has no times where there were no requests, and nothing at all of a broker that is not seen', () => {
  const figures = brokerBetween(page(100, 4, 30, 1000), page(100, 4, 30, 1000));
  expect(figures).toEqual({ 'kafka produce requests': 0, 'kafka fetch requests': 0, 'kafka bytes in': 0, 'kafka bytes out': 0 });
  expect(brokerBetween(undefined, page(1, 1, 1, 1))).toEqual({});
});
