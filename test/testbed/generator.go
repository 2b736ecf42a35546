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
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

// LoadgenGraceSeconds lets requests in flight end: the client's time-out is 30 s.
const LoadgenGraceSeconds = 40

const (
	// stopLimit is for the kubelet's part too, which is slow on a busy machine.
	stopLimit = (LoadgenGraceSeconds + 20) * time.Second
	// maxLine of a generator's output: the summary has one entry per second and target.
	maxLine = 16 << 20
	// maxStreams is how often a broken log stream is opened, streamPause the time between: a minute, for an API server to come back.
	maxStreams  = 60
	streamPause = time.Second
)

// Generator is a load generator's pod as its output shows it.
type Generator struct {
	Pod string
	// Losses by target, Summary, and Behind, which is how far the generator's clock is behind ours, plus the least time that a line took
	// to us. To be read when the fleet has stopped.
	Losses  map[string][]load.Record
	Summary []load.Summary
	Behind  time.Duration

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

// follow reads the pod's output to its summary. A stream that breaks, as all do when the API server restarts, is read again from its
// beginning. When the pod is gone there is nothing more to read, and the error is why its last stream broke.
func (g *Generator) follow(ctx context.Context, t *Testbed) error {
	var broken error
	for n := 1; ; n++ {
		err := g.readOnce(ctx, t)
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("%w, and its pod is gone", cmp.Or(broken, err))
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
			return fmt.Errorf("%s says: %s", g.Pod, lines.Text())
		}
		if g.take(line, time.Now()) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("the output of %s ended without a summary", g.Pod), lines.Err())
}

// take reports whether the line was the last.
func (g *Generator) take(line load.Line, arrived time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if behind := arrived.Sub(line.At); !g.seen || behind < g.Behind {
		g.Behind, g.seen = behind, true
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

// Fleet is all generators.
type Fleet struct {
	testbed    *Testbed
	Generators []*Generator
	ended      chan error // one for each
}

// StartFleet makes the generators' pods and returns when all send. A fleet that comes with an error is to be removed all the same.
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
		if err := f.testbed.Get(ctx, client.ObjectKey{Namespace: f.testbed.Namespace, Name: g.Pod}, &pod); err != nil {
			return Pending("pod " + g.Pod), client.IgnoreNotFound(err)
		}
		if runningSince(&pod).IsZero() {
			return Pending("pod " + g.Pod + waitingReason(&pod)), nil
		}
	}
	return Done, nil
}

// Count is what is known so far of the targets whose names begin so.
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

// Failed tells of a generator that has ended while it should send.
func (f *Fleet) Failed() error {
	select {
	case err := <-f.ended:
		return fmt.Errorf("a load generator ended too early: %w", err)
	default:
		return nil
	}
}

// Stop ends the sending, which the generators take SIGTERM for, and waits for all summaries.
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
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name = f.testbed.Namespace, g.Pod
		if err := f.testbed.Delete(ctx, pod); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("ending load generator %s: %w", g.Pod, err)
		}
	}
	return nil
}
