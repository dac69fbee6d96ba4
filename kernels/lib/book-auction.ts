// The uncross of an auction: rules U1 to U3. Only displayed orders take part.
import {
  BOOK_INSTRUMENT_LAST_TICKS, ORDER_EVENT_LEAVES_LOTS, ORDER_EVENT_OTHER_LEAVES_LOTS, ORDER_EVENT_PRICE_TICKS, ORDER_EVENT_QUANTITY_LOTS,
  ORDER_LIMIT_PRICE_NONE,
} from "../../schemas/order-layout.gen";
import { emitTrade, hiddenOf, leavesOf } from "./book-events";
import { bestLevel, betterLevel, priceOfLevel, worseLevel } from "./book-levels";
import { fill } from "./book-orders";
import { AT_SLICES, DISPLAYED, LEVEL_LOTS, NEXT, REGION, SHOWN } from "./book-region";
import { noteTrade } from "./book-take";

/** The best candidate so far, and what is known of all that are as good. */
let mostVolume: i64 = 0;
let leastImbalance: i64 = 0;
let lowest: i32 = 0;
let highest: i32 = 0;
let nearest: i32 = 0;
let isMoreToBuy: bool = false;
let isMoreToSell: bool = false;

/** Lots of a level, hidden parts included. */
function lotsOf(level: usize): i64 {
  let lots = load<i64>(level, LEVEL_LOTS);
  if (load<i32>(REGION, AT_SLICES) == 0) return lots;
  for (let order = <usize>load<u32>(level, NEXT); order != level; order = <usize>load<u32>(order, NEXT)) lots += <i64>hiddenOf(order);
  return lots;
}

function distance(price: i32, last: i32): i64 {
  return abs(<i64>price - <i64>last);
}

/** A price at which so many lots could be bought and sold; prices come in rising order. */
function consider(price: i32, buyLots: i64, sellLots: i64, last: i32): void {
  const volume = min(buyLots, sellLots);
  const imbalance = abs(buyLots - sellLots);
  if (volume < mostVolume || (volume == mostVolume && imbalance > leastImbalance)) return;
  if (volume > mostVolume || imbalance < leastImbalance) {
    mostVolume = volume;
    leastImbalance = imbalance;
    lowest = price;
    nearest = price;
    isMoreToBuy = true;
    isMoreToSell = true;
  }
  highest = price;
  if (distance(price, last) <= distance(nearest, last)) nearest = price;
  isMoreToBuy = isMoreToBuy && buyLots > sellLots;
  isMoreToSell = isMoreToSell && sellLots > buyLots;
}

/** Goes through the prices from the best ask to the best bid, which is not below it. */
function considerAll(bestBid: usize, bestAsk: usize, last: i32): void {
  const from = priceOfLevel(bestAsk);
  const to = priceOfLevel(bestBid);
  let bid = bestBid;
  let buyLots = lotsOf(bid);
  for (let worse = worseLevel(bid); worse != 0 && priceOfLevel(worse) >= from; worse = worseLevel(worse)) {
    bid = worse;
    buyLots += lotsOf(bid);
  }
  let ask = bestAsk;
  let sellLots: i64 = 0;
  mostVolume = -1;
  while (bid != 0 || (ask != 0 && priceOfLevel(ask) <= to)) {
    const askPrice = ask != 0 ? priceOfLevel(ask) : i32.MAX_VALUE;
    const bidPrice = bid != 0 ? priceOfLevel(bid) : i32.MAX_VALUE;
    const price = min(askPrice, bidPrice);
    if (askPrice == price) sellLots += lotsOf(ask);
    consider(price, buyLots, sellLots, last);
    if (askPrice == price) ask = worseLevel(ask);
    if (bidPrice == price) {
      buyLots -= lotsOf(bid);
      bid = betterLevel(bid);
    }
  }
}

function chosen(last: i32): i32 {
  if (isMoreToBuy) return highest;
  if (isMoreToSell) return lowest;
  return last == ORDER_LIMIT_PRICE_NONE ? highest : nearest;
}

export function uncross(symbol: usize): void {
  const book = symbol + DISPLAYED;
  const bestBid = bestLevel(book, 0);
  const bestAsk = bestLevel(book, 1);
  if (bestBid == 0 || bestAsk == 0 || priceOfLevel(bestBid) < priceOfLevel(bestAsk)) return;
  const last = load<i32>(symbol, BOOK_INSTRUMENT_LAST_TICKS);
  considerAll(bestBid, bestAsk, last);
  const price = chosen(last);
  while (true) {
    const bid = bestLevel(book, 0);
    const ask = bestLevel(book, 1);
    if (bid == 0 || ask == 0 || priceOfLevel(bid) < price || priceOfLevel(ask) > price) return;
    const buyer = <usize>load<u32>(bid, NEXT);
    const seller = <usize>load<u32>(ask, NEXT);
    const lots = min(load<i32>(buyer, SHOWN), load<i32>(seller, SHOWN));
    const event = emitTrade(symbol, buyer, seller);
    store<i32>(event, price, ORDER_EVENT_PRICE_TICKS);
    store<i32>(event, lots, ORDER_EVENT_QUANTITY_LOTS);
    store<i32>(event, leavesOf(buyer) - lots, ORDER_EVENT_LEAVES_LOTS);
    store<i32>(event, leavesOf(seller) - lots, ORDER_EVENT_OTHER_LEAVES_LOTS);
    fill(symbol, buyer, lots);
    fill(symbol, seller, lots);
    noteTrade(symbol, price);
  }
}
