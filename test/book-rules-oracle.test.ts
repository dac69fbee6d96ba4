/** The plain book obeys every rule of docs/reference/matching.md. */
import { createBookOracle } from '../engine/market/book-oracle.ts';
import { describeBookRules } from './contract/book-suite.ts';

describeBookRules('plain book', createBookOracle);
