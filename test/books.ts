/** The books that every test of the matching rules runs on, by name. */
import { createMatcher } from '../engine/kernel/matcher.ts';
import { createBookOracle } from '../engine/market/book-oracle.ts';
import type { CreateBook } from './book-desk.ts';

export const BOOKS: readonly (readonly [name: string, create: CreateBook])[] = [
  ['plain book', createBookOracle],
  ['matcher kernel', (pools) => createMatcher({ ...pools, commandCapacity: 16 })],
];
