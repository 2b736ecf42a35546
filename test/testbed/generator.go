package testbed

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// LoadgenGraceSeconds is the grace period of a generator's pod: requests in flight finish within load.Timeout, 30 s.
const LoadgenGraceSeconds = 40

const (
	// stopLimit bounds the end of the generators. It includes time for the kubelet, which is slow on a busy machine.
	stopLimit = (LoadgenGraceSeconds + 20) * time.Second
	// maxLine bounds the length of a line. The summary is the longest: it has one entry per second and target.
	maxLine = 16 << 20
	// maxStreams is how often a log stream is opened, and streamPause is the time in between: an API server has a minute to restart.
	maxStreams  = 60
	streamPause = time.Second
)

// Generator is a load generator's pod as its output shows it.
type Generator struct {
	Pod string
	// Losses (by target), Summary and ClockOffset may be read when the fleet has stopped. ClockOffset is the time to add to the generator's clock to
	// get this program's clock. It includes the shortest time in which a line arrived.
	Losses      map[string][]load.Record
	Summary     []load.Summary
	ClockOffset time.Duration

	mu       sync.Mutex
	progress map[string]load.Progress
	seen     bool
}

func newGenerator(pod string) *Generator {
	g := &Generator{Pod: pod}
	g.reset()
	return g
}

func (g *Generator) reset() {
	g.progress, g.Losses, g.Summary = map[string]load.Progress{}, map[string][]load.Record{}, nil
}

// isGone reports whether the pod does not exist. A kubelet that has just started does not know its pods yet, and answers like that too.
func (g *Generator) isGone(ctx context.Context, t *Testbed) bool {
	_, err := t.Kube.CoreV1().Pods(t.Namespace).Get(ctx, g.Pod, metav1.GetOptions{})
	return apierrors.IsNotFound(err)
}

// follow reads the pod's output up to the summary. If the stream breaks, as it does when the API server or the kubelet restarts, follow reads the
// output again from its beginning. If the pod no longer exists, follow returns the error of the last stream.
func (g *Generator) follow(ctx context.Context, t *Testbed) error {
	var broken error
	for n := 1; ; n++ {
		err := g.readOnce(ctx, t)
		if apierrors.IsNotFound(err) && g.isGone(ctx, t) {
			return fmt.Errorf("%w, and its pod no longer exists", cmp.Or(broken, err))
		}
		if err == nil || ctx.Err() != nil || n == maxStreams {
			return err
		}
		broken = err
		select {
		case <-ctx.Done():
			return err
		case <-time.After(streamPause):
		}
	}
}

func (g *Generator) readOnce(ctx context.Context, t *Testbed) error {
	stream, err := t.Kube.CoreV1().Pods(t.Namespace).GetLogs(g.Pod, &corev1.PodLogOptions{Follow: true}).Stream(ctx)
	if err != nil {
		return fmt.Errorf("reading the output of %s: %w", g.Pod, err)
	}
	defer func() { _ = stream.Close() }()
	return g.read(stream)
}

func (g *Generator) read(stream io.Reader) error {
	g.mu.Lock()
	g.reset()
	g.mu.Unlock()
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var line load.Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("%s printed: %s", g.Pod, lines.Text())
		}
		if g.add(line, time.Now()) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("the output of %s ended without a summary", g.Pod), lines.Err())
}

// add stores the content of a line. It returns true for the last line.
func (g *Generator) add(line load.Line, arrived time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if offset := arrived.Sub(line.At); !g.seen || offset < g.ClockOffset {
		g.ClockOffset, g.seen = offset, true
	}
	for _, p := range line.Progress {
		g.progress[p.Target] = p
	}
	if line.Lost != nil {
		g.Losses[line.Lost.Target] = append(g.Losses[line.Lost.Target], line.Lost.Record)
	}
	g.Summary = line.Summary
	return line.Summary != nil
}

// Fleet is the set of load generators of a run.
type Fleet struct {
	testbed    *Testbed
	Generators []*Generator
	ended      chan error // one value for each generator
}

// StartFleet creates the generators' pods and returns when all of them run. The caller must call Remove even if StartFleet returns an error.
func (t *Testbed) StartFleet(ctx context.Context, pods []*corev1.Pod) (*Fleet, error) {
	f := &Fleet{testbed: t, ended: make(chan error, len(pods))}
	for _, pod := range pods {
		if err := t.Create(ctx, pod); err != nil {
			return f, fmt.Errorf("starting a load generator: %w", err)
		}
		f.Generators = append(f.Generators, newGenerator(pod.Name))
	}
	if err := t.WaitFor(ctx, "the load generators", time.Minute, f.running); err != nil {
		return f, err
	}
	for _, g := range f.Generators {
		go func() { f.ended <- g.follow(ctx, t) }()
	}
	return f, nil
}

func (f *Fleet) running(ctx context.Context) (Pending, error) {
	for _, g := range f.Generators {
		var pod corev1.Pod
		if err := f.testbed.Get(ctx, client.ObjectKey{Name: g.Pod}, &pod); err != nil {
			return Pending("pod " + g.Pod), client.IgnoreNotFound(err)
		}
		if runningSince(&pod).IsZero() {
			return Pending("pod " + g.Pod + waitingReason(&pod)), nil
		}
	}
	return Done, nil
}

// Count returns the counts so far of the targets with this name prefix.
func (f *Fleet) Count(prefix string) load.Count {
	var sum load.Count
	for _, g := range f.Generators {
		g.mu.Lock()
		for target, p := range g.progress {
			if strings.HasPrefix(target, prefix) {
				sum = sum.Add(p.Count)
			}
		}
		g.mu.Unlock()
	}
	return sum
}

// Failed returns an error if a generator has ended before Stop.
func (f *Fleet) Failed() error {
	select {
	case err := <-f.ended:
		return fmt.Errorf("a load generator ended too early: %w", err)
	default:
		return nil
	}
}

// Stop deletes the generators' pods, which makes them stop sending at SIGTERM, and waits for their summaries.
func (f *Fleet) Stop(ctx context.Context) error {
	if err := f.Remove(ctx); err != nil {
		return err
	}
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	for n := range f.Generators {
		select {
		case err := <-f.ended:
			if err != nil {
				return err
			}
		case <-limit.C:
			return fmt.Errorf("%d of %d load generators did not end within %s", len(f.Generators)-n, len(f.Generators), stopLimit)
		}
	}
	return nil
}

// Remove deletes the generators' pods.
func (f *Fleet) Remove(ctx context.Context) error {
	for _, g := range f.Generators {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: g.Pod}}
		if err := f.testbed.Delete(ctx, pod); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("deleting load generator %s: %w", g.Pod, err)
		}
	}
	return nil
}
