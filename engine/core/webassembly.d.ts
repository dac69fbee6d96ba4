/** The part of the WebAssembly JavaScript interface that the engine uses; TypeScript ships it only with the DOM. */
declare namespace WebAssembly {
  type ExportValue = ((...args: never[]) => unknown) | Memory | object;
  type Exports = Record<string, ExportValue>;

  class Memory {
    constructor(descriptor: { initial: number; maximum: number; shared: true });
    readonly buffer: SharedArrayBuffer;
  }

  class Module {
    constructor(bytes: Uint8Array);
  }

  class Instance {
    constructor(module: Module, imports: Record<string, Record<string, object>>);
    readonly exports: Exports;
  }
}
