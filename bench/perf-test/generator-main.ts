/** The process of the generator: its plan is the argument, its result the last line of its output. */
import { type GeneratorPlan, generate } from './generator.ts';

// A cast: the harness starts this process with exactly this.
const plan = JSON.parse(process.argv[2] ?? '') as GeneratorPlan;
const result = await generate(plan);
// Nothing is left to be sent, and a client takes its time to disconnect.
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
