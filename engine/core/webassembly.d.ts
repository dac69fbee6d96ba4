/** The part of the WebAssembly JavaScript interface that the engine uses; TypeScript ships it only with the DOM. */
declare namespace WebAssembly {
  type ExportValue = ((...args: never[]) => unknown) | Memory | object;
  type Exports = Record<string, ExportValue>;

  class Memory<IsShared extends boolean = true> {
    constructor(descriptor: { initial: number; maximum: number; shared: IsShared });
    /** As large as the memory is now: a larger one is another object over the same bytes. */
    readonly buffer: IsShared extends true ? SharedArrayBuffer : ArrayBuffer;
    /** Adds pages of 64 KiB at the end; returns how many there were. */
    grow(pages: number): number;
  }

  /** One that no other thread sees. */
  type PrivateMemory = Memory<false>;

  class Module {
    constructor(bytes: Uint8Array);
  }

  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, object>>);
    readonly exports: Exports;
  }
}
