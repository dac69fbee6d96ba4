// A price-time book as one writes it in C++ with some care: arrays of levels and orders, doubly linked FIFO levels, an open hash table of ids,
// three levels of bits for the next best price. One symbol, prices 0 to 65535, limit, immediate-or-cancel, cancel and move, no checks.
// Arguments: FILE of 32-byte commands, how many of them fill the book, passes. Prints JSON.
#include <cstring>
#include "xc1.h"

namespace {

constexpr uint32_t ORDER_CAPACITY = 1 << 20;
constexpr uint32_t ID_MASK = (1 << 20) - 1;
constexpr int32_t NO_BID = -1, NO_ASK = PRICES;

struct Level {
  int32_t head, tail, lots, count;
};

struct Order {
  int32_t id, price, lots, next, previous, side, unused[2];
};

struct PlainBook {
  std::vector<Level> levels = std::vector<Level>(PRICES);
  std::vector<Order> orders = std::vector<Order>(ORDER_CAPACITY);
  std::vector<int32_t> ids = std::vector<int32_t>(ID_MASK + 1);
  std::vector<Trade> trades = std::vector<Trade>(TRADE_CAPACITY);
  uint64_t words[2][PRICES / 64], summary[2][PRICES / 4096], tops[2];
  int32_t bestBid, bestAsk, freeOrder, nextOrder;
  uint32_t tradeCount, live;

  void clear() {
    std::memset(levels.data(), 0, levels.size() * sizeof(Level));
    std::memset(ids.data(), 0, ids.size() * sizeof(int32_t));
    std::memset(words, 0, sizeof words);
    std::memset(summary, 0, sizeof summary);
    std::memset(tops, 0, sizeof tops);
    bestBid = NO_BID;
    bestAsk = NO_ASK;
    freeOrder = 0;
    nextOrder = 1;
    tradeCount = live = 0;
  }

  static uint32_t homeOf(int32_t id) { return (uint32_t(id) * 2654435769u) >> 12; }

  /** Slot of an id, -1 when it is not there. */
  int32_t slotOf(int32_t id) const {
    for (uint32_t slot = homeOf(id);; slot = (slot + 1) & ID_MASK) {
      if (!ids[slot]) return -1;
      if (orders[ids[slot]].id == id) return slot;
    }
  }

  void addId(int32_t id, int32_t order) {
    uint32_t slot = homeOf(id);
    while (ids[slot]) slot = (slot + 1) & ID_MASK;
    ids[slot] = order;
  }

  void removeSlot(uint32_t hole) {
    for (uint32_t slot = hole;;) {
      slot = (slot + 1) & ID_MASK;
      if (!ids[slot]) break;
      const uint32_t home = homeOf(orders[ids[slot]].id);
      if (((slot - home) & ID_MASK) >= ((slot - hole) & ID_MASK)) {
        ids[hole] = ids[slot];
        hole = slot;
      }
    }
    ids[hole] = 0;
  }

  void setBit(int32_t side, int32_t price) {
    words[side][price >> 6] |= 1ull << (price & 63);
    summary[side][price >> 12] |= 1ull << ((price >> 6) & 63);
    tops[side] |= 1ull << (price >> 12);
  }

  void clearBit(int32_t side, int32_t price) {
    if (words[side][price >> 6] &= ~(1ull << (price & 63))) return;
    if (summary[side][price >> 12] &= ~(1ull << ((price >> 6) & 63))) return;
    tops[side] &= ~(1ull << (price >> 12));
  }

  int32_t lowestAsk() const {
    if (!tops[1]) return NO_ASK;
    const int top = __builtin_ctzll(tops[1]), word = (top << 6) | __builtin_ctzll(summary[1][top]);
    return (word << 6) | __builtin_ctzll(words[1][word]);
  }

  int32_t highestBid() const {
    if (!tops[0]) return NO_BID;
    const int top = 63 - __builtin_clzll(tops[0]), word = (top << 6) | (63 - __builtin_clzll(summary[0][top]));
    return (word << 6) | (63 - __builtin_clzll(words[0][word]));
  }

  void rest(int32_t id, int32_t side, int32_t price, int32_t lots) {
    const int32_t order = freeOrder ? freeOrder : nextOrder++;
    if (freeOrder) freeOrder = orders[order].next;
    Level& level = levels[price];
    const int32_t tail = level.tail;
    orders[order] = {id, price, lots, 0, tail, side, {}};
    if (tail) {
      orders[tail].next = order;
    } else {
      level.head = order;
      setBit(side, price);
      if (side == 0) bestBid = std::max(bestBid, price);
      else bestAsk = std::min(bestAsk, price);
    }
    level.tail = order;
    level.lots += lots;
    addId(id, order);
    live++;
  }

  void remove(int32_t order) {
    Order& gone = orders[order];
    Level& level = levels[gone.price];
    if (gone.next) orders[gone.next].previous = gone.previous;
    else level.tail = gone.previous;
    if (gone.previous) orders[gone.previous].next = gone.next;
    else level.head = gone.next;
    level.lots -= gone.lots;
    if (!level.head) {
      clearBit(gone.side, gone.price);
      if (gone.side == 0) {
        if (gone.price == bestBid) bestBid = highestBid();
      } else if (gone.price == bestAsk) {
        bestAsk = lowestAsk();
      }
    }
    gone.next = freeOrder;
    freeOrder = order;
    live--;
  }

  int32_t take(int32_t id, int32_t side, int32_t limit, int32_t lots) {
    while (lots > 0) {
      const int32_t price = side == 0 ? bestAsk : bestBid;
      if (side == 0 ? price > limit || price == NO_ASK : price < limit || price == NO_BID) break;
      Level& level = levels[price];
      for (int32_t order = level.head; order && lots > 0;) {
        Order& maker = orders[order];
        const int32_t fill = std::min(maker.lots, lots);
        trades[tradeCount++ & (TRADE_CAPACITY - 1)] = {maker.id, id, price, fill};
        lots -= fill;
        if (fill == maker.lots) {
          const int32_t next = maker.next;
          removeSlot(slotOf(maker.id));
          remove(order);
          order = next;
        } else {
          maker.lots -= fill;
          level.lots -= fill;
        }
      }
    }
    return lots;
  }

  void add(int32_t id, int32_t side, int32_t price, int32_t lots) {
    if (side == 0 ? price >= bestAsk : price <= bestBid) lots = take(id, side, price, lots);
    if (lots) rest(id, side, price, lots);
  }

  __attribute__((noinline)) void run(const Command* command, size_t count) {
    for (const Command* end = command + count; command < end; command++) {
      const int32_t id = command->id;
      switch (command->op) {
        case 0:
          add(id, command->side, command->price, command->lots);
          break;
        case 1:
          take(id, command->side, command->price, command->lots);
          break;
        default: {
          const int32_t slot = slotOf(id);
          if (slot < 0) break;
          const int32_t order = ids[slot], side = orders[order].side, lots = orders[order].lots;
          removeSlot(slot);
          remove(order);
          if (command->op == 3) add(id, side, command->price, lots);
        }
      }
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  return runFlow<PlainBook>(argc, argv);
}
