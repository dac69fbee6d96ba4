/**
 * The price-time matcher of `kernels/matcher.ts`: a region of books, commands in and events out. Rules: docs/reference/matching.md; the plain book
 * that obeys the same ones is `engine/market/book-oracle.ts`.
 *
 * A host writes commands, calls `run`, and reads the events before it calls again. When their place would not hold all that one more command
 * can make, `run` stops before it, so a command is never cut in two.
 */
import * as L from '../../schemas/order-layout.gen.ts';
import { assert, EngineError } from '../core/errors.ts';
import {
  type BookInstrument,
  type BookLevel,
  isAllOrNone,
  type OrderCommand,
  type OrderEvent,
  type OwnerLimits,
  type RestingOrder,
  readCommand,
  readEvent,
  sideOf,
  typeOf,
  writeCommand,
} from '../market/order-command.ts';
import { createPrivateMemory, loadKernel } from './host.ts';

/** What a region holds at most: everything is set aside when it is made. */
export interface MatcherOptions {
  readonly symbols: number;
  /** Live orders. */
  readonly orders: number;
  /** Pages of 512 ticks of one book, 16 KiB each. */
  readonly pages: number;
  /** Owners are numbered below it; 0 is nobody. */
  readonly owners: number;
  /** Commands that `commands` holds. */
  readonly commandCapacity: number;
}

/** Records in the region: `capacity` of 64 bytes. */
export interface RecordArea {
  readonly view: DataView;
  readonly bytes: Uint8Array;
  readonly capacity: number;
}

export interface Matcher {
  /** Sets a symbol up, before its first command. @throws EngineError BOOK_INSTRUMENT */
  configure(symbolIndex: number, instrument: BookInstrument): void;
  /** Sets the limits of an owner, 1 and up. @throws EngineError BOOK_OWNER */
  limit(owner: number, limits: OwnerLimits): void;
  /** Where the host writes commands. */
  readonly commands: RecordArea;
  /** Where the events of the last run are: the first `eventCount()`. A listing overwrites them. */
  readonly events: RecordArea;
  /** Works on `count` of `commands` from index `from` (0); returns how many it did: fewer when the events must be taken first. */
  run(count: number, from?: number): number;
  /** Events of the last run. */
  eventCount(): number;
  /** Only these EVENT_KINDs are written from now on; all from the beginning. */
  setEventMask(kinds: readonly number[]): void;
  /** One command as an object; its events as objects. */
  apply(command: OrderCommand): OrderEvent[];
  /** The orders of a symbol, the books in order. */
  list(symbolIndex: number): RestingOrder[];
  /** The same as commands that restore them, in `events`; returns how many. */
  listRestores(symbolIndex: number): number;
  /** The displayed book of a side, best price first. */
  levels(symbolIndex: number, side: 0 | 1): BookLevel[];
  /** Last trade price, or `ORDER_LIMIT_PRICE_NONE`. */
  lastTicks(symbolIndex: number): number;
  /** Forgets all orders, symbols, limits and the time. */
  clear(): void;
}

type AddressConstant = 'REGION' | 'AT_FORMAT' | 'AT_SYMBOLS' | 'AT_ORDERS' | 'AT_PAGES' | 'AT_OWNERS' | 'AT_COMMANDS';
type AreaConstant = 'AT_COMMAND_BASE' | 'AT_EVENT_BASE' | 'AT_EVENT_CAPACITY' | 'AT_EVENT_COUNT' | 'AT_EVENT_MASK';

type MatcherKernel = { readonly [K in AddressConstant | AreaConstant]: { readonly value: number } } & {
  orderLayoutHash(): number;
  open(): number;
  clear(): void;
  instrumentAddress(symbolIndex: number): number;
  ownerAddress(owner: number): number;
  list(symbolIndex: number): number;
  levels(symbolIndex: number, side: number): number;
  run(address: number, count: number): number;
};

/** Holds the header of a region. */
const HEADER_END = 65_536;
const LEVEL_ROW_BYTES = 16;
const ALL_EVENTS = 0xffffffff;
/** The most of each, so that a region stays within 32-bit addresses. */
const LIMITS: MatcherOptions = { symbols: 1 << 16, orders: 1 << 22, pages: 1 << 16, owners: 1 << 20, commandCapacity: 1 << 20 };

/** Bytes of a memory that a region of these capacities takes, from its beginning on. @throws EngineError MATCHER_OPTIONS */
export function matcherBytes(options: MatcherOptions): number {
  const memory = createPrivateMemory(HEADER_END);
  const kernel = load(memory);
  writeCapacities(new DataView(memory.buffer), { kernel, options });
  return kernel.open() >>> 0;
}

/** A matcher with a memory of its own. @throws EngineError MATCHER_OPTIONS, KERNEL_MISSING, KERNEL_LAYOUT */
export function createMatcher(options: MatcherOptions): Matcher {
  return openMatcher(createPrivateMemory(matcherBytes(options)), options);
}

/**
 * A matcher over the first `matcherBytes(options)` of a memory. A region that is all zero is made ready; one that another matcher made with the same
 * options is taken as it is. Only one thread may use a region at a time, and nothing may be written below it.
 * @throws EngineError MATCHER_OPTIONS, MATCHER_REGION, KERNEL_MISSING, KERNEL_LAYOUT
 */
export function openMatcher(memory: WebAssembly.PrivateMemory, options: MatcherOptions): Matcher {
  const kernel = load(memory);
  const view = new DataView(memory.buffer);
  const region = kernel.REGION.value;
  if (new Uint8Array(memory.buffer, 0, region).some((byte) => byte !== 0)) {
    throw new EngineError('MATCHER_REGION', `book region: the ${region} bytes of the memory below it are not all 0`);
  }
  const format = view.getInt32(region + kernel.AT_FORMAT.value, true);
  const isNew = format === 0;
  if (isNew) writeCapacities(view, { kernel, options });
  else assertSame(view, { kernel, options });
  const end = kernel.open() >>> 0;
  if (end > memory.buffer.byteLength) {
    throw new EngineError('MATCHER_REGION', `book region ends at ${end}: the memory has ${memory.buffer.byteLength} bytes`);
  }
  if (isNew) {
    view.setUint32(region + kernel.AT_EVENT_MASK.value, ALL_EVENTS, true);
    kernel.clear();
    view.setInt32(region + kernel.AT_FORMAT.value, L.ORDER_LAYOUT_HASH, true);
  }
  return faceOf(memory, { kernel, options });
}

interface Opened {
  readonly kernel: MatcherKernel;
  readonly options: MatcherOptions;
}

function load(memory: WebAssembly.PrivateMemory): MatcherKernel {
  const kernel = loadKernel<MatcherKernel>('matcher', memory);
  const hash = kernel.orderLayoutHash();
  if (hash === L.ORDER_LAYOUT_HASH) return kernel;
  const text = `kernel matcher: built for order layout ${hash}, the engine has ${L.ORDER_LAYOUT_HASH}; run npm run build-kernels`;
  throw new EngineError('KERNEL_LAYOUT', text);
}

/** Where each capacity stands in the memory. */
function capacitiesOf({ kernel, options }: Opened): (readonly [name: keyof MatcherOptions, at: number, value: number])[] {
  const region = kernel.REGION.value;
  return [
    ['symbols', region + kernel.AT_SYMBOLS.value, options.symbols],
    ['orders', region + kernel.AT_ORDERS.value, options.orders],
    ['pages', region + kernel.AT_PAGES.value, options.pages],
    ['owners', region + kernel.AT_OWNERS.value, options.owners],
    ['commandCapacity', region + kernel.AT_COMMANDS.value, options.commandCapacity],
  ];
}

function writeCapacities(view: DataView, opened: Opened): void {
  for (const [name, at, value] of capacitiesOf(opened)) {
    if (!Number.isInteger(value) || value < 1 || value > LIMITS[name]) {
      throw new EngineError('MATCHER_OPTIONS', `matcher ${name} ${value}: expected a whole number from 1 to ${LIMITS[name]}`);
    }
    view.setUint32(at, value, true);
  }
}

function assertSame(view: DataView, opened: Opened): void {
  const format = view.getInt32(opened.kernel.REGION.value + opened.kernel.AT_FORMAT.value, true);
  if (format !== L.ORDER_LAYOUT_HASH) {
    throw new EngineError('MATCHER_REGION', `book region has layout ${format}: expected ${L.ORDER_LAYOUT_HASH}, or all zero`);
  }
  for (const [name, at, value] of capacitiesOf(opened)) {
    const found = view.getUint32(at, true);
    if (found === value) continue;
    throw new EngineError('MATCHER_REGION', `book region was made for ${name} ${found}: expected ${value}`);
  }
}

function faceOf(memory: WebAssembly.PrivateMemory, { kernel, options }: Opened): Matcher {
  const region = kernel.REGION.value;
  const view = new DataView(memory.buffer);
  const words = new Int32Array(memory.buffer);
  const areaAt = (baseAt: number, capacity: number, recordBytes: number): RecordArea => {
    const base = view.getUint32(region + baseAt, true);
    const length = capacity * recordBytes;
    return { view: new DataView(memory.buffer, base, length), bytes: new Uint8Array(memory.buffer, base, length), capacity };
  };
  const eventCapacity = view.getUint32(region + kernel.AT_EVENT_CAPACITY.value, true);
  const commands = areaAt(kernel.AT_COMMAND_BASE.value, options.commandCapacity, L.ORDER_COMMAND_SIZE);
  const events = areaAt(kernel.AT_EVENT_BASE.value, eventCapacity, L.ORDER_EVENT_SIZE);
  const commandBase = commands.bytes.byteOffset;
  const eventCountWord = (region + kernel.AT_EVENT_COUNT.value) >>> 2;
  const eventCount = (): number => words[eventCountWord]!;
  const instrumentAt = (symbolIndex: number): number => {
    assertIndex('BOOK_INSTRUMENT', 'symbol', { index: symbolIndex, from: 0, count: options.symbols });
    return kernel.instrumentAddress(symbolIndex) >>> 0;
  };
  const listRestores = (symbolIndex: number): number => {
    assertIndex('BOOK_INSTRUMENT', 'symbol', { index: symbolIndex, from: 0, count: options.symbols });
    return kernel.list(symbolIndex);
  };
  return {
    commands,
    events,
    eventCount,
    listRestores,
    run: (count, from = 0) => {
      if (from + count <= commands.capacity) return kernel.run(commandBase + from * L.ORDER_COMMAND_SIZE, count);
      throw new EngineError('MATCHER_COMMANDS', `commands ${from} to ${from + count}: the area holds ${commands.capacity}`);
    },
    configure: (symbolIndex, instrument) => writeInstrument(view, instrumentAt(symbolIndex), { symbolIndex, instrument }),
    limit(owner, limits) {
      assertIndex('BOOK_OWNER', 'owner', { index: owner, from: 1, count: options.owners });
      writeLimits(view, kernel.ownerAddress(owner) >>> 0, limits);
    },
    setEventMask(kinds) {
      const mask = kinds.reduce((bits, kind) => bits | (1 << kind), 0);
      view.setInt32(region + kernel.AT_EVENT_MASK.value, mask, true);
    },
    apply(command) {
      writeCommand(commands.view, 0, command);
      assert(kernel.run(commandBase, 1) === 1, 'the events of one command have room');
      return Array.from({ length: eventCount() }, (_, index) => readEvent(events.view, index * L.ORDER_EVENT_SIZE));
    },
    list: (symbolIndex) =>
      Array.from({ length: listRestores(symbolIndex) }, (_, index) => restingOf(readCommand(events.view, index * L.ORDER_COMMAND_SIZE))),
    levels(symbolIndex, side) {
      assertIndex('BOOK_INSTRUMENT', 'symbol', { index: symbolIndex, from: 0, count: options.symbols });
      return Array.from({ length: kernel.levels(symbolIndex, side) }, (_, index) => readLevel(events.view, index * LEVEL_ROW_BYTES));
    },
    lastTicks: (symbolIndex) => view.getInt32(instrumentAt(symbolIndex) + L.BOOK_INSTRUMENT_LAST_TICKS, true),
    clear: () => kernel.clear(),
  };
}

interface IndexRange {
  readonly index: number;
  readonly from: number;
  readonly count: number;
}

function assertIndex(code: string, what: string, { index, from, count }: IndexRange): void {
  if (Number.isInteger(index) && index >= from && index < count) return;
  throw new EngineError(code, `${what} ${index}: expected ${from} to ${count - 1}`);
}

interface InstrumentOf {
  readonly symbolIndex: number;
  readonly instrument: BookInstrument;
}

/** Only what the matcher can work with gets into the region. */
function writeInstrument(view: DataView, at: number, { symbolIndex, instrument }: InstrumentOf): void {
  const { priceMax, priceNone, quantityMax } = {
    priceMax: L.ORDER_LIMIT_PRICE_MAX,
    priceNone: L.ORDER_LIMIT_PRICE_NONE,
    quantityMax: L.ORDER_LIMIT_QUANTITY_MAX,
  };
  const last = instrument.lastTicks === priceNone ? 0 : instrument.lastTicks;
  const bounds: (readonly [name: keyof BookInstrument, value: number, from: number, to: number])[] = [
    ['phase', instrument.phase, L.PHASE_CLOSED, L.PHASE_HALTED],
    ['tickStep', instrument.tickStep, 1, priceMax],
    ['lotStep', instrument.lotStep, 1, quantityMax],
    ['minLots', instrument.minLots, 1, quantityMax],
    ['maxLots', instrument.maxLots, instrument.minLots, quantityMax],
    ['lowerTicks', instrument.lowerTicks, -priceMax, priceMax],
    ['upperTicks', instrument.upperTicks, instrument.lowerTicks, priceMax],
    ['lastTicks', last, -priceMax, priceMax],
  ];
  for (const [name, value, from, to] of bounds) {
    if (Number.isInteger(value) && value >= from && value <= to) continue;
    throw new EngineError('BOOK_INSTRUMENT', `symbol ${symbolIndex}, ${name} ${value}: expected a whole number from ${from} to ${to}`);
  }
  view.setInt32(at + L.BOOK_INSTRUMENT_PHASE, instrument.phase, true);
  view.setInt32(at + L.BOOK_INSTRUMENT_TICK_STEP, instrument.tickStep, true);
  view.setInt32(at + L.BOOK_INSTRUMENT_LOT_STEP, instrument.lotStep, true);
  view.setInt32(at + L.BOOK_INSTRUMENT_MIN_LOTS, instrument.minLots, true);
  view.setInt32(at + L.BOOK_INSTRUMENT_MAX_LOTS, instrument.maxLots, true);
  view.setInt32(at + L.BOOK_INSTRUMENT_LOWER_TICKS, instrument.lowerTicks, true);
  view.setInt32(at + L.BOOK_INSTRUMENT_UPPER_TICKS, instrument.upperTicks, true);
  view.setInt32(at + L.BOOK_INSTRUMENT_LAST_TICKS, instrument.lastTicks, true);
}

function writeLimits(view: DataView, at: number, limits: OwnerLimits): void {
  view.setInt32(at + L.BOOK_OWNER_FLAGS, limits.isBlocked ? L.OWNER_FLAG_IS_BLOCKED : 0, true);
  view.setInt32(at + L.BOOK_OWNER_MAX_OPEN_ORDERS, limits.maxOpenOrders, true);
  view.setInt32(at + L.BOOK_OWNER_MAX_ORDER_LOTS, limits.maxOrderLots, true);
  view.setBigInt64(at + L.BOOK_OWNER_MAX_NOTIONAL, limits.maxNotional, true);
}

function readLevel(view: DataView, at: number): BookLevel {
  return { priceTicks: view.getInt32(at, true), orders: view.getInt32(at + 4, true), quantityLots: view.getBigInt64(at + 8, true) };
}

/** What a restoring command says of its order. */
function restingOf(command: OrderCommand): RestingOrder {
  const { orderId, priceTicks, stopTicks, shownLots, displayLots, trailTicks, expiryNs, owner, attributes } = command;
  const isStop = typeOf(attributes) >= L.ORDER_TYPE_STOP;
  const book = isStop ? 'stop' : isAllOrNone(attributes) ? 'allOrNone' : 'displayed';
  return {
    orderId,
    book,
    side: sideOf(attributes),
    priceTicks,
    stopTicks,
    leavesLots: command.quantityLots,
    shownLots,
    displayLots,
    trailTicks,
    expiryNs,
    owner,
    attributes,
  };
}
