// Bars from a file of tick records, as the kernel builds them: the same records, buckets, accumulators, cascade, watermark for each partition,
// late path (joins, amendments, refused ticks passed on), ingest stamps by poll, counters, out records and notional of 128 bits, branch-free
// where a branch would not be certain. It takes trades with the late policy `amend`, registers symbols before the clock starts, as the bench
// has it for the kernel, and refuses other ticks. Two rules are the kernel's alone: its out ring has a consumer, so that it asks for room and
// can cut a sweep short, and it lists open buckets for a barrier that asks. Prints how many ticks it took a second (the median of its passes),
// and sums to compare. Usage: bars FILE SYMBOLS SLOTS PASSES TIMEFRAME_SECONDS...
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
constexpr int kTrade = 1, kWatermark = 4, kBarrier = 5, kSymbol = 6, kLate = 7;
constexpr int kFinal = 1, kAmend = 2, kLateTick = 4, kBarrierOut = 5;
constexpr int kWithOpenState = 1;
constexpr int kRefused = 1 << 30;
constexpr int kPollRecords = 4096;
constexpr int kStamps = 512;

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

struct Partition {
  int64_t watermarkNs = kNoTime;
  std::vector<int32_t> symbols;  // in order of registration
};

struct Stamp {
  uint32_t ingestUs;
  int32_t count;
};

int symbols, slots, timeframes;
int64_t sizes[12];
int parents[12];
Bar *open1s, *accumulators, *out;
uint32_t outCount;
std::vector<Partition> partitions;
std::vector<int32_t> partitionOf;
int symbolCount;
Stamp stamps[kStamps];
int stampCount;
struct {
  int64_t open[12], barsOut[12], amendmentsOut[12], lateTicks, lateRefused, ticksMerged;
} counts;

// The second in hand, known to be open for every symbol, and the seconds that are: [openFromNs, openToNs).
int64_t secondNs, openFromNs, openToNs;
Bar *secondRow;

[[noreturn]] void fail(const char *what) {
  std::fprintf(stderr, "bars: %s\n", what);
  std::exit(1);
}

// Watermarks may lie before the epoch, by the lateness.
inline int64_t floorDivide(int64_t value, int64_t size) {
  const int64_t quotient = value / size;
  return quotient * size > value ? quotient - 1 : quotient;
}

inline Bar *slotRow(int64_t second) { return open1s + static_cast<size_t>(second & (slots - 1)) * symbols; }
inline Bar *accumulatorRow(int timeframe) { return accumulators + static_cast<size_t>(timeframe) * symbols; }

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

inline Bar &emit(const Bar &bar, int kind) {
  Bar &to = out[outCount++ & kOutMask];
  to = bar;
  to.kind = kind;
  to.minusLow = -bar.minusLow;
  return to;
}

inline void merge(Bar &into, const Bar &from, int64_t startNs) {
  if (into.firstNs == kNone) counts.open[into.timeframe]++;
  else if (into.startNs != startNs) fail("a bucket holds another start");
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

// Closes what a timeframe has open in a partition; 1 s buckets only where they end at `endNs`.
void close(const Partition &partition, int timeframe, int64_t endNs) {
  const int64_t startNs = endNs - kSecondNs;
  Bar *row = timeframe == 0 ? slotRow(floorDivide(startNs, kSecondNs)) : accumulatorRow(timeframe);
  int closed = 0;
  for (const int32_t symbol : partition.symbols) {
    Bar &bar = row[symbol];
    if (bar.firstNs == kNone || (timeframe == 0 && bar.startNs != startNs)) continue;
    emit(bar, kFinal);
    for (int child = timeframe + 1; child < timeframes; child++) {
      if (parents[child] != timeframe) continue;
      merge(accumulatorRow(child)[symbol], bar, floorDivide(bar.startNs, sizes[child]) * sizes[child]);
    }
    empty(bar);
    closed++;
  }
  counts.barsOut[timeframe] += closed;
  counts.open[timeframe] -= closed;
}

void closeSecond(const Partition &partition, int64_t endNs) {
  for (int timeframe = 0; timeframe < timeframes; timeframe++) {
    if (endNs % sizes[timeframe] == 0) close(partition, timeframe, endNs);
  }
}

// Over (fromNs, toNs] without 1 s buckets: each timeframe has at most one open bucket a symbol, and only its end matters.
void jump(const Partition &partition, int64_t fromNs, int64_t toNs) {
  if (fromNs >= toNs) return;
  int64_t ends[12];
  for (int timeframe = 1; timeframe < timeframes; timeframe++) ends[timeframe] = (floorDivide(fromNs, sizes[timeframe]) + 1) * sizes[timeframe];
  for (;;) {
    int64_t endNs = kNone;
    for (int timeframe = 1; timeframe < timeframes; timeframe++) endNs = std::min(endNs, ends[timeframe]);
    if (endNs == kNone || endNs > toNs) return;
    for (int timeframe = 1; timeframe < timeframes; timeframe++) {
      if (ends[timeframe] != endNs) continue;
      close(partition, timeframe, endNs);
      ends[timeframe] = kNone;
    }
  }
}

int64_t earliestOpen(const Partition &partition) {
  int64_t earliestNs = kNone;
  for (const int32_t symbol : partition.symbols) {
    for (int slot = 0; slot < slots; slot++) {
      const Bar &bar = slotRow(slot)[symbol];
      if (bar.firstNs != kNone) earliestNs = std::min(earliestNs, bar.startNs);
    }
  }
  return earliestNs;
}

// Finds the seconds that are open for every partition with symbols; a partition without a watermark leaves none.
void learnWindow() {
  int64_t highestNs = kNoTime, lowestNs = kNone;
  for (const Partition &partition : partitions) {
    if (partition.symbols.empty()) continue;
    highestNs = std::max(highestNs, partition.watermarkNs);
    lowestNs = std::min(lowestNs, partition.watermarkNs);
  }
  openFromNs = highestNs;
  openToNs = lowestNs == kNoTime || lowestNs == kNone ? kNoTime : lowestNs + slots * kSecondNs;
  secondNs = kNoTime;
}

// By end, then timeframe, then registration: second by second while 1 s buckets can be open, then end by end.
void advance(Partition &partition, int64_t targetNs) {
  int64_t fromNs = partition.watermarkNs;
  if (targetNs <= fromNs) return;
  if (fromNs == kNoTime) {
    fromNs = earliestOpen(partition);
    for (int64_t startNs = fromNs; startNs < targetNs; startNs = earliestOpen(partition)) {
      jump(partition, fromNs, startNs);
      fromNs = startNs + kSecondNs;
      closeSecond(partition, fromNs);
    }
  } else {
    for (int step = 0; step < slots && fromNs < targetNs; step++) closeSecond(partition, fromNs += kSecondNs);
  }
  jump(partition, fromNs, targetNs);
  partition.watermarkNs = targetNs;
  learnWindow();
}

// True when this opens the bucket.
inline bool mergeTrade(Bar &bar, const Tick &tick, int64_t startNs) {
  const bool isLater = tick.tsNs >= bar.lastNs;
  const bool isEarlier = tick.tsNs < bar.firstNs;
  const bool isOpening = bar.firstNs == kNone;
  bar.startNs = startNs;
  bar.lastNs = isLater ? tick.tsNs : bar.lastNs;
  bar.close = isLater ? tick.price : bar.close;
  bar.firstNs = isEarlier ? tick.tsNs : bar.firstNs;
  bar.open = isEarlier ? tick.price : bar.open;
  _mm_store_pd(&bar.high, _mm_max_pd(_mm_load_pd(&bar.high), _mm_set_pd(-tick.price, tick.price)));
  bar.trades++;
  bar.lots += tick.lots;
  add(bar, static_cast<__int128>(static_cast<int64_t>(std::nearbyint(tick.price * bar.scale))) * tick.lots);
  return isOpening;
}

Bar barOf(const Tick &tick) {
  Bar bar = open1s[tick.symbol];
  empty(bar);
  mergeTrade(bar, tick, 0);
  bar.late = 1;
  return bar;
}

// It joins the shortest open bucket, from where the cascade carries it, and amends the closed ones before it.
__attribute__((noinline)) void mergeLate(const Tick &tick, int64_t watermarkNs) {
  Bar bar = barOf(tick);
  unsigned missed = 0;
  counts.lateTicks++;
  for (int timeframe = 0; timeframe < timeframes; timeframe++) {
    const int64_t startNs = tick.tsNs - tick.tsNs % sizes[timeframe];
    if (startNs + sizes[timeframe] <= watermarkNs) {
      missed |= 1u << timeframe;
      bar.startNs = startNs;
      bar.timeframe = timeframe;
      emit(bar, kAmend);
      counts.amendmentsOut[timeframe]++;
    } else if (missed & 1u << parents[timeframe]) {
      merge(accumulatorRow(timeframe)[tick.symbol], bar, startNs);
    }
  }
}

// A tick that ingest refused as too late.
void passOnLate(const Tick &tick) {
  Bar bar = barOf(tick);
  bar.startNs = tick.tsNs;
  Bar &to = emit(bar, kLateTick);
  to.close = 0;
  to.missed = ((1 << timeframes) - 1) | kRefused;
  counts.lateRefused++;
}

void passBarrier(const Tick &tick) {
  if (tick.symbol & kWithOpenState) fail("a barrier asks for the open state, which is not listed here");
  Bar &to = out[outCount++ & kOutMask] = Bar{};
  to.kind = kBarrierOut;
  to.startNs = tick.tsNs;
  to.flags = tick.symbol;
}

void registerSymbol(const Tick &tick) {
  if (tick.symbol != symbolCount || symbolCount >= symbols || tick.ingestUs >> 31) fail("expected the next symbol, with trades");
  if (static_cast<size_t>(tick.tradeCount) >= partitions.size()) partitions.resize(static_cast<size_t>(tick.tradeCount) + 1);
  partitions[tick.tradeCount].symbols.push_back(tick.symbol);
  partitionOf[symbolCount++] = tick.tradeCount;
  for (int row = 0; row < slots + timeframes; row++) {
    Bar &bar = (row < slots ? slotRow(row) : accumulatorRow(row - slots))[tick.symbol];
    std::memset(&bar, 0, sizeof bar);
    empty(bar);
    bar.symbol = static_cast<int32_t>(tick.ingestUs);
    bar.timeframe = std::max(0, row - slots);
    bar.scale = tick.price;
    bar.partition = tick.tradeCount;
  }
  learnWindow();
}

__attribute__((noinline)) void obey(const Tick &tick) {
  if (tick.kind == kWatermark) {
    if (static_cast<size_t>(tick.symbol) >= partitions.size()) partitions.resize(static_cast<size_t>(tick.symbol) + 1);
    advance(partitions[tick.symbol], tick.tsNs);
  } else if (tick.kind == kSymbol) registerSymbol(tick);
  else if (tick.kind == kLate) passOnLate(tick);
  else if (tick.kind == kBarrier) passBarrier(tick);
  else fail("takes trades");
}

// A trade outside the second in hand. A second that is open for every partition comes in hand.
__attribute__((noinline)) void mergeSlowly(const Tick &tick) {
  if (static_cast<uint32_t>(tick.symbol) >= static_cast<uint32_t>(symbolCount) || tick.tsNs < 0) fail("no such symbol or time");
  const int64_t watermarkNs = partitions[partitionOf[tick.symbol]].watermarkNs;
  const int64_t second = tick.tsNs / kSecondNs;
  const int64_t startNs = second * kSecondNs;
  if (watermarkNs != kNoTime) {
    if (startNs + kSecondNs <= watermarkNs) return mergeLate(tick, watermarkNs);
    if (startNs - watermarkNs >= slots * kSecondNs) fail("a trade is too far ahead of its watermark");
  }
  Bar *row = slotRow(second);
  if (startNs >= openFromNs && startNs < openToNs) {
    secondNs = startNs;
    secondRow = row;
  } else if (row[tick.symbol].firstNs != kNone && row[tick.symbol].startNs != startNs) fail("a slot is taken");
  counts.open[0] += mergeTrade(row[tick.symbol], tick, startNs);
}

// One poll: returns the first record that was not done with, before `end` only when there is no place for another stamp.
__attribute__((noinline)) const Tick *process(const Tick *tick, const Tick *end) {
  int64_t startNs = secondNs;
  Bar *row = secondRow;
  uint32_t stampUs = 0;
  int merged = 0, stampFrom = 0;
  stampCount = 0;
  for (; tick < end; tick++) {
    if (__builtin_expect(tick->kind != kTrade, 0)) {
      obey(*tick);
      startNs = secondNs;
      continue;
    }
    if (__builtin_expect(tick->ingestUs != stampUs, 0)) {
      if (merged > stampFrom) stamps[stampCount++] = {stampUs, merged - stampFrom};
      stampFrom = merged;
      stampUs = tick->ingestUs;
      if (stampCount == kStamps) break;
    }
    merged++;
    if (__builtin_expect(static_cast<uint64_t>(tick->tsNs) - static_cast<uint64_t>(startNs) < static_cast<uint64_t>(kSecondNs), 1)) {
      counts.open[0] += mergeTrade(row[tick->symbol], *tick, startNs);
    } else {
      mergeSlowly(*tick);
      startNs = secondNs;
      row = secondRow;
    }
  }
  if (merged > stampFrom) stamps[stampCount++] = {stampUs, merged - stampFrom};
  counts.ticksMerged += merged;
  return tick;
}

void processAll(const Tick *tick, const Tick *end) {
  while (tick < end) tick = process(tick, std::min(tick + kPollRecords, end));
}

void prepare() {
  partitions.clear();
  symbolCount = 0;
  outCount = 0;
  counts = {};
  secondRow = nullptr;
  learnWindow();
}

Bar *allocate(size_t count) { return static_cast<Bar *>(std::aligned_alloc(128, count * sizeof(Bar))); }

}  // namespace

int main(int argc, char **argv) {
  if (argc < 6) return std::fprintf(stderr, "usage: bars FILE SYMBOLS SLOTS PASSES TIMEFRAME_SECONDS...\n"), 2;
  symbols = std::atoi(argv[2]);
  slots = std::atoi(argv[3]);
  const int passes = std::atoi(argv[4]);
  for (timeframes = 0; timeframes < argc - 5 && timeframes < 12; timeframes++) {
    sizes[timeframes] = std::atoll(argv[5 + timeframes]) * kSecondNs;
    parents[timeframes] = timeframes - 1;
    while (parents[timeframes] >= 0 && sizes[timeframes] % sizes[parents[timeframes]] != 0) parents[timeframes]--;
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
  partitionOf.resize(symbols);
  std::memset(static_cast<void *>(out), 0, (kOutMask + 1) * sizeof(Bar));
  std::vector<double> rates;
  for (int pass = 0; pass < passes + 1; pass++) {
    prepare();
    processAll(ticks.data(), first);
    const auto from = std::chrono::steady_clock::now();
    processAll(first, end);
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
