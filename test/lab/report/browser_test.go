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

// library is echarts.min.js as npm ci leaves it.
const library = "web/node_modules/echarts/dist/echarts.min.js"

// browserLimit bounds each test with a browser; it takes some seconds on two cores.
const browserLimit = 2 * time.Minute

// complaints are what a browser says against a page, and each address that the page asks for.
type complaints struct {
	mu  sync.Mutex
	all []string
	own string // the page's address
}

func (c *complaints) add(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all = append(c.all, fmt.Sprintf(format, args...))
}

func (c *complaints) listen(ev any) {
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

// openPage shows the run in a browser; the test is skipped where there is no browser or no library.
func openPage(t *testing.T, run Run) (context.Context, *complaints) {
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
	c := &complaints{own: (&url.URL{Scheme: "file", Path: path}).String()}
	ctx, cancel := context.WithTimeout(t.Context(), browserLimit)
	t.Cleanup(cancel)
	// Chromium's sandbox does not run as root; the page is our own.
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

// show makes the page as wide as a desktop or a phone, in a scheme, and opens all scenarios.
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
	// Toggling, resizing and the scheme are told to the page a frame or two later, and it draws in the frame after.
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

func (c *complaints) report(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, complaint := range c.all {
		t.Error(complaint)
	}
}
