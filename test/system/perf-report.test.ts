/** The page of a perf-test report in a real browser: Chromium of the system, from a file, without a network. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startManifest } from '../../bench/manifest.ts';
import { finishPerfTest, writeReport } from '../../bench/perf-test/write-report.ts';
import { syntheticPerfTest, WRONG } from '../perf-cells.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const executablePath = (process.env['PATH'] ?? '')
  .split(delimiter)
  .flatMap((folder) => NAMES.map((name) => join(folder, name)))
  .find((path) => existsSync(path));

/** The first colours of the page's palette; five lines at least are in most plots. */
const LINE_COLOURS = ['#3b82f6', '#e0812b', '#1aa179', '#b45fd6', '#c9a20a'];

/** Where screenshots are left, to be looked at; without it they go with the test's own folder. */
const kept = process.env['SCREENSHOTS'];

/** Colours of all pixels of a canvas, most frequent ones first, `#rrggbb`; transparent ones left out. */
interface Drawn {
  readonly colours: readonly string[];
  readonly pixels: number;
}

interface Opened {
  readonly page: Page;
  /** Console errors, exceptions and requests other than the file itself. */
  readonly faults: string[];
}

describe.skipIf(executablePath === undefined)(`report page${executablePath === undefined ? ' (skipped: no chromium)' : ''}`, () => {
  let browser: Browser;
  let folder: string;
  const files = { right: '', void: '' };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'report-page-'));
    const perfTest = syntheticPerfTest();
    const cells = perfTest.cells.map((cell, index) => (index === 0 ? { ...cell, verdict: WRONG } : cell));
    const write = (name: keyof typeof files, part: typeof perfTest): void => {
      const manifest = finishPerfTest(startManifest('perf-test', false, 0), { durationSec: 1_234.5, perfTest: part, failures: [] });
      files[name] = join(writeReport(manifest, join(folder, name)).folder, 'report.html');
    };
    write('right', perfTest);
    write('void', { ...perfTest, cells });
    browser = await chromium.launch({ executablePath: executablePath ?? '' });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(file: string, width: number, colorScheme: 'light' | 'dark'): Promise<Opened> {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const address = pathToFileURL(file).href;
    const faults: string[] = [];
    page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => faults.push(`exception: ${error.message}`));
    page.on('request', (request) => request.url() !== address && faults.push(`request: ${request.url()}`));
    await page.goto(address);
    // Plots are drawn in a microtask after they are made; two frames later all of them are.
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
    return { page, faults };
  }

  function readCanvases(page: Page): Promise<Drawn[]> {
    return page.evaluate<Drawn[]>(`[...document.querySelectorAll('canvas')].map((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      const counts = new Map();
      for (let index = 0; index < data.length; index += 4) {
        if (data[index + 3] < 255) continue;
        const colour = '#' + [0, 1, 2].map((part) => data[index + part].toString(16).padStart(2, '0')).join('');
        counts.set(colour, (counts.get(colour) ?? 0) + 1);
      }
      const colours = [...counts].sort((a, b) => b[1] - a[1]).map(([colour]) => colour);
      return { colours, pixels: [...counts.values()].reduce((sum, count) => sum + count, 0) };
    })`);
  }

  for (const [width, scheme] of [
    [1280, 'light'],
    [1280, 'dark'],
    [400, 'light'],
    [400, 'dark'],
  ] as const) {
    it(`draws every plot at ${width} px in ${scheme}, without errors or requests`, async () => {
      const { page, faults } = await open(files.void, width, scheme);
      const canvases = await readCanvases(page);
      // Throughput and latency, live and catch-up; accepted ticks, ring depth and memory over time.
      expect(canvases).toHaveLength(7);
      for (const { colours, pixels } of canvases) {
        expect(pixels).toBeGreaterThan(500);
        // Lines lie over each other in places, but never all of them.
        expect(LINE_COLOURS.filter((colour) => colours.includes(colour)).length).toBeGreaterThanOrEqual(3);
      }
      expect(faults).toEqual([]);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
      await page.screenshot({ path: join(kept ?? folder, `report-${width}-${scheme}.png`), fullPage: true });
      await page.close();
    });
  }

  it('is red when a cell is void, and says why', async () => {
    const { page } = await open(files.void, 1280, 'light');
    const banner = page.locator('.banner');
    expect(await banner.textContent()).toMatch(/^VOID: 1 of 78 cells came out wrong.*SIM0007.*399,999 in bars$/s);
    const [red, green, blue] = await coloursOf(page, '.banner');
    expect(red).toBeGreaterThan(150);
    expect(green! + blue!).toBeLessThan(80);
    expect(await page.locator('tr.void').count()).toBe(3);
    await page.close();
  });

  it('is green when every cell is right', async () => {
    const { page, faults } = await open(files.right, 1280, 'light');
    expect(await page.locator('.banner').textContent()).toMatch(/^RIGHT: 68 of 78 cells agree/);
    const [red, green] = await coloursOf(page, '.banner');
    expect(green).toBeGreaterThan(2 * red!);
    expect(await page.locator('.void').count()).toBe(0);
    expect(faults).toEqual([]);
    await page.close();
  });

  it('draws what is chosen, and the void cell in red', async () => {
    const { page, faults } = await open(files.void, 1280, 'light');
    const overTime = page.locator('[data-section="2"]');
    const first = await readCanvases(page);
    // The first group holds the void cell.
    expect(first.slice(4).every(({ colours }) => colours.includes('#e5484d'))).toBe(true);
    await overTime.locator('select').selectOption({ index: 1 });
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
    const second = await readCanvases(page);
    expect(second).toHaveLength(7);
    expect(second.slice(4).some(({ colours }) => colours.includes('#e5484d'))).toBe(false);
    expect(faults).toEqual([]);
    await page.close();
  });

  it('tells the value of every line where one points', async () => {
    const { page } = await open(files.right, 1280, 'light');
    for (const section of [0, 1, 2]) {
      const plot = page.locator(`[data-section="${section}"] .chart`).first();
      await plot.scrollIntoViewIfNeeded();
      await plot.locator('.u-over').hover();
      const values = await plot.locator('.u-legend .u-value').allTextContents();
      expect(values.length).toBeGreaterThan(3);
      for (const value of values) expect(value).toMatch(/\d/);
    }
    await page.close();
  });

  it('keeps its plots inside a window that is made narrower', async () => {
    const { page } = await open(files.right, 1280, 'light');
    await page.setViewportSize({ width: 420, height: 900 });
    await page.waitForFunction(
      'Math.max(...[...document.querySelectorAll(".u-wrap")].map((plot) => plot.getBoundingClientRect().right)) <= 420',
    );
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(420);
    await page.close();
  });

  async function coloursOf(page: Page, selector: string): Promise<number[]> {
    const text = await page.evaluate<string>(`getComputedStyle(document.querySelector('${selector}')).color`);
    return [...text.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  }
});
