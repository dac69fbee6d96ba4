/** What the simulated servers hold in the end, as the comparison wants it. */
import { vwapOf } from '../../engine/market/bar-values.ts';
import type { BarRecord } from '../../engine/market/ring-record.ts';
import type { Message } from '../../engine/sinks/kafka/rdkafka.ts';
import { deadLetterTopic } from '../../engine/sinks/kafka/topics.ts';
import type { BarValues } from '../../engine/sinks/postgres/bar-record.ts';
import { INSTRUMENT_KIND_QUOTE } from '../../schemas/layout.gen.ts';
import { type BarFields, openText, rowText } from '../torture/bar-text.ts';
import { acceptedText, type Found } from '../torture/compare.ts';
import type { Expected } from '../torture/expected.ts';
import { barMessages, letterMessages } from '../torture/read-topics.ts';
import { PREFIX, type World } from './process.ts';
import { recordsOf, type Store } from './store.ts';

const NS_PER_SECOND = 1_000_000_000n;

/** @param expected for the view of open bars, which is SQL and not simulated */
export function findAll({ database: { store }, broker, timeframes, log }: World, expected: Expected): Found {
  const nameOf = (timeframeIndex: number): string => timeframes[timeframeIndex]?.name ?? '';
  const messages = broker
    .committed()
    .map(({ topic, key, value }, offset): Message => ({ topic, partition: 0, offset, key: Buffer.from(key), value: Buffer.from(value) }));
  return {
    rows: [...store.rows.values()].map(({ symbol, timeframeIndex, tsStartNs, isQuote, priceScale, values }) => ({
      key: `${nameOf(timeframeIndex)} ${symbol} ${tsStartNs / NS_PER_SECOND}`,
      revision: values.revision,
      text: rowText(
        fieldsOfValues(values, isQuote),
        isQuote ? null : vwapOf(values.notional ?? 0n, values.volumeLots, priceScale),
        values.notional ?? null,
      ),
    })),
    open: [...store.open.values()].flatMap(({ state }) =>
      recordsOf(state).map((bar) => {
        const notional = bar.instrumentKind === INSTRUMENT_KIND_QUOTE ? null : bar.notional;
        return [
          `${nameOf(bar.timeframeIndex)} ${state.symbol} ${bar.tsStartNs / NS_PER_SECOND}`,
          openText(fieldsOf(bar), notional),
        ] as const;
      }),
    ),
    openWhole: [...expected.openWhole],
    lateTicks: store.lateTicks,
    partitions: partitionsOf(store),
    instruments: [...store.instruments.values()].map(({ name, isQuote, priceDecimals, lotDecimals, partition }) => [
      name,
      `${isQuote ? 'quote' : 'trade'} ${priceDecimals} ${lotDecimals} ${partition}`,
    ]),
    messages: barMessages(messages, PREFIX, timeframes),
    letters: letterMessages(messages, { dlq: deadLetterTopic(PREFIX), ticks: log.topic }),
  };
}

function partitionsOf(store: Store): Found['partitions'] {
  return [...store.partitions].map(([partition, row]) => ({
    partition,
    nextOffset: row.nextOffset,
    watermarkNs: row.watermarkNs,
    accepted: acceptedText(row),
  }));
}

function fieldsOfValues(values: BarValues, isQuote: boolean): BarFields {
  const { prices, ask } = values;
  return {
    open: prices.open,
    high: prices.high,
    low: prices.low,
    close: prices.close,
    ask: isQuote && ask ? [ask.open, ask.high, ask.low, ask.close] : undefined,
    volumeLots: values.volumeLots,
    count: values.tradeCount,
    late: values.lateCount,
    firstNs: values.firstNs,
    lastNs: values.lastNs,
  };
}

function fieldsOf(bar: BarRecord): BarFields {
  const { open, high, low, close, volumeLots, firstNs, lastNs } = bar;
  const isQuote = bar.instrumentKind === INSTRUMENT_KIND_QUOTE;
  const ask = isQuote ? [bar.askOpen, bar.askHigh, bar.askLow, bar.askClose] : undefined;
  return { open, high, low, close, ask, volumeLots, count: bar.tradeCount, late: bar.lateCount, firstNs, lastNs };
}
