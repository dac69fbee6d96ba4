/** The plain book obeys every rule of docs/reference/matching.md. */
import { createBookOracle } from '../engine/market/book-oracle.ts';
import { describeBookChecks } from './contract/book-suite-checks.ts';

describeBookChecks('plain book', createBookOracle);
