import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PROJECT_ROOT } from '../engine/core/root.ts';

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string }[];
}

const textOf = (path: string): string => readFileSync(join(PROJECT_ROOT, path), 'utf8');
const dashboards = readdirSync(join(PROJECT_ROOT, 'infra/grafana/dashboards')).map((name) => ({
  name,
  dashboard: JSON.parse(textOf(`infra/grafana/dashboards/${name}`)) as { readonly uid: string; readonly panels: readonly Panel[] },
}));
const metricsPage = textOf('engine/gateway/metrics.ts');

/** Names of ours in an expression, without what a histogram adds. */
function metricsIn(text: string): string[] {
  const names = text.match(/\b(?:bars_1s|bars_1m|bar_agg|tickwright|process)_[a-z0-9_]+/g) ?? [];
  return names.map((name) => name.replace(/_(bucket|sum|count)$/, ''));
}

it('every metric of a dashboard or alert is one that the engine has', () => {
  const texts = dashboards.flatMap(({ dashboard }) => dashboard.panels.flatMap((panel) => panel.targets.map((target) => target.expr)));
  const wanted = new Set(metricsIn([...texts, textOf('infra/prometheus/alerts.yaml')].join('\n')));
  expect(wanted.size).toBeGreaterThan(10);
  expect([...wanted].filter((name) => !metricsPage.includes(`'${name}'`))).toEqual([]);
});

it('panels have titles and ids of their own and do not overlap', () => {
  for (const { dashboard } of dashboards) {
    const { panels } = dashboard;
    expect(panels.length).toBeGreaterThan(0);
    expect(new Set(panels.map((panel) => panel.id)).size).toBe(panels.length);
    expect(new Set(panels.map((panel) => panel.title)).size).toBe(panels.length);
    for (const [index, { gridPos: left }] of panels.entries()) {
      expect(left.x + left.w).toBeLessThanOrEqual(24);
      for (const { gridPos: right } of panels.slice(index + 1)) {
        const isApart =
          left.x + left.w <= right.x || right.x + right.w <= left.x || left.y + left.h <= right.y || right.y + right.h <= left.y;
        expect(isApart).toBe(true);
      }
    }
  }
});

it('Prometheus scrapes the port that the engine listens on by default', () => {
  const port = /name: 'METRICS_PORT',[^}]*?fallback: (\d+)/s.exec(textOf('config/knobs.ts'))?.[1];
  expect(textOf('infra/prometheus/prometheus.yaml')).toContain(`host.docker.internal:${port}`);
});

it('what compose mounts is there', () => {
  const mounted = [...textOf('infra/compose.yaml').matchAll(/- \.\/([^:]+):/g)].map((match) => `infra/${match[1]}`);
  expect(mounted).toHaveLength(4);
  for (const path of mounted) expect(readdirSync(join(PROJECT_ROOT, path, '..'))).toContain(path.split('/').at(-1));
});
