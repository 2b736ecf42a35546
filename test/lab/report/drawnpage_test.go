package report

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/gracefulapp/gracefulapp/test/load"
)

func TestPageInABrowser(t *testing.T) {
	run := sampleRun()
	ctx, c := openPage(t, run)
	do(ctx, t, chromedp.Navigate(c.own))
	if n := evaluate[int](ctx, t, `document.querySelectorAll('.chart svg').length`); n != 4 {
		t.Errorf("%d charts are drawn at first, want those of the one open scenario", n)
	}
	backs := map[string]bool{}
	for _, width := range []int64{1280, 375} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprintf("%d %s", width, scheme), func(t *testing.T) {
				show(ctx, t, width, scheme)
				if wide := evaluate[int64](ctx, t, `document.documentElement.scrollWidth`); wide > width {
					t.Errorf("the page is %d pixels wide", wide)
				}
				checkMarks(ctx, t, run)
				checkContrast(ctx, t)
				backs[evaluate[string](ctx, t, `getComputedStyle(document.body).backgroundColor`)] = true
			})
		}
	}
	if len(backs) != 2 {
		t.Errorf("backgrounds %v; light and dark are the same", backs)
	}
	if n := evaluate[int](ctx, t, `document.querySelectorAll('img, iframe, [onerror]').length`); n != 0 {
		t.Errorf("%d elements came from a text", n)
	}
	if text := evaluate[string](ctx, t, `document.body.innerText`); !strings.Contains(text, "<script>alert(1)</script>") {
		t.Error("the hostile text is not shown, so the test proves nothing")
	}
	c.report(t)
}

// checkMarks compares the drawn marks with the data.
func checkMarks(ctx context.Context, t *testing.T, run Run) {
	t.Helper()
	type drawn struct {
		Lost   int `json:"lost"`  // in the seconds
		Lanes  int `json:"lanes"` // in the pods' lanes
		Marks  int `json:"marks"` // of both
		Red    int `json:"red"`   // shapes
		Events int `json:"events"`
		Pods   int `json:"pods"`
	}
	for i, s := range run.Scenarios {
		for j, w := range inDisplayOrder(s.Workloads) {
			got := evaluate[drawn](ctx, t, fmt.Sprintf(`(() => {
				const element = document.querySelector('[data-scenario="%d"][data-panel="%d"]');
				const all = echarts.getInstanceByDom(element).getOption().series;
				const data = (name) => all.find((s) => s.name === name).data;
				const sum = (name) => data(name).reduce((n, x) => n + x[2], 0);
				const loss = getComputedStyle(document.documentElement).getPropertyValue('--loss').trim();
				return { lost: sum('lost requests'), lanes: sum('losses of pods'), marks: data('lost requests').length + data('losses of pods').length,
					red: [...element.querySelectorAll('path')].filter((p) => p.getAttribute('fill') === loss).length,
					events: data('events').length, pods: data('pods').length };
			})()`, i, j))
			total := w.Total().Lost
			if got.Lost != total || got.Lanes != len(w.Losses) || got.Events != len(s.eventsOf(w)) || got.Pods != len(w.Pods) {
				t.Errorf("%s, %s: %+v is drawn of %d losses, %d events, %d pods", s.Name, w.Name, got, total, len(s.eventsOf(w)), len(w.Pods))
			}
			// The area of the lost requests is one more shape.
			if got.Red != got.Marks+1 || total > 0 && got.Marks == 0 {
				t.Errorf("%s, %s: %d red shapes for %d marks", s.Name, w.Name, got.Red, got.Marks)
			}
		}
	}
}

// minContrast is the contrast of text that WCAG 2 requires for level AA.
const minContrast = 4.5

func checkContrast(ctx context.Context, t *testing.T) {
	t.Helper()
	got := evaluate[map[string]float64](ctx, t, `(() => {
		const style = getComputedStyle(document.documentElement), color = (name) => style.getPropertyValue('--' + name).trim();
		const light = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
			.map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4).reduce((n, v, i) => n + v * [.2126, .7152, .0722][i], 0);
		const contrast = (a, b) => { const [x, y] = [light(color(a)), light(color(b))].sort((m, n) => n - m); return (x + .05) / (y + .05); };
		const out = {};
		for (const text of ['text', 'soft', 'link', 'good', 'bad', 'neutral', 'loss', 'event'])
			for (const back of ['back', 'card']) out[text + ' on ' + back] = contrast(text, back);
		out['on-draining on draining'] = contrast('on-draining', 'draining');
		return out;
	})()`)
	for pair, ratio := range got {
		if ratio < minContrast {
			t.Errorf("%s has a contrast of %.1f", pair, ratio)
		}
	}
	if len(got) == 0 {
		t.Error("no contrast was measured")
	}
}

func TestTipsShowTextAsText(t *testing.T) {
	run := sampleRun()
	ctx, c := openPage(t, run)
	do(ctx, t, chromedp.Navigate(c.own))
	show(ctx, t, 1280, "light")
	for _, series := range []string{"pods", "losses of pods", "events"} {
		text := evaluate[string](ctx, t, fmt.Sprintf(`(() => {
			const element = document.querySelector('[data-scenario="2"][data-panel="1"]'), chart = echarts.getInstanceByDom(element);
			chart.dispatchAction({ type: 'showTip', seriesIndex: chart.getOption().series.findIndex((s) => s.name === %q), dataIndex: 0 });
			const tip = element.querySelector('.tip');
			return tip ? tip.innerText : '';
		})()`, series))
		if !strings.Contains(text, "<img src=http://192.0.2.1/x") {
			t.Errorf("%s: the tip says %q", series, text)
		}
	}
	if n := evaluate[int](ctx, t, `document.querySelectorAll('img').length`); n != 0 {
		t.Errorf("%d images came from a text", n)
	}
	c.report(t)
}

func TestZoomMovesAllPanels(t *testing.T) {
	ctx, c := openPage(t, sampleRun())
	do(ctx, t, chromedp.Navigate(c.own))
	show(ctx, t, 1280, "light")
	wheel := func(modifiers int64) string {
		at := evaluate[[]float64](ctx, t, `(() => {
			const box = document.querySelector('[data-scenario="0"][data-panel="0"]'); box.scrollIntoView({ block: 'center' });
			return [box.getBoundingClientRect().x + 600, box.getBoundingClientRect().y + 60];
		})()`)
		_, err := chromedp.Call(ctx, input.DispatchMouseEvent, input.DispatchMouseEventParams{
			Type: "mouseWheel", X: at[0], Y: at[1], DeltaX: 0.01, DeltaY: -240, Modifiers: modifiers, // chromedp leaves out a zero, but the browser needs the field
		})
		if err != nil {
			t.Fatal(err)
		}
		do(ctx, t, chromedp.Sleep(300*time.Millisecond)) // ECharts combines several turns of the wheel
		return evaluate[string](ctx, t, `[0, 1].map((i) => document.querySelector('[data-scenario="0"][data-panel="' + i + '"]'))
			.map((e) => Math.round(echarts.getInstanceByDom(e).getOption().dataZoom[0].end)).join()`)
	}
	if ends := wheel(0); ends != "100,100" {
		t.Errorf("the wheel zooms to %s while the reader scrolls", ends)
	}
	const ctrl = 2
	ends := wheel(ctrl)
	if first, second, _ := strings.Cut(ends, ","); first != second || first == "100" {
		t.Errorf("two panels show the time up to %s percent, want the same and less than all", ends)
	}
	c.report(t)
}

func TestAFingerScrollsThePage(t *testing.T) {
	ctx, c := openPage(t, sampleRun())
	if _, err := chromedp.Call(ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	do(ctx, t, chromedp.Navigate(c.own)) // ECharts checks now whether the device has a touch screen
	show(ctx, t, 375, "dark")
	at := evaluate[[]float64](ctx, t, `(() => {
		const box = document.querySelector('[data-scenario="0"][data-panel="1"]'); box.scrollIntoView({ block: 'center' });
		return [150, box.getBoundingClientRect().y + 60, scrollY];
	})()`)
	touch := func(kind input.DispatchTouchEventType, points ...*input.TouchPoint) {
		if _, err := chromedp.Call(ctx, input.DispatchTouchEvent, input.DispatchTouchEventParams{Type: kind, TouchPoints: points}); err != nil {
			t.Fatal(err)
		}
	}
	touch("touchStart", &input.TouchPoint{X: at[0], Y: at[1]})
	for i := range 10 {
		touch("touchMove", &input.TouchPoint{X: at[0], Y: at[1] - float64(20*i)})
	}
	touch("touchEnd")
	do(ctx, t, chromedp.Sleep(300*time.Millisecond)) // the compositor scrolls by itself
	if y := evaluate[float64](ctx, t, `scrollY`); y < at[2]+50 {
		t.Errorf("a finger that moved 180 pixels up on a chart scrolled the page from %.0f to %.0f", at[2], y)
	}
	c.report(t)
}

// The browser log must show an error of a page, otherwise the tests above prove nothing.
func TestBrowserLogShowsErrors(t *testing.T) {
	ctx, c := openPage(t, smallRun())
	do(ctx, t, chromedp.Navigate(c.own))
	evaluate[bool](ctx, t, `document.body.appendChild(Object.assign(new Image(), { src: 'http://192.0.2.1/x' })); console.error('oh');
		setTimeout(() => { throw new Error('thrown') }); true`)
	do(ctx, t, chromedp.Sleep(300*time.Millisecond)) // the browser reports errors with a delay
	c.mu.Lock()
	defer c.mu.Unlock()
	all := strings.Join(c.all, "\n")
	for _, want := range []string{"Content Security Policy", "console: error", "exception: "} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
}

// After the last second there was no load, so the areas must end there and not at the end of the scenario.
func TestTheLoadEndsWhereItEnded(t *testing.T) {
	run := smallRun()
	s := &run.Scenarios[0]
	s.Begin, s.End = run.Begin, run.Begin.Add(10*time.Second)
	for i := range 4 {
		s.Workloads[0].Seconds = append(s.Workloads[0].Seconds, load.Second{At: s.Begin.Add(time.Duration(i) * time.Second), Count: load.Count{Requests: 9, Answered: 9}})
	}
	ctx, c := openPage(t, run)
	do(ctx, t, chromedp.Navigate(c.own))
	show(ctx, t, 1280, "light")
	for _, series := range []string{"answered", "lost"} {
		end := evaluate[float64](ctx, t, fmt.Sprintf(`(() => {
			const element = document.querySelector('[data-scenario="0"][data-panel="0"]');
			return echarts.getInstanceByDom(element).getOption().series.find((s) => s.name === %q).data.at(-1)[0];
		})()`, series))
		if end != 4 {
			t.Errorf("%s ends at %v s, the load at 4 s of 10", series, end)
		}
	}
	c.report(t)
}
