/** The plain book and the matcher kernel obey every rule of docs/reference/matching.md. */
import { BOOKS } from './books.ts';
import { describeBookRules } from './contract/book-suite.ts';

for (const [name, create] of BOOKS) describeBookRules(name, create);
