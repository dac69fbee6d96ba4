// Reads a DBN file and follows its orders in a book, as one writes it in C++ with some care: records used where they lie, an array of levels with
// bits for the best price, doubly linked FIFO levels, an open hash table of ids. One instrument, prices 0 to 65535 ticks, ids below 2^48.
// Arguments: FILE (.dbn or .dbn.zst), TICK in 1e-9, PASSES, and `decode` to only decode into columns. Prints JSON: the median rate in records a second, and the book.
#include <dlfcn.h>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr uint32_t PRICES = 1 << 16, ORDER_CAPACITY = 1 << 15, ID_SLOTS = 1 << 16, ID_MASK = ID_SLOTS - 1;
constexpr uint32_t COLUMN_RECORDS = 8192;

struct Record {
  uint8_t words, type;
  uint16_t publisher;
  uint32_t instrument;
  uint64_t eventNs, orderId;
  int64_t price;
  uint32_t size;
  uint8_t flags, channel;
  char action, side;
  uint64_t receiveNs;
  int32_t sendDelta;
  uint32_t sequence;
};
static_assert(sizeof(Record) == 56);

struct Level {
  uint32_t head, tail;
  int64_t lots;
};

struct Order {
  uint64_t id;
  uint32_t lots, next, previous, price;
  uint32_t side, unused;
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "feed: %s\n", what);
  std::exit(1);
}

struct Book {
  std::vector<Level> levels[2] = {std::vector<Level>(PRICES), std::vector<Level>(PRICES)};
  std::vector<Order> orders = std::vector<Order>(ORDER_CAPACITY + 1);
  std::vector<uint32_t> ids = std::vector<uint32_t>(ID_SLOTS);
  uint64_t words[2][PRICES / 64], summary[2][PRICES / 4096];
  uint32_t best[2], freeOrder, nextOrder, live;
  uint64_t messages = 0, faults = 0;

  Book() {
    std::memset(words, 0, sizeof words);
    std::memset(summary, 0, sizeof summary);
    clear();
  }

  /** Levels that are used are emptied one by one, the rest at once. */
  void clear() {
    for (int side = 0; side < 2; side++) {
      for (uint32_t top = 0; top < PRICES / 4096; top++) {
        for (uint64_t inner = summary[side][top]; inner; inner &= inner - 1) {
          const uint32_t word = (top << 6) | __builtin_ctzll(inner);
          for (uint64_t bits = words[side][word]; bits; bits &= bits - 1) levels[side][(word << 6) | __builtin_ctzll(bits)] = {};
          words[side][word] = 0;
        }
        summary[side][top] = 0;
      }
    }
    std::memset(ids.data(), 0, ids.size() * sizeof(uint32_t));
    best[0] = best[1] = PRICES;
    freeOrder = 0;
    nextOrder = 1;
    live = 0;
  }

  static uint32_t homeOf(uint64_t id) { return (id * 0x9e3779b97f4a7c15ull) >> 48; }

  /** The slot of an id, or the empty one where it belongs. */
  uint32_t slotOf(uint64_t id) const {
    uint32_t slot = homeOf(id);
    while (ids[slot] && orders[ids[slot]].id != id) slot = (slot + 1) & ID_MASK;
    return slot;
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

  void link(uint32_t index, uint32_t side, uint32_t price, uint32_t lots) {
    Level& level = levels[side][price];
    Order& order = orders[index];
    order.lots = lots;
    order.next = 0;
    order.previous = level.tail;
    order.price = price;
    order.side = side;
    if (level.tail) {
      orders[level.tail].next = index;
    } else {
      level.head = index;
      words[side][price >> 6] |= 1ull << (price & 63);
      summary[side][price >> 12] |= 1ull << ((price >> 6) & 63);
      if (best[side] == PRICES || (side == 0 ? price > best[side] : price < best[side])) best[side] = price;
    }
    level.tail = index;
    level.lots += lots;
  }

  uint32_t findBest(uint32_t side) const {
    for (uint32_t step = 0; step < PRICES / 4096; step++) {
      const uint32_t top = side == 0 ? PRICES / 4096 - 1 - step : step;
      if (!summary[side][top]) continue;
      const uint32_t word = (top << 6) | (side == 0 ? 63 - __builtin_clzll(summary[side][top]) : __builtin_ctzll(summary[side][top]));
      return (word << 6) | (side == 0 ? 63 - __builtin_clzll(words[side][word]) : __builtin_ctzll(words[side][word]));
    }
    return PRICES;
  }

  void unlink(uint32_t index) {
    const Order& order = orders[index];
    Level& level = levels[order.side][order.price];
    if (order.next) orders[order.next].previous = order.previous;
    else level.tail = order.previous;
    if (order.previous) orders[order.previous].next = order.next;
    else level.head = order.next;
    level.lots -= order.lots;
    if (level.head) return;
    if (!(words[order.side][order.price >> 6] &= ~(1ull << (order.price & 63)))) summary[order.side][order.price >> 12] &= ~(1ull << ((order.price >> 6) & 63));
    if (best[order.side] == order.price) best[order.side] = findBest(order.side);
  }

  void remove(uint32_t slot) {
    const uint32_t index = ids[slot];
    unlink(index);
    removeSlot(slot);
    orders[index].next = freeOrder;
    freeOrder = index;
    live--;
  }

  void add(uint64_t id, uint32_t side, uint32_t price, uint32_t lots) {
    uint32_t slot = slotOf(id);
    if (ids[slot]) {
      faults++;
      remove(slot);
      slot = slotOf(id);
    }
    if (live == ORDER_CAPACITY) fail("more orders than there is room for");
    const uint32_t index = freeOrder ? freeOrder : nextOrder++;
    if (freeOrder) freeOrder = orders[index].next;
    orders[index].id = id;
    link(index, side, price, lots);
    ids[slot] = index;
    live++;
  }

  void apply(const Record& record, int64_t tick, double inverse) {
    messages++;
    if (record.action == 'R') return clear();
    if (record.action != 'A' && record.action != 'C' && record.action != 'M') return;
    if (record.side == 'N' || record.size == 0) {
      faults++;
      return;
    }
    const int64_t price = int64_t(double(record.price) * inverse + 0.5);
    if (price < 0 || price >= PRICES || price * tick != record.price) fail("a price is off the ladder or between ticks");
    const uint32_t side = record.side == 'B' ? 0 : 1;
    if (record.action == 'A') return add(record.orderId, side, price, record.size);
    const uint32_t slot = slotOf(record.orderId);
    if (!ids[slot]) {
      faults++;
      return;
    }
    Order& order = orders[ids[slot]];
    Level& level = levels[order.side][order.price];
    if (record.action == 'C') {
      if (record.size >= order.lots) return remove(slot);
      order.lots -= record.size;
      level.lots -= record.size;
    } else if (order.side == side && order.price == price && record.size <= order.lots) {
      level.lots -= order.lots - record.size;
      order.lots = record.size;
    } else {
      const uint32_t index = ids[slot];
      unlink(index);
      link(index, side, price, record.size);
    }
  }
};

/** The columns of a batch, which are written over and over. */
struct Columns {
  std::vector<int64_t> times = std::vector<int64_t>(COLUMN_RECORDS);
  std::vector<uint64_t> orders = std::vector<uint64_t>(COLUMN_RECORDS);
  std::vector<int32_t> prices = std::vector<int32_t>(COLUMN_RECORDS), sizes = std::vector<int32_t>(COLUMN_RECORDS), symbols = std::vector<int32_t>(COLUMN_RECORDS);
  std::vector<uint8_t> actions = std::vector<uint8_t>(COLUMN_RECORDS), sides = std::vector<uint8_t>(COLUMN_RECORDS), flags = std::vector<uint8_t>(COLUMN_RECORDS);
  uint64_t messages = 0;

  void take(const Record& record, int64_t tick, double inverse) {
    static constexpr auto CODES = [] {
      struct { uint8_t code[256]; } table{};
      table.code[int('A')] = 1;
      table.code[int('C')] = 2;
      table.code[int('M')] = 3;
      table.code[int('T')] = 6;
      table.code[int('F')] = 7;
      table.code[int('R')] = 8;
      return table;
    }();
    const uint8_t action = CODES.code[uint8_t(record.action)];
    if (!action) return;
    const uint32_t at = messages++ & (COLUMN_RECORDS - 1);
    const bool hasPrice = record.price != INT64_MAX;
    const int64_t price = hasPrice ? int64_t(double(record.price) * inverse + 0.5) : INT32_MIN;
    if (hasPrice && price * tick != record.price) fail("a price is between ticks");
    times[at] = record.eventNs;
    orders[at] = record.orderId;
    prices[at] = price;
    sizes[at] = record.size;
    symbols[at] = 0;
    actions[at] = action;
    sides[at] = record.side == 'B' ? 0 : record.side == 'A' ? 1 : 2;
    flags[at] = (record.flags >> 7) | ((record.flags >> 4) & 2);
  }
};

struct Bytes {
  const void* at;
  size_t size, position;
};

/** libzstd, whose headers need not be installed. */
struct Zstd {
  void* (*create)();
  size_t (*decompress)(void*, Bytes*, Bytes*);
  unsigned (*isError)(size_t);
  size_t (*release)(void*);

  Zstd() {
    void* library = dlopen("libzstd.so.1", RTLD_NOW);
    if (!library) fail("libzstd.so.1 is not there");
    create = reinterpret_cast<void* (*)()>(dlsym(library, "ZSTD_createDCtx"));
    decompress = reinterpret_cast<size_t (*)(void*, Bytes*, Bytes*)>(dlsym(library, "ZSTD_decompressStream"));
    isError = reinterpret_cast<unsigned (*)(size_t)>(dlsym(library, "ZSTD_isError"));
    release = reinterpret_cast<size_t (*)(void*)>(dlsym(library, "ZSTD_freeDCtx"));
  }
};

std::vector<uint8_t> readFile(const char* path) {
  FILE* file = std::fopen(path, "rb");
  if (!file) fail("the file cannot be read");
  std::fseek(file, 0, SEEK_END);
  std::vector<uint8_t> bytes(std::ftell(file));
  std::rewind(file);
  if (std::fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) fail("the file cannot be read");
  std::fclose(file);
  return bytes;
}

/** Gives whole records of pieces of a file to `take`. */
template <typename Take>
struct Reader {
  Take take;
  std::vector<uint8_t> rest;
  bool hasHeader = false;

  void put(const uint8_t* at, size_t size) {
    if (!rest.empty()) {
      rest.insert(rest.end(), at, at + size);
      at = rest.data();
      size = rest.size();
    }
    const size_t used = records(at, size);
    rest = std::vector<uint8_t>(at + used, at + size);
  }

  size_t records(const uint8_t* bytes, size_t size) {
    size_t at = 0;
    if (!hasHeader) {
      uint32_t length = 0;
      if (size < 8) return 0;
      std::memcpy(&length, bytes + 4, 4);
      if (size < 8 + length) return 0;
      at = 8 + length;
      hasHeader = true;
    }
    while (size - at >= 16) {
      const size_t length = size_t(bytes[at]) * 4;
      if (length < 16) fail("a record that cannot be");
      if (length > size - at) break;
      if (bytes[at + 1] == 0xa0 && length >= sizeof(Record)) {
        Record record;
        std::memcpy(&record, bytes + at, sizeof record);
        take(record);
      }
      at += length;
    }
    return at;
  }
};

template <typename Take>
void readAll(const std::vector<uint8_t>& bytes, bool isZstd, const Zstd* zstd, Take take) {
  Reader<Take> reader{take, {}};
  if (!isZstd) {
    if (reader.records(bytes.data(), bytes.size()) != bytes.size()) fail("the file ends within a record");
    return;
  }
  std::vector<uint8_t> out(131072);
  void* context = zstd->create();
  Bytes input{bytes.data(), bytes.size(), 0};
  for (bool isFull = false; isFull || input.position < input.size;) {
    Bytes output{out.data(), out.size(), 0};
    if (zstd->isError(zstd->decompress(context, &output, &input))) fail("the zstd frame is damaged");
    isFull = output.position == output.size;
    reader.put(out.data(), output.position);
  }
  zstd->release(context);
  if (!reader.rest.empty()) fail("the file ends within a record");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) fail("expected FILE TICK PASSES [decode]");
  const std::string path = arguments[1];
  const int64_t tick = std::atoll(arguments[2]);
  const double inverse = 1.0 / double(tick);
  const int passes = std::atoi(arguments[3]);
  const bool isOnlyDecoding = count > 4 && std::strcmp(arguments[4], "decode") == 0;
  const bool isZstd = path.ends_with(".zst");
  const Zstd* zstd = isZstd ? new Zstd : nullptr;
  const std::vector<uint8_t> bytes = readFile(path.c_str());
  Book book;
  Columns columns;
  std::vector<double> rates;
  for (int pass = 0; pass <= passes; pass++) {
    const auto startedAt = std::chrono::steady_clock::now();
    const uint64_t before = book.messages + columns.messages;
    if (isOnlyDecoding) readAll(bytes, isZstd, zstd, [&](const Record& record) { columns.take(record, tick, inverse); });
    else readAll(bytes, isZstd, zstd, [&](const Record& record) { book.apply(record, tick, inverse); });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - startedAt).count();
    // The first pass warms up.
    if (pass > 0) rates.push_back((book.messages + columns.messages - before) / seconds);
  }
  std::sort(rates.begin(), rates.end());
  int64_t lots[2] = {0, 0};
  int levels[2] = {0, 0};
  for (int side = 0; side < 2; side++) {
    for (const Level& level : book.levels[side]) {
      lots[side] += level.lots;
      levels[side] += level.head != 0;
    }
  }
  std::printf("{\"rate\": %.0f, \"messages\": %llu, \"faults\": %llu, \"orders\": %u, \"levels\": [%d, %d], \"lots\": [%lld, %lld], \"best\": [%u, %u]}\n", rates[rates.size() / 2],
              (unsigned long long)((book.messages + columns.messages) / (passes + 1)), (unsigned long long)book.faults, book.live, levels[0], levels[1], (long long)lots[0],
              (long long)lots[1], book.best[0], book.best[1]);
}
