/** The command line. */
import { spawn } from 'node:child_process';
import { Command, Option } from 'commander';
import { KnobsInvalid, type LoadedConfig, loadProcessConfig } from '../config/load.ts';
import { EngineError, messageOf } from './core/errors.ts';
import { type PaperFlags, runPaperCommand } from './execution/paper/command.ts';
import { runTwinCommand, type TwinFlags } from './execution/twin/command.ts';
import { type DlqOptions, listLetters, replayDlq, showLetter } from './monitor/dlq.ts';
import { runExport } from './monitor/export.ts';
import { type FeedRunOptions, runFeed } from './monitor/feed.ts';
import { runGolden } from './monitor/golden.ts';
import { runMatcherFlow } from './monitor/matcher-flow.ts';
import { runIngestStage } from './runtime/ingest-stage.ts';
import { type RunOptions, runEngine } from './runtime/run.ts';
import { drainSignal } from './runtime/signals.ts';

const EXIT_REFUSED = 2;
/** A client library that does not end by itself is not waited for longer than this. */
const EXIT_PATIENCE_MS = 2000;

/** Runs an action; settings and operating errors are shown as one message, without a stack. */
function guarded<Args extends unknown[]>(action: (...args: Args) => Promise<number>): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      process.exitCode = await action(...args);
    } catch (error) {
      const isOperating = error instanceof EngineError || error instanceof KnobsInvalid;
      console.error(isOperating ? `tickwright: ${messageOf(error)}` : error);
      process.exitCode = EXIT_REFUSED;
    }
  };
}

function load(flags: Record<string, string | undefined>): LoadedConfig {
  const given = Object.entries(flags).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return loadProcessConfig(Object.fromEntries(given));
}

const STAGES_HELP = 'all, or one stage among other programs: ingest, bars1s, bars1m, multi';

/** `ingest` needs neither a database nor shards; every other stage is the engine with other ends. */
function runStages(options: RunOptions): Promise<number> {
  return options.loaded.config.STAGES === 'ingest' ? runIngestStage(options) : runEngine(options);
}

const program = new Command('tickwright')
  .description(
    'Market-data engine: ticks to bars, into Postgres and Kafka. Settings are environment variables; see docs/reference/knobs.md.',
  )
  .showHelpAfterError();

program
  .command('run', { isDefault: true })
  .description('run on the source that SOURCE names (simulator by default) until stopped')
  .option('--stages <stage>', STAGES_HELP)
  .action(guarded((options: { stages?: string }) => runStages({ loaded: load({ STAGES: options.stages }), files: [], isResume: false })));

program
  .command('replay')
  .description('turn recorded files into bars, and end when they end')
  .argument('<files...>', 'recorded files; several are merged by event time')
  .option('--speed <speed>', 'max, or a multiple of real time')
  .option('--format <format>', 'parse every file in this format instead of recognising it')
  .option('--symbol <symbol>', 'symbol of files that do not name one')
  .option('--resume', 'go on where the last replay into this schema was stopped')
  .option('--stages <stage>', 'all, or ingest: the files go into the topic ticks and nowhere else')
  .action(
    guarded((files: string[], options: { speed?: string; format?: string; symbol?: string; resume?: boolean; stages?: string }) =>
      runStages({
        loaded: load({ SOURCE: 'replay', REPLAY_SPEED: options.speed, STAGES: options.stages }),
        files,
        isResume: options.resume ?? false,
        ...(options.format === undefined ? {} : { format: options.format }),
        ...(options.symbol === undefined ? {} : { symbol: options.symbol }),
      }),
    ),
  );

program
  .command('export')
  .description('write the bars in Postgres to standard output')
  .requiredOption('--timeframe <timeframe>', 'such as 1m')
  .option('--symbol <symbol>', 'only this symbol')
  .addOption(new Option('--format <format>').choices(['csv', 'ndjson']).default('csv'))
  .addOption(new Option('--kind <kind>', 'trade bars or quote bars').choices(['trades', 'quotes']).default('trades'))
  .action(
    guarded((options: { timeframe: string; symbol?: string; format: 'csv' | 'ndjson'; kind: 'trades' | 'quotes' }) =>
      runExport(load({}).config, options, process.stdout),
    ),
  );

program
  .command('golden')
  .description('send every recorded set through the whole engine and compare with its reference answers')
  .option('--set <name>', 'only sets whose name contains this')
  .action(guarded((options: { set?: string }) => runGolden(load({}).config, options)));

program
  .command('feed')
  .description('replay order-by-order files (DBN, ITCH 5.0, LOBSTER) or depth frames (Binance) and say what they hold')
  .argument('<files...>', 'read one after the other, a snapshot first')
  .option('--format <format>', 'dbn, itch, lobster or binance, instead of recognising it')
  .option('--symbol <symbol>', 'only this symbol')
  .option('--tick-size <decimal>', 'one tick, instead of finding it out')
  .option('--date <date>', 'day of files that only tell the time of the day, YYYY-MM-DD')
  .option('--predict', 'let the matcher foretell the trades')
  .option('--orders <count>', 'live orders that a prediction has room for')
  .option('--pages <count>', 'pages of 512 ticks that a prediction has room for')
  .option('--symbols <count>', 'symbols that a prediction has room for')
  .option('--json', 'print one JSON object')
  .action(guarded((files: string[], options: FeedRunOptions) => runFeed(files, options, (line) => console.log(line))));

program
  .command('matcher')
  .description('send a file of XC-1 commands through the matcher and print what came of them as one JSON line')
  .requiredOption('--flow <file>', 'NDJSON: op 0 limit, 1 immediate or cancel, 2 cancel, 3 move; id, side, px, qty')
  .action(guarded((options: { flow: string }) => runMatcherFlow(options.flow)));

const dlq = program.command('dlq').description('what was refused: list it, show a letter, send it again');
const say = (line: string): void => console.log(line);

/** Options that choose letters, the same for every command of `dlq`. */
function choosing(command: Command): Command {
  return command
    .option('--reason <reason>', 'only letters with this reason, such as malformed')
    .option('--topic <topic>', 'only messages that this topic held')
    .option('--partition <partition>', 'only this partition of the topic dlq')
    .option('--offset <offset>', 'only this offset of the topic dlq')
    .option('--original', 'partition and offset are those of the refused message')
    .option('--limit <count>', 'at most so many letters, the oldest first');
}

choosing(dlq.command('list'))
  .description('letters by reason, topic and partition')
  .action(guarded((options: DlqOptions) => listLetters(load({}).config, options, say)));
choosing(dlq.command('show'))
  .description('one letter in full')
  .action(guarded((options: DlqOptions) => showLetter(load({}).config, options, say)));
choosing(dlq.command('replay'))
  .description('send refused messages again, each letter once')
  .option('--dry-run', 'only say what would be sent')
  .option('--yes', 'send')
  .action(guarded((options: DlqOptions) => replayDlq(load({}).config, options, say)));

program
  .command('paper')
  .description('play requests against recorded orders, levels, quotes or trades without changing them, and say what came of each and why')
  .argument('<files...>', 'recorded files, a snapshot first')
  .requiredOption('--requests <file>', 'JSON lines: new, cancel, replace')
  .option('--settings <file>', 'JSON with the settings of the paper exchange')
  .option('--lot-size <decimal>', 'units in a lot, such as the multiplier of a future; of frames the quantity that one lot is')
  .option('--shows <what>', 'of frames that show more: levels (default), quotes or trades')
  .option('--format <format>', 'read every file in this format instead of recognising it')
  .option('--symbol <symbol>', 'only this instrument')
  .option('--tick-size <decimal>', 'instead of the one found in the files')
  .action(guarded((files: string[], flags: PaperFlags) => runPaperCommand(files, flags, say)));

program
  .command('twin')
  .description(
    'take real orders out of an order-by-order feed, send each as our own, and say how well the queue models predict their fills',
  )
  .argument('[files...]', 'recorded files, a snapshot first')
  .option('--orders <count>', 'half of them really filled, half really cancelled', '600')
  .option('--seed <seed>', 'of the draw', '7')
  .option('--model <model>', 'a queue model, or all')
  .option('--settings <file>', 'JSON with the settings of the paper exchange')
  .option('--explain <count>', 'explain so many twins that did not do as their originals did', '0')
  .option('--seeded <commands>', 'instead of files: a flow of so many commands, matched by the plain book')
  .option('--shows <what>', 'what the models see of the feed: orders, levels, quotes or trades', 'orders')
  .option('--every-ms <ms>', 'sizes of levels and quotes are told once in so many ms; 0: with each event', '0')
  .option('--hidden-moves', 'in that flow one change in ten costs an order its place, and nobody can see it')
  .option('--format <format>', 'read every file in this format instead of recognising it')
  .option('--symbol <symbol>', 'only this instrument')
  .option('--tick-size <decimal>', 'instead of the one found in the files')
  .option('--json', 'print one JSON object')
  .action(guarded((files: string[], flags: TwinFlags) => runTwinCommand(files, flags, say)));

await program.parseAsync();
setTimeout(() => {
  // The end waits for threads of the pool, and a call into a client library that lost its brokers keeps one for good. An engine that was told to drain, and
  // has, then ends as the signal would have ended it, which those who sent it take for an orderly end; whatever else is killed.
  const signal = drainSignal();
  if (signal !== undefined && process.exitCode === 0) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    return;
  }
  const last = `setTimeout(() => { try { process.kill(${process.pid}, 'SIGKILL'); } catch {} }, ${EXIT_PATIENCE_MS})`;
  spawn(process.execPath, ['-e', last], { detached: true, stdio: 'ignore' }).unref();
  process.exit();
}, EXIT_PATIENCE_MS).unref();
