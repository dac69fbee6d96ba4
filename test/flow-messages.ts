/** A seeded order flow, matched by the plain book, as the order-by-order messages that a venue would send of it. */
import { createPrng } from '../engine/core/prng.ts';
import { BOOK_ACTION, BOOK_FLAG, type BookMessage, NO_PRICE } from '../engine/market/book-message.ts';
import { createBookOracle } from '../engine/market/book-oracle.ts';
import { attributesOf, newCommand, type OrderEvent } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';

export interface FlowOptions {
  readonly seed: number;
  readonly commands: number;
  readonly symbols: number;
  /** `fills`: a trade, the fill that names its maker, and a cancel of what was filled. `executions`: one execution for each maker. */
  readonly style: 'fills' | 'executions';
}

/** The messages, and how many incoming orders traded, and lots. */
export interface Flow {
  readonly messages: BookMessage[];
  readonly takers: number;
  readonly lots: number;
}

export function createFlow({ seed, commands, symbols, style }: FlowOptions): Flow {
  const prng = createPrng(seed);
  const oracle = createBookOracle({ symbols, orders: 4096, pages: 64 * symbols, owners: 1 });
  const max = L.ORDER_LIMIT_QUANTITY_MAX;
  const bounds = {
    tickStep: 1,
    lotStep: 1,
    minLots: 1,
    maxLots: max,
    lowerTicks: 0,
    upperTicks: 1 << 20,
    lastTicks: L.ORDER_LIMIT_PRICE_NONE,
  };
  for (let symbol = 0; symbol < symbols; symbol += 1) oracle.configure(symbol, { phase: L.PHASE_CONTINUOUS, ...bounds });
  const messages: BookMessage[] = [];
  const live: { id: bigint; symbolIndex: number }[] = [];
  let takers = 0;
  let lots = 0;
  for (let step = 0; step < commands; step += 1) {
    const tsNs = 1_000_000n + BigInt(step);
    const symbolIndex = prng.nextBelow(symbols);
    const events = oracle.apply(nextCommand());
    const from = messages.length;
    emit(events);
    const last = messages.at(-1);
    if (messages.length > from && last) messages[messages.length - 1] = { ...last, flags: BOOK_FLAG.last };

    function nextCommand(): ReturnType<typeof newCommand> {
      const dice = prng.nextBelow(10);
      if (dice < 3 && live.length > 0) {
        const [{ id, symbolIndex: at }] = live.splice(prng.nextBelow(live.length), 1) as [(typeof live)[number]];
        return newCommand({ kind: L.COMMAND_KIND_CANCEL, symbolIndex: at, orderId: id, tsNs });
      }
      if (dice < 4 && live.length > 0) {
        const { id, symbolIndex: at } = live[prng.nextBelow(live.length)]!;
        return newCommand({ kind: L.COMMAND_KIND_REDUCE, symbolIndex: at, orderId: id, tsNs, quantityLots: 1 + prng.nextBelow(5) });
      }
      const side = prng.nextBelow(2);
      const attributes = attributesOf({ side, timeInForce: dice === 9 ? L.TIME_IN_FORCE_IOC : L.TIME_IN_FORCE_GTC });
      const priceTicks = 1000 + prng.nextBelow(24) + (side === 0 ? -14 : -10);
      const orderId = BigInt(step + 1);
      live.push({ id: orderId, symbolIndex });
      return newCommand({ symbolIndex, orderId, tsNs, priceTicks, quantityLots: 1 + prng.nextBelow(20), attributes });
    }

    function push(message: Partial<BookMessage> & Pick<BookMessage, 'action'>, event: OrderEvent): void {
      const unused = { side: 2, orderId: 0n, newOrderId: 0n, priceTicks: NO_PRICE, quantityLots: 0, flags: 0 };
      messages.push({ ...unused, tsNs, symbolIndex: event.symbolIndex, ...message });
    }

    function emit(events: readonly OrderEvent[]): void {
      const accepted = events.find(({ kind }) => kind === L.EVENT_KIND_ACCEPTED);
      let leaves = accepted?.quantityLots ?? 0;
      let hasTraded = false;
      for (const event of events) {
        if (event.kind === L.EVENT_KIND_TRADE) {
          const side = event.attributes & 1;
          const { priceTicks, quantityLots, orderId, otherId } = event;
          leaves -= quantityLots;
          lots += quantityLots;
          hasTraded = true;
          const maker = { side: 1 - side, orderId: otherId, priceTicks, quantityLots };
          if (style === 'executions') push({ action: BOOK_ACTION.execute, ...maker }, event);
          else {
            push({ action: BOOK_ACTION.trade, side, orderId, priceTicks, quantityLots }, event);
            push({ action: BOOK_ACTION.fill, ...maker }, event);
            push({ action: BOOK_ACTION.cancel, ...maker }, event);
          }
        } else if (event.kind === L.EVENT_KIND_CANCELLED && event.orderId !== accepted?.orderId) {
          const { orderId, priceTicks, quantityLots, leavesLots, attributes } = event;
          push({ action: BOOK_ACTION.cancel, side: attributes & 1, orderId, priceTicks, quantityLots: leavesLots || quantityLots }, event);
        } else if (event.kind === L.EVENT_KIND_REPLACED) {
          const { orderId, priceTicks, leavesLots, attributes } = event;
          push({ action: BOOK_ACTION.modify, side: attributes & 1, orderId, priceTicks, quantityLots: leavesLots }, event);
        }
      }
      if (hasTraded) takers += 1;
      const isGone = events.some(({ kind, orderId }) => kind === L.EVENT_KIND_CANCELLED && orderId === accepted?.orderId);
      if (!accepted || leaves === 0 || isGone) return;
      const { orderId, priceTicks, attributes } = accepted;
      push({ action: BOOK_ACTION.add, side: attributes & 1, orderId, priceTicks, quantityLots: leaves }, accepted);
    }
  }
  return { messages, takers, lots };
}
