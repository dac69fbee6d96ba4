// What the C++ order books of the matcher bench have in common: the flow in a file, the checks of its outcome, and the clock.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

/** 32 bytes. op: 0 limit, 1 immediate or cancel, 2 cancel, 3 move. */
struct Command {
  int32_t op, id, side, price, lots, unused[3];
};
static_assert(sizeof(Command) == 32);

struct Trade {
  int32_t maker, taker, price, lots;
};

/** A power of two; later trades overwrite the first. */
constexpr uint32_t TRADE_CAPACITY = 1 << 20;
constexpr uint32_t PRICES = 1 << 16;

struct Flow {
  std::vector<Command> commands;
  /** The first so many fill the book, untimed. */
  size_t prefill = 0;
};

inline Flow readFlow(const char* path, size_t prefill) {
  FILE* file = std::fopen(path, "rb");
  if (!file) {
    std::perror(path);
    std::exit(1);
  }
  std::fseek(file, 0, SEEK_END);
  Flow flow;
  flow.commands.resize(std::ftell(file) / sizeof(Command));
  flow.prefill = prefill;
  std::fseek(file, 0, SEEK_SET);
  if (std::fread(flow.commands.data(), sizeof(Command), flow.commands.size(), file) != flow.commands.size()) std::exit(1);
  std::fclose(file);
  return flow;
}

/** Times `passes` runs of a book over the flow after one to warm up; prints the median rate and what the book came to. */
template <typename Book>
int runFlow(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: %s FILE PREFILL PASSES\n", argv[0]);
    return 2;
  }
  const Flow flow = readFlow(argv[1], std::strtoul(argv[2], nullptr, 10));
  const int passes = std::atoi(argv[3]);
  const size_t count = flow.commands.size() - flow.prefill;
  static Book book;
  std::vector<double> rates;
  for (int pass = 0; pass <= passes; pass++) {
    book.clear();
    book.run(flow.commands.data(), flow.prefill);
    const auto start = std::chrono::steady_clock::now();
    book.run(flow.commands.data() + flow.prefill, count);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    if (pass > 0) rates.push_back(count / seconds.count());
  }
  std::sort(rates.begin(), rates.end());
  uint32_t hash = 0;
  int64_t lots = 0;
  for (uint32_t i = 0; i < std::min(book.tradeCount, TRADE_CAPACITY); i++) {
    const Trade& trade = book.trades[i];
    hash = hash * 31 + uint32_t(trade.maker * 7 + trade.lots * 13 + trade.price);
    lots += trade.lots;
  }
  std::printf("{\"rate\":%.0f,\"trades\":%u,\"lots\":%lld,\"hash\":%d,\"resting\":%u}\n", rates[rates.size() / 2], book.tradeCount,
              (long long)lots, int32_t(hash), book.live);
  return 0;
}
