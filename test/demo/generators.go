package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

// clients are the two kinds of load on each workload; a target is named WORKLOAD/MODE.
var clients = []struct {
	mode load.Mode
	rate float64
	path string
	name string
}{
	{load.NewConnection, slowRate, "/", fmt.Sprintf("new connections, %d s each", requestSeconds)},
	{load.KeepAlive, keepAliveRate, "/?seconds=0", "keep-alive, at once"},
}

const (
	// maxLine of a generator's output: the summary has one entry per second and target.
	maxLine = 16 << 20
	// maxStreams is how often a broken log stream is opened anew.
	maxStreams = 5
)

// generator is a load generator's pod as its output shows it.
type generator struct {
	pod string

	mu       sync.Mutex
	progress map[string]load.Progress
	losses   map[string][]load.Record
	summary  []load.Summary
	// behind is how far the generator's clock is behind ours, plus the least time that a line took to us.
	behind time.Duration
	seen   bool
}

func newGenerator(pod string) *generator {
	g := &generator{pod: pod}
	g.reset()
	return g
}

func (g *generator) reset() {
	g.progress, g.losses, g.summary = map[string]load.Progress{}, map[string][]load.Record{}, nil
}

// follow reads the pod's output to its summary. A stream that breaks is read again from its beginning.
func (g *generator) follow(ctx context.Context, w *world) error {
	var err error
	for range maxStreams {
		var stream io.ReadCloser
		stream, err = w.kube.CoreV1().Pods(namespace).GetLogs(g.pod, &corev1.PodLogOptions{Follow: true}).Stream(ctx)
		if err != nil {
			return fmt.Errorf("reading the output of %s: %w", g.pod, err)
		}
		err = g.read(stream)
		_ = stream.Close()
		if err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (g *generator) read(stream io.Reader) error {
	g.mu.Lock()
	g.reset()
	g.mu.Unlock()
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var line load.Line
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("%s says: %s", g.pod, lines.Text())
		}
		if g.take(line, time.Now()) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("the output of %s ended without a summary", g.pod), lines.Err())
}

// take reports whether the line was the last.
func (g *generator) take(line load.Line, arrived time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if behind := arrived.Sub(line.At); !g.seen || behind < g.behind {
		g.behind, g.seen = behind, true
	}
	for _, p := range line.Progress {
		g.progress[p.Target] = p
	}
	if line.Lost != nil {
		g.losses[line.Lost.Target] = append(g.losses[line.Lost.Target], line.Lost.Record)
	}
	g.summary = line.Summary
	return line.Summary != nil
}

// fleet is all generators.
type fleet struct {
	world      *world
	generators []*generator
	ended      chan error // one for each
}

// startFleet puts a generator on up to two nodes, each with its share of the load, and returns when all send.
func startFleet(ctx context.Context, w *world, image string) (*fleet, error) {
	nodes, err := w.nodes(ctx)
	if err != nil {
		return nil, err
	}
	nodes = nodes[:min(len(nodes), 2)]
	var app, naive corev1.Service
	for name, service := range map[string]*corev1.Service{appName: &app, twinName: &naive} {
		if err := w.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, service); err != nil {
			return nil, fmt.Errorf("reading Service %s: %w", name, err)
		}
	}
	f := &fleet{world: w, ended: make(chan error, len(nodes))}
	for _, node := range nodes {
		pod := loadgen(image, node.Labels[corev1.LabelHostname], len(nodes), app.Spec.ClusterIP, naive.Spec.ClusterIP)
		if err := w.Create(ctx, pod); err != nil {
			return f, fmt.Errorf("starting a load generator: %w", err)
		}
		f.generators = append(f.generators, newGenerator(pod.Name))
	}
	if err := w.waitFor(ctx, "the load generators", time.Minute, f.running); err != nil {
		return f, err
	}
	for _, g := range f.generators {
		go func() { f.ended <- g.follow(ctx, w) }()
	}
	return f, nil
}

func (f *fleet) running(ctx context.Context) (pending, error) {
	for _, g := range f.generators {
		var pod corev1.Pod
		if err := f.world.Get(ctx, client.ObjectKey{Namespace: namespace, Name: g.pod}, &pod); err != nil {
			return pending("pod " + g.pod), client.IgnoreNotFound(err)
		}
		if runningSince(&pod).IsZero() {
			return pending("pod " + g.pod + waitingReason(&pod)), nil
		}
	}
	return done, nil
}

// count is what is known of a workload so far.
func (f *fleet) count(workload string) load.Count {
	var sum load.Count
	for _, g := range f.generators {
		g.mu.Lock()
		for target, p := range g.progress {
			if strings.HasPrefix(target, workload+"/") {
				sum = sum.Add(p.Count)
			}
		}
		g.mu.Unlock()
	}
	return sum
}

// failed tells of a generator that has ended while it should send.
func (f *fleet) failed() error {
	select {
	case err := <-f.ended:
		return fmt.Errorf("a load generator ended too early: %w", err)
	default:
		return nil
	}
}

// stop ends the sending, which the generators take SIGTERM for, and waits for all summaries.
func (f *fleet) stop(ctx context.Context) error {
	if err := f.remove(ctx); err != nil {
		return err
	}
	limit := time.NewTimer((loadgenGraceSeconds + 20) * time.Second)
	defer limit.Stop()
	for range f.generators {
		select {
		case err := <-f.ended:
			if err != nil {
				return err
			}
		case <-limit.C:
			return errors.New("the load generators did not end in time")
		}
	}
	return nil
}

func (f *fleet) remove(ctx context.Context) error {
	for _, g := range f.generators {
		pod := &corev1.Pod{}
		pod.Namespace, pod.Name = namespace, g.pod
		if err := f.world.Delete(ctx, pod); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("ending load generator %s: %w", g.pod, err)
		}
	}
	return nil
}
