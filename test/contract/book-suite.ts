/** Every rule of docs/reference/matching.md, on any book of ours. */
import type { CreateBook } from '../book-desk.ts';
import { describeBookChecks } from './book-suite-checks.ts';
import { describeBookCommands } from './book-suite-commands.ts';
import { describeBookEvents } from './book-suite-events.ts';
import { describeBookOrders } from './book-suite-orders.ts';
import { describeBookPhases } from './book-suite-phases.ts';
import { describeBookSettling } from './book-suite-settle.ts';
import { describeBookTaking } from './book-suite-taking.ts';

/** Runs the suite; `create` gives an empty book of the given pools each time. */
export function describeBookRules(name: string, create: CreateBook): void {
  describeBookChecks(name, create);
  describeBookOrders(name, create);
  describeBookTaking(name, create);
  describeBookSettling(name, create);
  describeBookPhases(name, create);
  describeBookCommands(name, create);
  describeBookEvents(name, create);
}
