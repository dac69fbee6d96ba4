/** The XC-1 flow for tests: its operations as commands, and what its generator expects counted from events. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { loadProcessConfig } from '../config/load.ts';
import { PROJECT_ROOT } from '../engine/core/root.ts';
import { attributesOf, type BookLevel, newCommand, type OrderCommand, type OrderEvent } from '../engine/market/order-command.ts';
import * as L from '../schemas/order-layout.gen.ts';

/** op 0 GTC limit, 1 IOC limit, 2 cancel (id only), 3 move. */
interface FlowOperation {
  readonly op: number;
  readonly id: number;
  readonly side?: number;
  readonly px?: number;
  readonly qty?: number;
}

export interface FlowResult {
  trades: number;
  allTrades: number;
  qty: number;
  hash: number;
  resting: number;
  bestBid: number | undefined;
  bestAsk: number | undefined;
  levels: number[];
}

export interface Flow {
  readonly fill: readonly FlowOperation[];
  readonly cmds: readonly FlowOperation[];
  readonly expect: FlowResult;
}

const generator = join(PROJECT_ROOT, loadProcessConfig().config.DATA_DIR, '../tools/xc1-gen.cjs');
export const isFlowThere = existsSync(generator);

/** `count` operations after a prefill of a thousand orders, with what a naive book makes of them. */
export function generateFlow(count: number, seed: number): Flow {
  const { gen } = createRequire(import.meta.url)(generator) as { gen: (count: number, seed: number) => Flow };
  return gen(count, seed);
}

const KINDS = [L.COMMAND_KIND_NEW, L.COMMAND_KIND_NEW, L.COMMAND_KIND_CANCEL, L.COMMAND_KIND_MOVE];

export function flowCommand(operation: FlowOperation): OrderCommand {
  const timeInForce = operation.op === 1 ? L.TIME_IN_FORCE_IOC : L.TIME_IN_FORCE_GTC;
  return newCommand({
    kind: KINDS[operation.op] ?? 0,
    orderId: BigInt(operation.id),
    priceTicks: operation.px ?? 0,
    quantityLots: operation.op < 2 ? (operation.qty ?? 0) : 0,
    attributes: operation.op < 2 ? attributesOf({ side: operation.side ?? 0, timeInForce }) : 0,
  });
}

/** A book to run the flow on: the plain one, the kernel's. */
interface FlowBook {
  apply(command: OrderCommand): readonly OrderEvent[];
  list(symbolIndex: number): readonly { readonly orderId: bigint }[];
  levels(symbolIndex: number, side: 0 | 1): readonly BookLevel[];
}

/** Runs the flow and gives the figures of its `expect`; the prefill counts in all but `trades`. */
export function runFlow(book: FlowBook, flow: Flow): FlowResult {
  const result = { trades: 0, allTrades: 0, qty: 0, hash: 0 };
  const isCounted = [...flow.fill.map(() => false), ...flow.cmds.map(() => true)];
  [...flow.fill, ...flow.cmds].forEach((operation, index) => {
    for (const event of book.apply(flowCommand(operation))) {
      if (event.kind === L.EVENT_KIND_REJECTED) throw new Error(`operation ${index} refused: reason ${event.reason}`);
      if (event.kind !== L.EVENT_KIND_TRADE) continue;
      if (isCounted[index]) result.trades += 1;
      result.allTrades += 1;
      result.qty += event.quantityLots;
      result.hash = (Math.imul(result.hash, 31) + Number(event.otherId) * 7 + event.quantityLots * 13 + event.priceTicks) | 0;
    }
  });
  const [bids, asks] = [book.levels(0, 0), book.levels(0, 1)];
  return {
    ...result,
    resting: book.list(0).length,
    bestBid: bids[0]?.priceTicks,
    bestAsk: asks[0]?.priceTicks,
    levels: [bids.length, asks.length],
  };
}
