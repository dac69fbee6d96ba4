/** What a client is told, and what the topic fills is told: from outcomes to JSON. */
import type { BookSpec } from './catalogue.ts';
import { type FillRow, type Outcome, priceOf } from './ledger.ts';
import { DOOR_REASON, Refusal, reasonWord } from './refusal.ts';

/** Members of a reply's JSON. */
export type Reply = Readonly<Record<string, unknown>>;

export function refusalReply({ reason, detail }: Refusal): Reply {
  return { ok: false, err: reasonWord(reason), reason, detail };
}

/** An order that is there already is not sent twice: the client learns how the first one stands. */
export function takenReply({ orderId, status, clientOrderId }: { orderId: bigint; status: string; clientOrderId: string }): Reply {
  const reason = DOOR_REASON.duplicateClientOrderId;
  return {
    ...refusalReply(new Refusal(reason, `client_order_id ${clientOrderId}: an order has it`)),
    order_id: Number(orderId),
    status,
  };
}

export function outcomeReply(outcome: Outcome, spec: BookSpec | undefined): Reply {
  const { orderId, clientOrderId, status, leavesLots, cumLots, fills, reason } = outcome;
  const order =
    orderId === 0n ? {} : { order_id: Number(orderId), client_order_id: clientOrderId, status, filled: cumLots, leaves: leavesLots };
  if (outcome.isRefused) return { ok: false, err: reasonWord(reason), reason, ...order };
  return {
    ok: true,
    fills: spec ? fills.map(({ quantityLots, priceTicks }) => ({ qty: quantityLots, price: priceOf(priceTicks, spec) })) : [],
    ...order,
    ...(reason === 0 ? {} : { reason, why: reasonWord(reason) }),
  };
}

/** One message of the topic fills. Times in ms and, as text, in ns. */
export function fillMessage(fill: FillRow, spec: BookSpec): { readonly symbol: string; readonly line: string } {
  const { tradeId, order, quantityLots, priceTicks, liquidity, tsNs } = fill;
  const line = JSON.stringify({
    fill_id: Number(tradeId * 2n + BigInt(order.side)),
    trade_id: Number(tradeId),
    order_id: Number(order.orderId),
    client_order_id: order.clientOrderId,
    symbol: spec.symbol,
    side: order.side === 0 ? 'BUY' : 'SELL',
    qty: quantityLots,
    price: priceOf(priceTicks, spec),
    ts: Number(tsNs / 1_000_000n),
    ts_ns: String(tsNs),
    strategy: order.strategy,
    risk_bucket: order.riskBucket,
    venue: 'MATCHER',
    liquidity,
  });
  return { symbol: spec.symbol, line };
}
