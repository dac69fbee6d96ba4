// Draws the charts of a report. Their points lie in the page as JSON (report-charts.ts says in what form); uPlot stands before this script.
/* global uPlot, document, window, matchMedia, getComputedStyle, ResizeObserver */
(() => {
  const COLOURS = ['#3b82f6', '#e0812b', '#1aa179', '#b45fd6', '#c9a20a', '#0fa3bf', '#e2619f', '#7a8a2c', '#8b7bff', '#9c6b4f'];
  const DASHES = [[], [7, 4], [2, 3]];
  const VOID_COLOUR = '#e5484d';
  const HEIGHT_PX = 300;
  const WHISKER_PX = 5;

  const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumSignificantDigits: 3 });
  const exact = new Intl.NumberFormat('en', { maximumSignificantDigits: 4 });
  const colourOf = (line) => (line.isVoid ? VOID_COLOUR : COLOURS[line.colour % COLOURS.length]);
  const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** 1 / (1 - p) as percent: 10 is 90 %, 1000 is 99.9 %. */
  function percentOf(x) {
    const digits = Math.max(0, Math.ceil(Math.log10(x) - 2 - 1e-9));
    return `${(100 * (1 - 1 / x)).toFixed(digits)} %`;
  }

  function nameOf(chart, x) {
    if (chart.xKind === 'percentile') return percentOf(x);
    return exact.format(chart.xKind === 'count' ? Math.round(x) : x);
  }

  function xAxis(chart) {
    const axis = { label: chart.xLabel };
    if (chart.xKind === 'percentile') {
      axis.splits = (_, __, min, max) => [1, 2, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9].filter((x) => x >= min && x <= max);
      axis.values = (plot, splits) =>
        splits.map((x) => (x === 2 && plot.width < 480 ? '' : x === 1 ? '0 %' : x === 2 ? '50 %' : percentOf(x)));
      axis.filter = (_, splits) => splits;
    }
    if (chart.xKind === 'count') {
      axis.splits = (_, __, min, max) => {
        const whole = Array.from({ length: Math.floor(max) - Math.ceil(min) + 1 }, (___, index) => Math.ceil(min) + index);
        const present = new Set(chart.lines.flatMap((line) => line.x.map(Math.round)));
        return whole.filter((x) => present.has(x));
      };
      axis.values = (_, splits) => splits.map(String);
    }
    return axis;
  }

  function xScale(chart) {
    if (chart.xKind === 'percentile') return { time: false, distr: 3, range: (_, __, max) => [1, Math.max(10, max)] };
    if (chart.xKind === 'count') return { time: false, range: (_, min, max) => [Math.round(min) - 0.5, Math.round(max) + 0.5] };
    return { time: false };
  }

  /** Room for every value and every whisker. */
  function yScale(chart) {
    const values = chart.lines.flatMap((line) => [...line.y, ...(line.low ?? []), ...(line.high ?? [])]).filter((value) => value !== null);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    if (chart.isLogY && low > 0) return { distr: 3, range: () => uPlot.rangeLog(low, high === low ? high * 1.1 : high, 10, false) };
    return { range: () => uPlot.rangeNum(Math.min(0, low), high === 0 ? 1 : high, 0.1, true) };
  }

  function drawWhiskers(chart) {
    return (plot) => {
      const { ctx } = plot;
      const half = WHISKER_PX * window.devicePixelRatio;
      chart.lines.forEach((line, index) => {
        if (line.low === undefined || !plot.series[index + 1].show) return;
        ctx.save();
        ctx.strokeStyle = colourOf(line);
        ctx.lineWidth = 1.5 * window.devicePixelRatio;
        ctx.beginPath();
        line.x.forEach((value, point) => {
          if (line.low[point] === null || line.high[point] === null) return;
          const x = plot.valToPos(value, 'x', true);
          const low = plot.valToPos(line.low[point], 'y', true);
          const high = plot.valToPos(line.high[point], 'y', true);
          ctx.moveTo(x, low);
          ctx.lineTo(x, high);
          for (const end of [low, high]) {
            ctx.moveTo(x - half, end);
            ctx.lineTo(x + half, end);
          }
        });
        ctx.stroke();
        ctx.restore();
      });
    };
  }

  /** The nearest point of a line: lines do not share their abscissae. */
  function nearestPoint(plot, series, hovered) {
    const values = plot.data[series];
    const isThere = (index) => values[index] !== null && values[index] !== undefined;
    if (series === 0 || isThere(hovered)) return hovered;
    for (let distance = 1; distance < values.length; distance += 1) {
      if (isThere(hovered - distance)) return hovered - distance;
      if (isThere(hovered + distance)) return hovered + distance;
    }
    return hovered;
  }

  /** Points of several lines at one number of workers stand side by side. */
  function spread(chart) {
    if (chart.xKind !== 'count') return chart;
    const place = (index) => (index - (chart.lines.length - 1) / 2) * Math.min(0.06, 0.5 / chart.lines.length);
    return { ...chart, lines: chart.lines.map((line, index) => ({ ...line, x: line.x.map((x) => x + place(index)) })) };
  }

  function drawChart(given, host) {
    const chart = spread(given);
    const heading = document.createElement('h3');
    heading.textContent = chart.title;
    const box = document.createElement('div');
    box.className = 'chart';
    box.append(heading);
    host.append(box);
    const [ink, grid] = [styleOf('--quiet'), styleOf('--grid')];
    const axis = { stroke: ink, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 }, font: '12px system-ui, sans-serif' };
    const isSparse = chart.xKind === 'count';
    const plot = new uPlot(
      {
        width: Math.max(200, box.clientWidth),
        height: HEIGHT_PX,
        padding: [12, 26, 0, 0],
        scales: { x: xScale(chart), y: yScale(chart) },
        axes: [
          { ...axis, ...xAxis(chart), labelFont: axis.font, labelSize: 18, size: 36 },
          {
            ...axis,
            label: chart.yLabel,
            labelFont: axis.font,
            labelSize: 18,
            size: 56,
            values: (_, splits) => splits.map((value) => (value === null ? '' : compact.format(value))),
          },
        ],
        series: [
          { label: chart.xLabel, value: (_, x) => (x === null ? '-' : nameOf(chart, x)) },
          ...chart.lines.map((line) => ({
            label: line.label,
            stroke: colourOf(line),
            width: line.isVoid ? 2.5 : 1.75,
            dash: line.isVoid ? [4, 4] : DASHES[Math.floor(line.colour / COLOURS.length) % DASHES.length],
            points: { show: isSparse, size: 7, fill: colourOf(line) },
            value: (_, y) => (y === null || y === undefined ? '-' : `${exact.format(y)} ${chart.yLabel}`),
          })),
        ],
        cursor: { dataIdx: nearestPoint },
        hooks: { draw: [drawWhiskers(chart)] },
      },
      uPlot.join(chart.lines.map((line) => [line.x, line.y])),
      box,
    );
    const observer = new ResizeObserver(() => {
      if (box.clientWidth > 0 && box.clientWidth !== plot.width) plot.setSize({ width: box.clientWidth, height: HEIGHT_PX });
    });
    observer.observe(box);
    return () => {
      observer.disconnect();
      plot.destroy();
      box.remove();
    };
  }

  function openSection(section, element) {
    const host = element.querySelector('.charts');
    const select = element.querySelector('select');
    let drawn = [];
    const draw = () => {
      for (const remove of drawn) remove();
      drawn = section.choices[select === null ? 0 : select.selectedIndex].charts.map((chart) => drawChart(chart, host));
    };
    select?.addEventListener('change', draw);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
    draw();
  }

  const sections = JSON.parse(document.getElementById('charts').textContent);
  for (const [index, section] of sections.entries()) openSection(section, document.querySelector(`[data-section="${index}"]`));
})();
