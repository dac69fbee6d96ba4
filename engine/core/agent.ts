/** A role of the engine: a unit of work that a thread runs in a duty cycle. */
export interface Agent {
  readonly name: string;
  /** Does what there is to do now, bounded, and returns how much that was; 0 lets the thread rest. */
  doWork(): number;
  close(): void;
}
