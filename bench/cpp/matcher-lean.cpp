// The same book as lean as it gets: levels and orders share one space of links with a sentinel a level, so that linking has no cases; bids are
// keyed upside down, so that the lowest key is best on either side; bits are set and cleared without branches; a move keeps its entry in the id
// table; and the lines of the commands ahead are fetched early. No checks at all: a ceiling, not an engine.
// Arguments: FILE of 32-byte commands, how many of them fill the book, passes. Prints JSON.
#include <cstring>
#include "xc1.h"

namespace {

constexpr uint32_t ORDER_CAPACITY = 1 << 20;
constexpr int32_t NO_KEY = PRICES;
/** Commands that the id of one is looked for ahead, and its order. */
constexpr int ID_AHEAD = 16, ORDER_AHEAD = 8;

struct Link {
  uint32_t next, previous;
};

struct Order {
  int32_t id, lots;
  uint32_t place;  // price | side << 16
  int32_t unused;
};

struct Entry {
  uint32_t id, order;
};

struct LeanBook {
  /** Links of the levels, then of the orders. */
  std::vector<Link> links = std::vector<Link>(PRICES + ORDER_CAPACITY);
  std::vector<Order> orders = std::vector<Order>(ORDER_CAPACITY);
  std::vector<int32_t> lotsAt = std::vector<int32_t>(PRICES);
  std::vector<Trade> trades = std::vector<Trade>(TRADE_CAPACITY);
  std::vector<Entry> entries;
  uint64_t words[2][PRICES / 64], summary[2][PRICES / 4096], tops[2];
  int32_t best[2];
  uint32_t freeOrder, nextOrder, tradeCount, live, idBits = 12;

  void clear() {
    // As a growing table would have: at most half full of what the pass before had at its end.
    while ((1u << idBits) < 2 * (live + live / 8)) idBits++;
    entries.assign(size_t(1) << idBits, Entry{});
    std::memset(words, 0, sizeof words);
    std::memset(summary, 0, sizeof summary);
    std::memset(tops, 0, sizeof tops);
    std::fill(lotsAt.begin(), lotsAt.end(), 0);
    for (uint32_t level = 0; level < PRICES; level++) links[level] = {level, level};
    best[0] = best[1] = NO_KEY;
    freeOrder = 0;
    nextOrder = 1;
    tradeCount = live = 0;
  }

  uint32_t mask() const { return (1u << idBits) - 1; }
  uint32_t homeOf(uint32_t id) const { return (id * 2654435769u) >> (32 - idBits); }

  uint32_t find(uint32_t id) const {
    for (uint32_t slot = homeOf(id);; slot = (slot + 1) & mask()) {
      if (entries[slot].id == id) return entries[slot].order;
      if (!entries[slot].id) return 0;
    }
  }

  void addId(uint32_t id, uint32_t order) {
    if (2 * live >= mask()) grow();
    uint32_t slot = homeOf(id);
    while (entries[slot].id) slot = (slot + 1) & mask();
    entries[slot] = {id, order};
  }

  __attribute__((noinline)) void grow() {
    std::vector<Entry> old(size_t(2) << idBits);
    old.swap(entries);
    idBits++;
    for (const Entry& entry : old) {
      if (!entry.id) continue;
      uint32_t slot = homeOf(entry.id);
      while (entries[slot].id) slot = (slot + 1) & mask();
      entries[slot] = entry;
    }
  }

  void removeId(uint32_t id) {
    uint32_t hole = homeOf(id);
    while (entries[hole].id != id) hole = (hole + 1) & mask();
    for (uint32_t slot = hole;;) {
      slot = (slot + 1) & mask();
      if (!entries[slot].id) break;
      const uint32_t home = homeOf(entries[slot].id);
      if (((slot - home) & mask()) >= ((slot - hole) & mask())) {
        entries[hole] = entries[slot];
        hole = slot;
      }
    }
    entries[hole].id = 0;
  }

  /** Price to key of a side and back. */
  static uint32_t flip(uint32_t price, uint32_t side) { return price ^ ((side - 1) & 0xffff); }

  int32_t lowest(uint32_t side) const {
    if (!tops[side]) return NO_KEY;
    const uint32_t top = __builtin_ctzll(tops[side]), word = (top << 6) | __builtin_ctzll(summary[side][top]);
    return (word << 6) | __builtin_ctzll(words[side][word]);
  }

  void link(uint32_t order, uint32_t side, uint32_t price) {
    const uint32_t last = links[price].previous, self = PRICES + order;
    links[self] = {price, last};
    links[last].next = self;
    links[price].previous = self;
    lotsAt[price] += orders[order].lots;
    const uint32_t key = flip(price, side);
    words[side][key >> 6] |= 1ull << (key & 63);
    summary[side][key >> 12] |= 1ull << ((key >> 6) & 63);
    tops[side] |= 1ull << (key >> 12);
    best[side] = std::min(best[side], int32_t(key));
  }

  void unlink(uint32_t order, uint32_t side, uint32_t price) {
    const Link link = links[PRICES + order];
    links[link.previous].next = link.next;
    links[link.next].previous = link.previous;
    lotsAt[price] -= orders[order].lots;
    const uint32_t key = flip(price, side);
    const uint64_t isEmpty = link.next == link.previous;  // only the level stands on both sides of the last order
    const uint64_t word = words[side][key >> 6] &= ~(isEmpty << (key & 63));
    const uint64_t isWordEmpty = isEmpty & (word == 0);
    const uint64_t above = summary[side][key >> 12] &= ~(isWordEmpty << ((key >> 6) & 63));
    tops[side] &= ~((isWordEmpty & (above == 0)) << (key >> 12));
    if (isEmpty & (int32_t(key) == best[side])) [[unlikely]] best[side] = lowest(side);
  }

  void release(uint32_t order) {
    links[PRICES + order].next = freeOrder;
    freeOrder = order;
    live--;
  }

  bool crosses(uint32_t side, uint32_t price) const { return best[side ^ 1] <= int32_t(flip(price, side ^ 1)); }

  int32_t take(int32_t id, uint32_t side, uint32_t limit, int32_t lots) {
    const uint32_t other = side ^ 1;
    const int32_t limitKey = flip(limit, other);
    while (lots > 0 && best[other] <= limitKey) {
      const uint32_t price = flip(best[other], other);
      uint32_t node = links[price].next;
      do {
        const uint32_t order = node - PRICES;
        Order& maker = orders[order];
        const int32_t fill = std::min(maker.lots, lots);
        trades[tradeCount++ & (TRADE_CAPACITY - 1)] = {maker.id, id, int32_t(price), fill};
        lots -= fill;
        if (fill == maker.lots) {
          node = links[node].next;
          removeId(maker.id);
          unlink(order, other, price);
          release(order);
        } else {
          maker.lots -= fill;
          lotsAt[price] -= fill;
        }
      } while (lots > 0 && node >= PRICES);
    }
    return lots;
  }

  void add(int32_t id, uint32_t side, uint32_t price, int32_t lots) {
    if (crosses(side, price)) [[unlikely]] {
      lots = take(id, side, price, lots);
      if (!lots) return;
    }
    const uint32_t order = freeOrder ? freeOrder : nextOrder++;
    if (freeOrder) freeOrder = links[PRICES + order].next;
    orders[order] = {id, lots, price | (side << 16), 0};
    addId(id, order);
    link(order, side, price);
    live++;
  }

  void move(uint32_t order, uint32_t price) {
    Order& moved = orders[order];
    const uint32_t side = moved.place >> 16;
    unlink(order, side, moved.place & 0xffff);
    if (crosses(side, price)) [[unlikely]] {
      moved.lots = take(moved.id, side, price, moved.lots);
      if (!moved.lots) {
        removeId(moved.id);
        release(order);
        return;
      }
    }
    moved.place = price | (side << 16);
    link(order, side, price);
  }

  void fetchAhead(const Command* command) const {
    __builtin_prefetch(&entries[homeOf(command[ID_AHEAD].id)]);
    const uint32_t order = find(command[ORDER_AHEAD].id);
    const uint32_t price = command[ORDER_AHEAD].price;
    __builtin_prefetch(&orders[order]);
    __builtin_prefetch(&links[PRICES + order]);
    __builtin_prefetch(&links[price]);
    __builtin_prefetch(&lotsAt[price]);
  }

  __attribute__((noinline)) void run(const Command* command, size_t count) {
    for (const Command* end = command + count; command < end; command++) {
      if (end - command > ID_AHEAD) fetchAhead(command);
      if (command->op == 0) {
        add(command->id, command->side, command->price, command->lots);
      } else if (command->op == 1) {
        take(command->id, command->side, command->price, command->lots);
      } else if (const uint32_t order = find(command->id)) {
        if (command->op == 3) [[likely]] {
          move(order, command->price);
        } else {
          unlink(order, orders[order].place >> 16, orders[order].place & 0xffff);
          removeId(command->id);
          release(order);
        }
      }
    }
  }
};

}  // namespace

int main(int argc, char** argv) {
  return runFlow<LeanBook>(argc, argv);
}
