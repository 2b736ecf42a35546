// Draws the charts of chart.go, each when its scenario is opened. All texts are added as SVG text nodes or by textContent, never as markup.
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('charts').textContent);
  const lane = 18, top = 24, requests = 104, gap = 12, foot = 26; // heights
  const left = 50, right = 14;

  function theme() {
    const style = getComputedStyle(document.documentElement);
    return new Proxy({}, { get: (_, name) => style.getPropertyValue('--' + name).trim() });
  }

  const height = (d) => top + requests + gap + Math.max(1, d.pods.length) * lane + foot;
  const shorten = (text, n) => (text.length > n ? text.slice(0, n - 1) + '…' : text);
  const s = (t) => t.toFixed(1) + ' s';

  function tip(...lines) {
    const box = document.createElement('div');
    box.className = 'tip';
    lines.filter(Boolean).forEach((line) => box.appendChild(document.createElement('div')).textContent = line);
    return box;
  }

  // clusters joins close seconds with losses, because their numbers would overlap.
  function clusters(seconds) {
    const out = [];
    for (const [t, answered, lost] of seconds) {
      if (!lost) continue;
      const last = out[out.length - 1];
      if (last && t - last.to < 4) Object.assign(last, { to: t, lost: last.lost + lost, top: Math.max(last.top, answered + lost) });
      else out.push({ from: t, to: t, lost, top: answered + lost });
    }
    return out;
  }

  function series(d, c) {
    const seconds = d.seconds.map(([t, answered, lost]) => [Math.max(0, t), answered, lost]);
    // The last second has an end, because there was no load after it.
    if (seconds.length) { const [t, a, l] = d.seconds[d.seconds.length - 1]; seconds.push([Math.min(t + 1, d.length), a, l]); }
    const area = (name, column, color, line) => ({
      name, type: 'line', stack: 'all', step: 'end', symbol: 'none', silent: true, z: 2,
      data: seconds.map((x) => [x[0], x[column]]), lineStyle: { width: line ? 1.2 : 0, color: line || color }, areaStyle: { color, opacity: 1 },
      itemStyle: { color: line || color }, emphasis: { disabled: true },
    });
    const lanes = { type: 'custom', xAxisIndex: 1, yAxisIndex: 1, clip: true, emphasis: { disabled: true } };
    return [
      { ...custom(settlingItem(d, c)), name: 'settling', silent: true, z: 1, data: d.events.map((e, i) => [e.at, i]) },
      area('answered', 1, c.answered, c['answered-line']),
      area('lost', 2, c.loss),
      { name: 'lost requests', type: 'scatter', symbol: 'diamond', z: 5, itemStyle: { color: c.loss, borderColor: c.back, borderWidth: 1 },
        symbolSize: (v) => Math.min(12, 6 + Math.sqrt(v[2]) / 2),
        data: d.seconds.filter((x) => x[2]).map(([t, a, l]) => [t + .5, a + l, l]),
        tooltip: { formatter: (p) => tip(`${p.value[2]} lost`, `sent within the second from ${s(p.value[0] - .5)}`) } },
      { ...custom(clusterItem(d, c)), name: 'clusters', silent: true, z: 6, data: clusters(d.seconds).map((x) => [(x.from + x.to + 1) / 2, x.top, x.lost]) },
      { ...lanes, name: 'pods', z: 3, renderItem: podItem(d, c), encode: { x: [1, 2], y: 0 },
        data: d.pods.map((p, i) => [i, p.bands.length ? p.bands[0].from : 0, p.bands.length ? p.bands[p.bands.length - 1].to : 0]),
        tooltip: { formatter: (p) => podTip(d.pods[p.dataIndex]) } },
      { ...lanes, name: 'losses of pods', z: 5, renderItem: lossItem(d, c), encode: { x: 1, y: 0 }, data: d.losses.map((l) => [l.pod, l.at, l.count]),
        tooltip: { formatter: (p) => lossTip(d, d.losses[p.dataIndex]) } },
      { ...custom(eventItem(d, c)), name: 'events', z: 2.5, clip: false, data: d.events.map((e, i) => [e.at, i]),
        tooltip: { formatter: (p) => eventTip(d.events[p.dataIndex]) } },
    ];
  }

  const custom = (renderItem) => ({ type: 'custom', xAxisIndex: 0, yAxisIndex: 0, clip: false, emphasis: { disabled: true }, renderItem });

  function podTip(p) {
    return tip(p.name, 'on ' + p.node, ...p.bands.map((b) => `${b.phase} from ${s(b.from)} to ${s(b.to)}`),
      p.deadlines && `SIGTERM due at ${s(p.deadlines[1])}, SIGKILL at ${s(p.deadlines[3])}`,
      p.exit !== undefined && `exit code ${p.exit}${p.killed ? ': SIGKILL' : ''}`);
  }
  const lossTip = (d, l) => tip(`${l.count} lost at ${s(l.at)}`, d.pods[l.pod].name, l.guessed && 'guessed: the pod with the latest event before the loss');
  const eventTip = (e) => tip(e.text, 'at ' + s(e.at), e.settled && `settled after ${s(e.settled - e.at)}`);

  // A change is a line through both grids with its number and, if there is room, its text. The background is grey until the workload is settled.
  const bottom = (d) => height(d) - foot;
  function settlingItem(d, c) {
    return (params, api) => {
      const e = d.events[params.dataIndex];
      if (!e.settled) return null;
      const x = api.coord([e.at, 0])[0], to = Math.min(api.coord([e.settled, 0])[0], api.coord([d.length, 0])[0]);
      return { type: 'rect', shape: { x, y: top, width: to - x, height: bottom(d) - top }, style: { fill: c.settling } };
    };
  }
  function eventItem(d, c) {
    return (params, api) => {
      const i = params.dataIndex, e = d.events[i], x = api.coord([e.at, 0])[0];
      const next = i + 1 < d.events.length ? api.coord([d.events[i + 1].at, 0])[0] : api.coord([d.length, 0])[0];
      const room = Math.floor((next - x - 24) / 7.6); // letters of 12 px, bold
      const number = next - x < 6 + 8 * `${i + 1}`.length ? '' : `${i + 1}`; // only the line if the next one is too close
      const text = room > 5 ? `${number} ${shorten(e.text.replace(/\s+/g, ' '), room)}` : number;
      return { type: 'group', children: [
        { type: 'line', shape: { x1: x, y1: 4, x2: x, y2: bottom(d) }, style: { stroke: c.event, lineWidth: 1.2 } },
        { type: 'text', x: x + 3, y: 4, style: { text, fill: c.text, font: '600 12px ' + c.font } },
      ] };
    };
  }
  function clusterItem(d, c) {
    return (params, api) => {
      const [x, y] = api.coord([api.value(0), api.value(1)]);
      return { type: 'text', x, y: y - 9, style: { text: `${api.value(2)} lost`, fill: c.loss, stroke: c.back, lineWidth: 3, font: '700 12px ' + c.font, align: 'center', verticalAlign: 'bottom' } };
    };
  }

  function podItem(d, c) {
    return (params, api) => {
      const p = d.pods[params.dataIndex], mid = api.coord([0, params.dataIndex])[1], y = mid - lane / 2 + 3, h = lane - 6;
      const x = (t) => api.coord([t, 0])[0], x0 = x(0), clip = params.coordSys.x + params.coordSys.width;
      const children = p.bands.filter((b) => b.to > 0).map((b) => {
        const from = Math.max(x(b.from), x0), hollow = b.phase === 'starting';
        return { type: 'rect', shape: { x: from, y: y + (hollow ? .5 : 0), width: Math.max(1, x(b.to) - from), height: h - (hollow ? 1 : 0), r: 1.5 },
          style: { fill: hollow ? c.back : c[b.phase], stroke: hollow ? c.starting : 'none', lineDash: hollow ? [3, 2] : null } };
      });
      if (p.deadlines) children.push(...deadlines(p, c, x, y, h, clip));
      if (p.killed) children.push(label('✖ SIGKILL', Math.min(x(p.killed) + 5, clip - 68), mid, c.loss, '700 11px', c, 'left'));
      return { type: 'group', children };
    };
  }

  // deadlines draws t2 | t1 | t3 below the band, with ticks where SIGTERM is due, where t1 ends and where SIGKILL is due.
  function deadlines(p, c, x, y, h, clip) {
    const [deleted, term, shutdown, kill] = p.deadlines.map(x), base = y + h + 1.5, end = x(p.bands.length ? p.bands[p.bands.length - 1].to : 0);
    const line = (x1, y1, x2, y2, stroke, lineWidth) => ({ type: 'line', shape: { x1, y1, x2, y2 }, style: { stroke, lineWidth } });
    // A rim makes the tick visible on a band of any color.
    const tick = (at, from, width) => [line(at, from, at, base + 1, c.back, width + 2), line(at, from, at, base + 1, c.text, width)];
    const out = [line(deleted, base, kill, base, c.soft, 1), ...tick(term, y - 1, 1.5), ...tick(shutdown, y + h / 2, 1), ...tick(kill, y - 1, 2.5)];
    const free = Math.max(end, term), mid = y + h / 2;
    if (term - deleted > 18) out.push(label('t2', (deleted + term) / 2, mid, c['on-draining'], '10.5px', c));
    if (shutdown - free > 18 && free + 9 < clip) out.push(label('t1', (free + Math.min(shutdown, clip)) / 2, mid, c.text, '10.5px', c));
    if (kill + 16 < clip && !p.killed) out.push(label('t3', kill + 10, mid, c.text, '10.5px', c));
    return out;
  }
  const label = (text, x, y, fill, size, c, align = 'center') => ({ type: 'text', x, y, style: { text, fill, font: `${size} ${c.font}`, align, verticalAlign: 'middle' } });

  function lossItem(d, c) {
    return (params, api) => {
      const l = d.losses[params.dataIndex], [x, mid] = api.coord([api.value(1), api.value(0)]), h = l.guessed ? lane / 2 - 1 : lane - 4;
      return { type: 'rect', shape: { x: x - 1.25, y: mid - h / 2, width: 2.5, height: h }, style: { fill: c.loss, stroke: c.back, lineWidth: .4 } };
    };
  }

  function option(d) {
    const c = theme(), text = { color: c.soft, fontFamily: c.font, fontSize: 11.5 };
    const most = Math.max(1, ...d.seconds.map((x) => x[1] + x[2]));
    const x = (i, show) => ({ type: 'value', gridIndex: i, min: 0, max: d.length, axisLine: { show, lineStyle: { color: c.line } }, axisTick: { show }, splitLine: { show: false },
      axisLabel: { ...text, show, formatter: (v) => v === d.length ? '' : `${v} s` }, axisPointer: { show: true, label: { show: false }, lineStyle: { color: c.soft } } });
    return {
      animation: false, backgroundColor: 'transparent', textStyle: { fontFamily: c.font }, axisPointer: { link: [{ xAxisIndex: 'all' }], triggerTooltip: false },
      tooltip: { trigger: 'item', confine: true, backgroundColor: c.card, borderColor: c.line, textStyle: { color: c.text }, formatter: () => '' },
      grid: [{ left, right, top, height: requests }, { left, right, top: top + requests + gap, height: Math.max(1, d.pods.length) * lane }],
      xAxis: [x(0, false), x(1, true)],
      yAxis: [
        // Room above the line for the numbers of lost requests.
        { type: 'value', gridIndex: 0, max: (v) => Math.ceil(most * 1.3), min: 0, splitNumber: 3, axisLine: { show: false }, axisTick: { show: false }, axisLabel: { ...text, showMaxLabel: false }, splitLine: { lineStyle: { color: c.line, opacity: .6 } } },
        { type: 'category', gridIndex: 1, inverse: true, data: d.pods.map((_, i) => i), axisLine: { show: false }, axisTick: { show: false },
          axisLabel: { ...text, fontSize: 10.5, interval: 0, formatter: (i) => d.pods[i].short } },
      ],
      dataZoom: [{ type: 'inside', xAxisIndex: [0, 1], zoomOnMouseWheel: 'ctrl', moveOnMouseMove: 'shift', moveOnMouseWheel: false, preventDefaultMouseMove: false, filterMode: 'none' }],
      series: series(d, c),
    };
  }

  function draw(element) {
    const d = data[element.dataset.scenario][element.dataset.panel];
    element.style.height = height(d) + 'px';
    let chart = echarts.getInstanceByDom(element);
    if (!chart) {
      chart = echarts.init(element, null, { renderer: 'svg' });
      chart.group = 'scenario' + element.dataset.scenario;
      // The panel of a closed scenario has no width, so its chart must be resized when it opens.
      new ResizeObserver(() => element.clientWidth && chart.resize()).observe(element);
    }
    chart.resize();
    chart.setOption(option(d), true);
  }

  const open = (details) => {
    details.querySelectorAll('.chart').forEach(draw);
    echarts.connect('scenario' + details.id.slice(1));
  };
  const scenarios = [...document.querySelectorAll('details.scenario')];
  scenarios.forEach((details) => {
    details.addEventListener('toggle', () => details.open && open(details));
    if (details.open) open(details);
  });
  const follow = () => { const target = document.getElementById(location.hash.slice(1)); if (scenarios.includes(target)) target.open = true; };
  addEventListener('hashchange', follow);
  follow();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => scenarios.filter((x) => x.open).forEach(open));
})();
