// The ring of engine/memory/ring.ts in C++: two threads, 64-byte ticks, the same batches, back-off and checksums as
// kernels/ring-bench.ts. Arguments: ticks, batch, capacity (a power of two). Prints JSON.
#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

namespace {

struct alignas(64) Tick {
  int32_t kind;
  int32_t symbolIndex;
  int64_t tsEventNs;
  double price, ask, low, close;
  int64_t quantityLots;
  int32_t tradeCount;
  uint32_t ingestUs;
};
static_assert(sizeof(Tick) == 64);

struct Ring {
  alignas(128) std::atomic<int32_t> head{0};
  alignas(128) std::atomic<int32_t> tail{0};
  alignas(128) int32_t capacity = 0;
  Tick* slots = nullptr;
};

struct Checksums {
  uint64_t symbols = 0, quantities = 0, times = 0, prices = 0;
  bool operator==(const Checksums&) const = default;
};

constexpr int32_t SYMBOLS = 500;
constexpr int64_t FIRST_NS = 1700000000000000000;

void backOff() {
  static thread_local uint32_t state = 1;
  uint32_t value = state;
  for (int i = 0; i < 100; i++) {
    value = value * 1664525u + 1013904223u;
    asm volatile("" : "+r"(value));
  }
  state = value;
}

Checksums produce(Ring& ring, int32_t total, int32_t batch) {
  Checksums sums;
  const int32_t mask = ring.capacity - 1;
  int32_t position = ring.head.load(std::memory_order_relaxed);
  int32_t symbol = 0, free = 0;
  for (int32_t done = 0; done < total;) {
    const int32_t count = std::min(batch, total - done);
    while (free < count) {
      free = ring.capacity - (position - ring.tail.load(std::memory_order_acquire));
      if (free < count) backOff();
    }
    for (int32_t i = 0; i < count; i++, position++) {
      const int32_t number = done + i;
      const double price = 2500.0 + double(number & 255) * 0.05;
      const int64_t time = FIRST_NS + number;
      const int64_t quantity = (number & 7) + 1;
      ring.slots[position & mask] = Tick{1, symbol, time, price, 0, 0, 0, quantity, 1, 0};
      sums.symbols += symbol;
      sums.quantities += quantity;
      sums.times += time;
      sums.prices += std::bit_cast<uint64_t>(price);
      if (++symbol == SYMBOLS) symbol = 0;
    }
    ring.head.store(position, std::memory_order_release);
    free -= count;
    done += count;
  }
  return sums;
}

Checksums consume(Ring& ring, int32_t total) {
  Checksums sums;
  const int32_t mask = ring.capacity - 1;
  int32_t position = ring.tail.load(std::memory_order_relaxed);
  for (int32_t done = 0; done < total;) {
    const int32_t count = std::min(ring.head.load(std::memory_order_acquire) - position, total - done);
    if (count == 0) {
      backOff();
      continue;
    }
    for (const int32_t end = position + count; position != end; position++) {
      const Tick& tick = ring.slots[position & mask];
      sums.symbols += tick.symbolIndex;
      sums.quantities += tick.quantityLots;
      sums.times += tick.tsEventNs;
      sums.prices += std::bit_cast<uint64_t>(tick.price);
    }
    ring.tail.store(position, std::memory_order_release);
    done += count;
  }
  return sums;
}

double run(Ring& ring, int32_t total, int32_t batch, Checksums& seen) {
  std::atomic<int> ready{0};
  Checksums sent;
  std::thread consumer([&] {
    ready.fetch_add(1);
    while (ready.load() < 2) {}
    seen = consume(ring, total);
  });
  while (ready.load() < 1) {}
  const auto start = std::chrono::steady_clock::now();
  ready.fetch_add(1);
  sent = produce(ring, total, batch);
  consumer.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!(sent == seen)) {
    std::fprintf(stderr, "ring: the consumer did not see what the producer sent\n");
    std::exit(1);
  }
  return total / seconds;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: ring TICKS BATCH CAPACITY\n");
    return 2;
  }
  const int32_t total = std::atoi(argv[1]), batch = std::atoi(argv[2]), capacity = std::atoi(argv[3]);
  auto slots = std::make_unique<Tick[]>(capacity);
  Ring ring;
  ring.capacity = capacity;
  ring.slots = slots.get();
  Checksums seen;
  run(ring, capacity * 4, batch, seen);  // touches every page
  const double rate = run(ring, total, batch, seen);
  std::printf("{\"ticksPerSecond\":%.0f,\"checksums\":[\"%llu\",\"%llu\",\"%llu\",\"%llu\"]}\n", rate, (unsigned long long)seen.symbols,
              (unsigned long long)seen.quantities, (unsigned long long)seen.times, (unsigned long long)seen.prices);
  return 0;
}
