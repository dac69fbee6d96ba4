/** The matcher kernel obeys every rule of docs/reference/matching.md. */
import { createMatcher } from '../engine/kernel/matcher.ts';
import { describeBookRules } from './contract/book-suite.ts';

describeBookRules('matcher kernel', (pools) => createMatcher({ ...pools, commandCapacity: 16 }));
