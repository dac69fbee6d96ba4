/** Knobs of the exchange. */
import type { Knob } from './knobs.ts';

export const EXCHANGE_KNOBS = [
  {
    name: 'MATCHER',
    kind: 'choice',
    fallback: 'off',
    choices: ['off', 'on'],
    group: 'Exchange',
    doc: '`on`: the books of BOOKS_FILE are open, orders come in on MATCHER_PORT',
  },
  {
    name: 'MATCHER_PORT',
    kind: 'integer',
    fallback: 5555,
    min: 0,
    max: 65535,
    group: 'Exchange',
    doc: "port of the orders' JSON lines; 0 picks a free one",
  },
  { name: 'MATCHER_HOST', kind: 'text', fallback: '127.0.0.1', group: 'Exchange', doc: 'address to listen on' },
  {
    name: 'BOOKS_FILE',
    kind: 'text',
    fallback: 'config/books.json',
    group: 'Exchange',
    doc: 'which symbols have a book, its tick, lot and band, and the limits of owners',
  },
  {
    name: 'ORDERS_MAX',
    kind: 'integer',
    fallback: 131072,
    min: 1024,
    max: 4194304,
    group: 'Exchange',
    doc: 'orders that may rest at once in all books; more are refused',
  },
  {
    name: 'PRICE_PAGES_MAX',
    kind: 'integer',
    fallback: 4096,
    min: 16,
    max: 65536,
    group: 'Exchange',
    doc: 'pages of 512 neighbouring prices that may be in use at once in all books; 16 KiB each; orders that need more are refused',
  },
  {
    name: 'ORDER_QUEUE',
    kind: 'integer',
    fallback: 4096,
    min: 256,
    max: 1048576,
    isPowerOfTwo: true,
    group: 'Exchange',
    doc: 'slots of the order ring and of the event ring',
  },
] as const satisfies readonly Knob[];
