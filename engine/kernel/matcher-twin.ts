/** The plain book behind the face of the matcher kernel, for tests: the same commands and events as bytes, slowly. */
import * as L from '../../schemas/order-layout.gen.ts';
import { createBookOracle } from '../market/book-oracle.ts';
import { readCommand, restoreOf, writeCommand, writeEvent } from '../market/order-command.ts';
import type { MatcherPools, MatcherSetup } from './matcher-core.ts';

const EVENT_CAPACITY = 8192;

export function createMatcherTwin(pools: MatcherPools): MatcherSetup {
  const oracle = createBookOracle(pools);
  const commands = new DataView(new ArrayBuffer(L.ORDER_COMMAND_SIZE));
  const events = new DataView(new ArrayBuffer(EVENT_CAPACITY * L.ORDER_EVENT_SIZE));
  let eventCount = 0;
  return {
    ...oracle,
    commands: { bytes: new Uint8Array(commands.buffer) },
    events: { bytes: new Uint8Array(events.buffer) },
    eventCount: () => eventCount,
    run() {
      const said = oracle.apply(readCommand(commands, 0));
      for (const [index, event] of said.entries()) writeEvent(events, index * L.ORDER_EVENT_SIZE, event);
      eventCount = said.length;
      return 1;
    },
    listRestores(symbolIndex) {
      const orders = oracle.list(symbolIndex);
      for (const [index, order] of orders.entries()) writeCommand(events, index * L.ORDER_EVENT_SIZE, restoreOf(symbolIndex, order));
      return orders.length;
    },
  };
}
