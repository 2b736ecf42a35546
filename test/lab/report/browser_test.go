package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// library is the path of echarts.min.js after npm ci.
const library = "web/node_modules/echarts/dist/echarts.min.js"

// browserLimit bounds a test with a browser. A test takes some seconds on two cores.
const browserLimit = 2 * time.Minute

// browserLog collects the errors and messages that a browser reports for a page, and the addresses that the page requests.
type browserLog struct {
	mu  sync.Mutex
	all []string
	own string // the page's address
}

func (c *browserLog) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, fmt.Sprintf(format, args...))
}

func (c *browserLog) listen(ev any) {
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		c.add("exception: %s", ev.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		c.add("console: %s", ev.Type)
	case *log.EventEntryAdded:
		c.add("log: %s %s", ev.Entry.Level, ev.Entry.Text)
	case *page.EventJavascriptDialogOpening:
		c.add("dialog: %s", ev.Message)
	case *network.EventRequestWillBeSent:
		if ev.Request.URL != c.own {
			c.add("request: %s", ev.Request.URL)
		}
	}
}

// openPage renders the run and starts a browser. It skips the test if the browser or the chart library is missing.
func openPage(t *testing.T, run Run) (context.Context, *browserLog) {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("there is no chromium in PATH: apt-get install chromium fonts-dejavu-core")
	}
	echarts, err := os.ReadFile(library)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("there is no " + library + ": npm ci --ignore-scripts in web")
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, []byte(rendered(t, run, echarts)), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &browserLog{own: (&url.URL{Scheme: "file", Path: path}).String()}
	ctx, cancel := context.WithTimeout(t.Context(), browserLimit)
	t.Cleanup(cancel)
	// Chromium's sandbox does not run as root. The page is trusted.
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(chromedp.ExecPath("chromium"), chromedp.NoSandbox), chromedp.WithListener(c.listen))
	t.Cleanup(cancel)
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal("starting chromium: ", err)
	}
	return ctx, c
}

func do(ctx context.Context, t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

func evaluate[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// show sets the width and the color scheme, opens all scenarios and waits until the charts are drawn.
func show(ctx context.Context, t *testing.T, width int64, scheme string) {
	t.Helper()
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	if err != nil {
		t.Fatal(err)
	}
	do(ctx, t, chromedp.EmulateViewport(width, 900))
	evaluate[bool](ctx, t, `document.querySelectorAll('details').forEach((d) => d.open = true); true`)
	// The page gets the events a frame or two later and draws in the next frame.
	drawn := `(() => {
		const loss = getComputedStyle(document.documentElement).getPropertyValue('--loss').trim();
		return [...document.querySelectorAll('.chart')].every((c) => {
			const svg = c.querySelector('svg'), chart = svg && echarts.getInstanceByDom(c);
			if (!chart || Math.abs(svg.clientWidth - c.clientWidth) >= 2) return false;
			chart.getZr().flush();
			return chart.getOption().series.find((s) => s.name === 'lost').areaStyle.color === loss;
		});
	})()`
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](drawn, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		t.Fatal("the charts are not drawn as wide as their panels, in the scheme's colours: ", err)
	}
}

func (c *browserLog) report(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.all {
		t.Error(text)
	}
}
