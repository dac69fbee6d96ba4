/** Turns the events of the plain book into the messages of a venue that shows every order. */
import * as L from '../../../schemas/order-layout.gen.ts';
import { BOOK_ACTION, type BookMessage } from '../../market/book-message.ts';
import { type OrderCommand, type OrderEvent, sideOf, timeInForceOf, typeOf } from '../../market/order-command.ts';
import { opposite, type Side } from '../paper/market.ts';

/** `executions`: one message for each maker. `trades`: a trade, the makers it names, and afterwards what that did to the book. */
export type FlowStyle = 'executions' | 'trades';

export interface Publisher {
  /** Orders that are shown now. */
  ids(): readonly bigint[];
  /** Price of an order that is shown. */
  priceOf(id: bigint): number;
  publish(command: OrderCommand, events: readonly OrderEvent[]): BookMessage[];
}

/** What the venue shows of an order. */
interface Shown {
  /** Changes when priority is lost and the style gives such orders a new id. */
  publicId: bigint;
  readonly side: Side;
  priceTicks: number;
  lots: number;
  leavesLots: number;
  readonly displayLots: number;
}

/** What a command leaves of the order that it brings or moves. */
interface Entering {
  readonly orderId: bigint;
  readonly side: Side;
  readonly priceTicks: number;
  readonly displayLots: number;
  leavesLots: number;
  /** The public id is kept when the order was shown before. */
  readonly publicId: bigint | undefined;
}

/** @param hidesMoves a move to the same price is shown as a change that changes nothing */
export function createPublisher(style: FlowStyle, hidesMoves: boolean): Publisher {
  const shown = new Map<bigint, Shown>();
  const order: bigint[] = [];
  const placeOf = new Map<bigint, number>();
  let nextPublicId = 1_000_000n;
  /** Orders whose trades the public book does not show yet, the last to be refreshed last. */
  const stale = new Set<bigint>();
  let messages: BookMessage[] = [];
  let tsNs = 0n;

  function say(action: number, of: { publicId: bigint; side: number; priceTicks: number; lots: number; newOrderId?: bigint }): void {
    messages.push({
      tsNs,
      action,
      side: of.side,
      orderId: of.publicId,
      newOrderId: of.newOrderId ?? 0n,
      priceTicks: of.priceTicks,
      quantityLots: of.lots,
      symbolIndex: 0,
      flags: 0,
    });
  }

  function show(id: bigint, state: Shown): void {
    shown.set(id, state);
    placeOf.set(id, order.length);
    order.push(id);
  }

  function hide(id: bigint): void {
    const place = placeOf.get(id)!;
    const last = order.pop()!;
    if (last !== id) {
      order[place] = last;
      placeOf.set(last, place);
    }
    placeOf.delete(id);
    shown.delete(id);
  }

  /** The next slice of an iceberg came to the end of its level. */
  function refresh(id: bigint, state: Shown, lots: number): void {
    state.lots = lots;
    stale.delete(id);
    stale.add(id);
    if (style === 'trades') return;
    state.publicId = nextPublicId++;
    say(BOOK_ACTION.add, state);
  }

  function execute(event: OrderEvent): void {
    const maker = shown.get(event.otherId)!;
    const { quantityLots: lots } = event;
    if (style === 'executions') say(BOOK_ACTION.execute, { ...maker, lots });
    else {
      const taker = { publicId: event.orderId, side: opposite(maker.side), priceTicks: event.priceTicks, lots };
      if (!extendTrade(event.priceTicks, lots)) say(BOOK_ACTION.trade, taker);
      say(BOOK_ACTION.fill, { ...maker, lots });
      stale.add(event.otherId);
    }
    maker.lots -= lots;
    maker.leavesLots = event.otherLeavesLots;
    if (maker.leavesLots === 0 && style === 'executions') hide(event.otherId);
  }

  /** One taker at one price is one trade, whatever the number of its makers. */
  function extendTrade(priceTicks: number, lots: number): boolean {
    for (let index = messages.length - 1; index >= 0; index -= 1) {
      const message = messages[index]!;
      if (message.action !== BOOK_ACTION.trade) continue;
      if (message.priceTicks !== priceTicks) return false;
      messages[index] = { ...message, quantityLots: message.quantityLots + lots };
      return true;
    }
    return false;
  }

  /** What the trades did to the book: those that are gone are cancelled, the others modified. */
  function echo(before: ReadonlyMap<bigint, number>): void {
    for (const id of stale) {
      const state = shown.get(id);
      if (state === undefined) continue;
      if (state.leavesLots > 0) say(BOOK_ACTION.modify, state);
      else {
        say(BOOK_ACTION.cancel, { ...state, lots: before.get(id)! });
        hide(id);
      }
    }
  }

  function publish(command: OrderCommand, events: readonly OrderEvent[]): BookMessage[] {
    messages = [];
    stale.clear();
    tsNs = command.tsNs;
    const before = new Map([...shown].map(([id, state]) => [id, state.lots]));
    let entering: Entering | undefined;
    for (const event of events) {
      if (event.kind === L.EVENT_KIND_ACCEPTED) entering = enteringOf(command);
      else if (event.kind === L.EVENT_KIND_TRADE) {
        execute(event);
        if (entering !== undefined) entering.leavesLots = event.leavesLots;
      } else if (event.kind === L.EVENT_KIND_REFRESHED) {
        const state = shown.get(event.orderId);
        if (state !== undefined) refresh(event.orderId, state, event.quantityLots);
      } else if (event.kind === L.EVENT_KIND_REPLACED) entering = replace(command, event) ?? entering;
      else if (event.kind === L.EVENT_KIND_CANCELLED) {
        const state = shown.get(event.orderId);
        if (state !== undefined) {
          say(BOOK_ACTION.cancel, state);
          hide(event.orderId);
        }
        if (entering?.orderId === event.orderId) entering = undefined;
      }
    }
    if (style === 'trades') echo(before);
    if (entering !== undefined && entering.leavesLots > 0) rest(entering);
    return messages;
  }

  /** A reduction stays where it is; a move goes off the book and comes again. */
  function replace(command: OrderCommand, event: OrderEvent): Entering | undefined {
    const state = shown.get(event.orderId)!;
    if (command.kind === L.COMMAND_KIND_REDUCE) {
      state.leavesLots = event.leavesLots;
      // The hidden part of an iceberg shrinks first, and nobody sees it.
      const lots = state.displayLots === 0 ? event.leavesLots : Math.min(state.lots, event.leavesLots);
      if (lots !== state.lots)
        say(style === 'trades' ? BOOK_ACTION.modify : BOOK_ACTION.cancel, {
          ...state,
          lots: style === 'trades' ? lots : state.lots - lots,
        });
      state.lots = lots;
      return undefined;
    }
    if (hidesMoves && command.priceTicks === state.priceTicks && state.lots === sliceOf(state)) {
      say(BOOK_ACTION.modify, state);
      return undefined;
    }
    say(BOOK_ACTION.cancel, state);
    hide(event.orderId);
    const { side, displayLots, publicId } = state;
    return { orderId: event.orderId, side, displayLots, priceTicks: command.priceTicks, leavesLots: event.leavesLots, publicId };
  }

  function rest(entering: Entering): void {
    const { orderId, side, priceTicks, displayLots, leavesLots } = entering;
    const lots = sliceOf(entering);
    const publicId = entering.publicId === undefined ? orderId : style === 'trades' ? entering.publicId : nextPublicId++;
    const state: Shown = { publicId, side, priceTicks, lots, leavesLots, displayLots };
    show(orderId, state);
    say(BOOK_ACTION.add, state);
  }

  return { ids: () => order, priceOf: (id) => shown.get(id)!.priceTicks, publish };
}

/** What an order shows when it has just come to the end of its level. */
function sliceOf({ displayLots, leavesLots }: Pick<Shown, 'displayLots' | 'leavesLots'>): number {
  return displayLots === 0 ? leavesLots : Math.min(displayLots, leavesLots);
}

/** The order of a command that was accepted, if what is left of it can rest. */
function enteringOf(command: OrderCommand): Entering | undefined {
  const canRest = typeOf(command.attributes) === L.ORDER_TYPE_LIMIT && timeInForceOf(command.attributes) === L.TIME_IN_FORCE_GTC;
  if (!canRest) return undefined;
  const { orderId, priceTicks, displayLots, quantityLots } = command;
  return { orderId, side: sideOf(command.attributes), priceTicks, displayLots, leavesLots: quantityLots, publicId: undefined };
}
