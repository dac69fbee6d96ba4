/** Events of a book as short lines, so that a test can show what it expects. */
import { type OrderEvent, sideOf } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';
import { EVENT_KIND, ORDER_REASON, PHASE } from '../schemas/order-records.ts';

const nameIn = (table: Readonly<Record<string, number>>, code: number): string =>
  Object.entries(table).find(([, value]) => value === code)?.[0] ?? `${code}?`;

/** A price with what is there, or a dash. */
const levelText = (lots: bigint, priceTicks: number): string => (priceTicks === L.ORDER_LIMIT_PRICE_NONE ? '-' : `${lots}@${priceTicks}`);

/** Such as `10@100`, `10@100 from 95` with a trigger, `10` for a market order. */
function termsText(event: OrderEvent, hasPrice: boolean, hasTrigger: boolean): string {
  const price = hasPrice ? `@${event.priceTicks}` : '';
  return `${event.leavesLots}${price}${hasTrigger ? ` from ${event.otherLeavesLots}` : ''}`;
}

function typedTerms(event: OrderEvent): string {
  const type = (event.attributes >>> L.ORDER_BITS_TYPE_SHIFT) & 7;
  const hasTrigger = type === L.ORDER_TYPE_STOP || type === L.ORDER_TYPE_STOP_LIMIT || type === L.ORDER_TYPE_TRAILING_STOP;
  const hasPrice = type === L.ORDER_TYPE_LIMIT || type === L.ORDER_TYPE_STOP_LIMIT || type === L.ORDER_TYPE_MARKET_TO_LIMIT;
  return termsText(event, hasPrice, hasTrigger);
}

function textOf(event: OrderEvent): string {
  const { orderId, otherId, priceTicks, quantityLots, leavesLots, otherLeavesLots } = event;
  const head = `${nameIn(EVENT_KIND, event.kind)} ${orderId}`;
  switch (event.kind) {
    case EVENT_KIND.accepted:
      return `${head}: ${sideOf(event.attributes) === 0 ? 'buy' : 'sell'} ${typedTerms(event)}`;
    case EVENT_KIND.rejected:
      return `${head}: ${nameIn(ORDER_REASON, event.reason)}`;
    case EVENT_KIND.trade:
      return `trade ${orderId} with ${otherId}: ${quantityLots}@${priceTicks}, left ${leavesLots} and ${otherLeavesLots}`;
    case EVENT_KIND.cancelled:
    case EVENT_KIND.expired:
      return `${head}: ${quantityLots}, ${nameIn(ORDER_REASON, event.reason)}`;
    case EVENT_KIND.replaced:
      return `${head}: ${typedTerms(event)}, place ${event.otherOwner === 1 ? 'lost' : 'kept'}`;
    case EVENT_KIND.refreshed:
      return `${head}: ${quantityLots} of ${leavesLots}`;
    case EVENT_KIND.top:
      return `top ${levelText(orderId, priceTicks)} / ${levelText(otherId, otherLeavesLots)}`;
    case EVENT_KIND.phase:
      return `phase ${nameIn(PHASE, quantityLots)}`;
    default:
      return head;
  }
}

/** One line an event; those of symbols other than 0 say so. */
export function linesOf(events: readonly OrderEvent[]): string[] {
  return events.map((event) => (event.symbolIndex === 0 ? textOf(event) : `[${event.symbolIndex}] ${textOf(event)}`));
}
