/** What is printed when the engine is up: where to look, and the knobs in force. */

import { KNOBS, type Knob } from '../../config/knobs.ts';
import type { LoadedConfig } from '../../config/load.ts';
import type { Servers } from './servers.ts';
import type { SourceHost } from './source-host.ts';
import { formatTable } from './text.ts';

/** Knobs that are always shown; others only when they are not at their default. */
const HEADLINE = ['WORKERS', 'QUEUE', 'FLUSH_MS', 'LATENESS_MS', 'TIMEFRAMES'];

export interface BannerParts {
  readonly loaded: LoadedConfig;
  readonly servers: Servers;
  readonly gatewayUrl: string;
  readonly host: Pick<SourceHost, 'title' | 'crashLoss'>;
  readonly exchange?: { readonly title: string } | undefined;
  readonly run: number;
  readonly restored: number;
  /** Messages that an earlier process had committed and not published. */
  readonly recovered: number;
}

export function renderBanner({ loaded, servers, gatewayUrl, host, exchange, run, restored, recovered }: BannerParts): string[] {
  const { config, origins } = loaded;
  const knobs: readonly Knob[] = KNOBS;
  const shown = knobs.filter((knob) => HEADLINE.includes(knob.name) || origins.get(knob.name) !== 'default');
  const resumed = restored > 0 ? `, going on with the open bars of ${restored} symbols` : '';
  return [
    '',
    `Tickwright, run ${run}: ${host.title}${resumed}`,
    ...(recovered > 0 ? [`  published ${recovered} messages that an earlier process had committed only`] : []),
    `  metrics   ${gatewayUrl}/metrics`,
    `  health    ${gatewayUrl}/health`,
    `  postgres  ${servers.postgres.psqlCommand}${servers.postgres.isEmbedded ? '   (embedded)' : ''}`,
    `  kafka     ${servers.kafkaLabel}`,
    ...(exchange ? [`  exchange  ${exchange.title}`] : []),
    ...(host.crashLoss === '' ? [] : [`  a crash   loses ${host.crashLoss}`]),
    `  log       ${config.LOG_FILE === '-' ? 'standard error' : config.LOG_FILE}`,
    '  knobs in force',
    ...formatTable(
      shown.map((knob) => {
        const value = knob.kind === 'secret' ? '(hidden)' : String(config[knob.name as keyof typeof config]);
        return [`    ${knob.name}`, value, origins.get(knob.name) ?? 'default'];
      }),
    ),
    '',
  ];
}
