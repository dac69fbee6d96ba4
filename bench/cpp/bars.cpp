// Bars from a file of tick records, as the kernel builds them: the same records, buckets, accumulators, cascade, out ring and notional of 128
// bits, branch-free where a branch would not be certain. Prints how many ticks it took a second (the median of its passes), and sums to
// compare. Usage: bars FILE SYMBOLS SLOTS PASSES TIMEFRAME_SECONDS...
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

namespace {

constexpr int64_t kSecondNs = 1000000000;
constexpr int64_t kNone = std::numeric_limits<int64_t>::max();
constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();
constexpr uint32_t kOutMask = 65535;
constexpr int kTrade = 1;
constexpr int kWatermark = 4;
constexpr int kSymbol = 6;

struct Tick {
  int32_t kind, symbol;
  int64_t tsNs;
  double price, ask, low, close;
  int64_t lots;
  int32_t tradeCount;
  uint32_t ingestUs;
};

struct alignas(128) Bar {
  int32_t kind, symbol;
  int64_t startNs, firstNs, lastNs;
  int32_t trades, late, timeframe, revision;
  double open, close;
  double high, minusLow;
  int64_t lots;
  uint64_t notionalLow;
  int64_t notionalHigh;
  double scale;
  int32_t flags, missed, partition, instrument;
};
static_assert(sizeof(Tick) == 64 && sizeof(Bar) == 128);

int symbols, slots, timeframes;
int64_t seconds[12];
int parents[12];
Bar *open1s, *accumulators, *out;
uint32_t outCount;
int64_t watermarkNs, openCount[12];

void empty(Bar &bar) {
  bar.firstNs = kNone;
  bar.lastNs = kNoTime;
  bar.trades = bar.late = 0;
  bar.high = bar.minusLow = -INFINITY;
  bar.lots = 0;
  bar.notionalLow = 0;
  bar.notionalHigh = 0;
  bar.flags = 0;
}

inline void add(Bar &bar, __int128 value) {
  __int128 sum = (static_cast<__int128>(bar.notionalHigh) << 64 | bar.notionalLow) + value;
  bar.notionalLow = static_cast<uint64_t>(sum);
  bar.notionalHigh = static_cast<int64_t>(sum >> 64);
}

inline void emit(const Bar &bar, int kind) {
  Bar &to = out[outCount++ & kOutMask];
  to = bar;
  to.kind = kind;
  to.minusLow = -bar.minusLow;
}

inline void merge(Bar &into, const Bar &from, int64_t startNs) {
  openCount[into.timeframe] += into.firstNs == kNone;
  into.startNs = startNs;
  const bool isEarlier = from.firstNs < into.firstNs;
  const bool isLater = from.lastNs >= into.lastNs;
  into.firstNs = isEarlier ? from.firstNs : into.firstNs;
  into.open = isEarlier ? from.open : into.open;
  into.lastNs = isLater ? from.lastNs : into.lastNs;
  into.close = isLater ? from.close : into.close;
  _mm_store_pd(&into.high, _mm_max_pd(_mm_load_pd(&into.high), _mm_load_pd(&from.high)));
  into.trades += from.trades;
  into.late += from.late;
  into.flags |= from.flags;
  into.lots += from.lots;
  add(into, static_cast<__int128>(from.notionalHigh) << 64 | from.notionalLow);
}

void close(int timeframe, Bar *row, int64_t secondNs) {
  for (int symbol = 0; symbol < symbols; symbol++) {
    Bar &bar = row[symbol];
    if (bar.firstNs == kNone || (timeframe == 0 && bar.startNs != secondNs)) continue;
    emit(bar, 1);
    for (int child = timeframe + 1; child < timeframes; child++) {
      if (parents[child] != timeframe) continue;
      const int64_t sizeNs = seconds[child] * kSecondNs;
      merge(accumulators[static_cast<size_t>(child) * symbols + symbol], bar, bar.startNs / sizeNs * sizeNs);
    }
    openCount[timeframe]--;
    empty(bar);
  }
}

void advance(int64_t targetNs) {
  if (watermarkNs == kNoTime) watermarkNs = targetNs;
  for (; watermarkNs < targetNs; watermarkNs += kSecondNs) {
    close(0, open1s + static_cast<size_t>(watermarkNs / kSecondNs & (slots - 1)) * symbols, watermarkNs);
    for (int timeframe = 1; timeframe < timeframes; timeframe++) {
      if ((watermarkNs + kSecondNs) % (seconds[timeframe] * kSecondNs) != 0) continue;
      close(timeframe, accumulators + static_cast<size_t>(timeframe) * symbols, 0);
    }
  }
}

Bar barOf(const Tick &tick, const Bar &like) {
  Bar bar = like;
  empty(bar);
  bar.firstNs = bar.lastNs = tick.tsNs;
  bar.trades = bar.late = 1;
  bar.open = bar.close = bar.high = tick.price;
  bar.minusLow = -tick.price;
  bar.lots = tick.lots;
  add(bar, static_cast<__int128>(static_cast<int64_t>(std::nearbyint(tick.price * bar.scale))) * tick.lots);
  return bar;
}

__attribute__((noinline)) void mergeLate(const Tick &tick) {
  Bar bar = barOf(tick, open1s[tick.symbol]);
  unsigned missed = 0;
  for (int timeframe = 0; timeframe < timeframes; timeframe++) {
    const int64_t sizeNs = seconds[timeframe] * kSecondNs;
    const int64_t startNs = tick.tsNs / sizeNs * sizeNs;
    if (startNs + sizeNs <= watermarkNs) {
      missed |= 1u << timeframe;
      bar.startNs = startNs;
      bar.timeframe = timeframe;
      emit(bar, 2);
    } else if (missed & 1u << parents[timeframe]) {
      merge(accumulators[static_cast<size_t>(timeframe) * symbols + tick.symbol], bar, startNs);
    }
  }
}

inline void mergeTrade(Bar &bar, const Tick &tick, int64_t startNs) {
  const bool isLater = tick.tsNs >= bar.lastNs;
  const bool isEarlier = tick.tsNs < bar.firstNs;
  openCount[0] += bar.firstNs == kNone;
  bar.startNs = startNs;
  bar.lastNs = isLater ? tick.tsNs : bar.lastNs;
  bar.close = isLater ? tick.price : bar.close;
  bar.firstNs = isEarlier ? tick.tsNs : bar.firstNs;
  bar.open = isEarlier ? tick.price : bar.open;
  _mm_store_pd(&bar.high, _mm_max_pd(_mm_load_pd(&bar.high), _mm_set_pd(-tick.price, tick.price)));
  bar.trades++;
  bar.lots += tick.lots;
  add(bar, static_cast<__int128>(static_cast<int64_t>(std::nearbyint(tick.price * bar.scale))) * tick.lots);
}

__attribute__((noinline)) void process(const Tick *tick, const Tick *end) {
  int64_t startNs = kNoTime;
  Bar *row = nullptr;
  for (; tick < end; tick++) {
    if (__builtin_expect(tick->kind != kTrade, 0)) {
      if (tick->kind == kWatermark) advance(tick->tsNs);
      continue;
    }
    if (static_cast<uint64_t>(tick->tsNs - startNs) >= static_cast<uint64_t>(kSecondNs)) {
      const int64_t second = tick->tsNs / kSecondNs;
      if ((second + 1) * kSecondNs <= watermarkNs) {
        mergeLate(*tick);
        continue;
      }
      startNs = second * kSecondNs;
      row = open1s + static_cast<size_t>(second & (slots - 1)) * symbols;
    }
    mergeTrade(row[tick->symbol], *tick, startNs);
  }
}

void prepare(const std::vector<Tick> &ticks) {
  watermarkNs = kNoTime;
  outCount = 0;
  std::memset(openCount, 0, sizeof openCount);
  for (const Tick &tick : ticks) {
    if (tick.kind != kSymbol) continue;
    for (int row = 0; row < slots + timeframes; row++) {
      Bar &bar = (row < slots ? open1s + static_cast<size_t>(row) * symbols : accumulators + static_cast<size_t>(row - slots) * symbols)[tick.symbol];
      std::memset(&bar, 0, sizeof bar);
      empty(bar);
      bar.symbol = static_cast<int32_t>(tick.ingestUs & 0x7fffffff);
      bar.timeframe = std::max(0, row - slots);
      bar.scale = tick.price;
      bar.partition = tick.tradeCount;
    }
  }
}

Bar *allocate(size_t count) { return static_cast<Bar *>(std::aligned_alloc(128, count * sizeof(Bar))); }

}  // namespace

int main(int argc, char **argv) {
  if (argc < 6) return std::fprintf(stderr, "usage: bars FILE SYMBOLS SLOTS PASSES TIMEFRAME_SECONDS...\n"), 2;
  symbols = std::atoi(argv[2]);
  slots = std::atoi(argv[3]);
  const int passes = std::atoi(argv[4]);
  for (timeframes = 0; timeframes < argc - 5 && timeframes < 12; timeframes++) {
    seconds[timeframes] = std::atoll(argv[5 + timeframes]);
    parents[timeframes] = timeframes - 1;
    while (parents[timeframes] >= 0 && seconds[timeframes] % seconds[parents[timeframes]] != 0) parents[timeframes]--;
  }
  std::FILE *file = std::fopen(argv[1], "rb");
  if (file == nullptr) return std::perror(argv[1]), 1;
  std::fseek(file, 0, SEEK_END);
  std::vector<Tick> ticks(static_cast<size_t>(std::ftell(file)) / sizeof(Tick));
  std::rewind(file);
  if (std::fread(ticks.data(), sizeof(Tick), ticks.size(), file) != ticks.size()) return std::perror(argv[1]), 1;
  std::fclose(file);
  const Tick *first = ticks.data();
  while (first < ticks.data() + ticks.size() && first->kind == kSymbol) first++;
  const Tick *end = ticks.data() + ticks.size();
  open1s = allocate(static_cast<size_t>(slots) * symbols);
  accumulators = allocate(static_cast<size_t>(timeframes) * symbols);
  out = allocate(kOutMask + 1);
  std::memset(static_cast<void *>(out), 0, (kOutMask + 1) * sizeof(Bar));
  std::vector<double> rates;
  for (int pass = 0; pass < passes + 1; pass++) {
    prepare(ticks);
    const auto from = std::chrono::steady_clock::now();
    process(first, end);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - from;
    if (pass > 0) rates.push_back(static_cast<double>(end - first) / took.count());
  }
  std::sort(rates.begin(), rates.end());
  double sum = 0;
  for (uint32_t index = outCount > kOutMask ? outCount - kOutMask - 1 : 0; index < outCount; index++) {
    const Bar &bar = out[index & kOutMask];
    sum += bar.open + bar.high + bar.minusLow + bar.close + bar.trades + static_cast<double>(bar.lots) + static_cast<double>(bar.notionalLow);
  }
  std::printf("%.0f %u %.17g\n", rates[rates.size() / 2], outCount, sum);
  return 0;
}
