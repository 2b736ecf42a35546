package main

import (
	"bufio"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	clientcache "k8s.io/client-go/tools/cache"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

// recorder sees the lives of all pods of the workloads, and reads what each server says of its requests.
type recorder struct {
	testbed *testbed.Testbed

	mu   sync.Mutex
	pods map[string]*podRecord
	// read rings when a server has said something.
	read chan struct{}
}

// podRecord is a pod as it was seen from outside, and from inside by its log.
type podRecord struct {
	report.Pod
	workload string
	gone     time.Time
	// logs tells of each container that ran whether its log has come to its end.
	logs   map[string]bool
	ledger serverLedger
}

func newRecorder(ctx context.Context, t *testbed.Testbed) (*recorder, error) {
	r := &recorder{testbed: t, pods: map[string]*podRecord{}, read: make(chan struct{}, 1)}
	informer, err := t.Watched.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return nil, err
	}
	see := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok && pod.Labels[workloadLabel] != "" {
			r.see(ctx, pod)
		}
	}
	_, err = informer.AddEventHandler(clientcache.ResourceEventHandlerFuncs{
		AddFunc:    see,
		UpdateFunc: func(_, updated any) { see(updated) },
		DeleteFunc: func(object any) {
			if last, ok := object.(clientcache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			see(object)
			if pod, ok := object.(*corev1.Pod); ok {
				r.left(pod.Name)
			}
		},
	})
	return r, err
}

// see takes times as they are seen here: the API's own are whole seconds.
func (r *recorder) see(ctx context.Context, pod *corev1.Pod) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pods[pod.Name]
	if p == nil {
		p = &podRecord{
			workload: pod.Labels[workloadLabel], Pod: report.Pod{Name: pod.Name, Created: now, Incomplete: true}, logs: map[string]bool{},
		}
		p.ledger.requests = map[string]*requests{}
		r.pods[pod.Name] = p
	}
	p.Node = pod.Spec.NodeName
	ready := slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
	if ready && p.Ready.IsZero() {
		p.Ready = now
	}
	if pod.DeletionTimestamp != nil && p.Deleted.IsZero() {
		p.Deleted = now
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Terminated != nil {
			p.ended(now, c.State.Terminated.ExitCode)
		} else if c.LastTerminationState.Terminated != nil {
			p.ended(c.LastTerminationState.Terminated.FinishedAt.Time, c.LastTerminationState.Terminated.ExitCode)
		}
		if _, following := p.logs[c.Name]; c.State.Running != nil && !following {
			p.logs[c.Name] = false
			go r.follow(ctx, pod.Name, c.Name)
		}
	}
}

func (p *podRecord) ended(at time.Time, code int32) {
	if p.Ended.IsZero() {
		p.Ended = at
	}
	p.ExitCode = &code
}

// left: the pod's object is gone.
func (r *recorder) left(pod string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pods[pod]; p != nil {
		p.gone = time.Now()
		if p.Ended.IsZero() {
			p.Ended = p.gone
		}
	}
}

// againAfter is how long to wait before a log that broke off, as it does when the API server restarts, is read once more.
const againAfter = time.Second

// follow reads a container's log to its end. A log that broke off is read again from its beginning, for to read a line twice does no harm.
// What is missing when the pod was killed is missing in the ledger too, and it says so.
func (r *recorder) follow(ctx context.Context, pod, container string) {
	for {
		r.readLog(ctx, pod, container)
		if r.over(pod, container) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(againAfter):
		}
	}
}

// over: nothing more is to be read.
func (r *recorder) over(pod, container string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pods[pod]
	return p == nil || p.logs[container] || !p.gone.IsZero()
}

func (r *recorder) readLog(ctx context.Context, pod, container string) {
	stream, err := r.testbed.Kube.CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Follow: true}).Stream(ctx)
	if err != nil {
		return
	}
	defer func() { _ = stream.Close() }()
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r.line(pod, container, lines.Bytes())
	}
}

func (r *recorder) line(pod, container string, text []byte) {
	line, ok := parseLine(text)
	if !ok {
		return
	}
	r.mu.Lock()
	p := r.pods[pod]
	if p == nil {
		r.mu.Unlock()
		return
	}
	p.ledger.add(line)
	switch {
	case line.End:
		p.logs[container] = true
		p.Incomplete = slices.Contains(slices.Collect(maps.Values(p.logs)), false)
	case line.Msg == "shutting down":
		p.Signal = line.Time
	}
	r.mu.Unlock()
	select {
	case r.read <- struct{}{}:
	default:
	}
}

// lives returns the workload's pods that lived within the time, oldest first.
func (r *recorder) lives(workload string, begin time.Time) []report.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []report.Pod
	for _, p := range r.pods {
		if p.workload == workload && (p.gone.IsZero() || p.gone.After(begin)) {
			all = append(all, p.Pod)
		}
	}
	slices.SortFunc(all, func(a, b report.Pod) int { return a.Created.Compare(b.Created) })
	return all
}

// finished counts the requests of a target that the servers have finished.
func (r *recorder) finished(target string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, p := range r.pods {
		if q := p.ledger.requests[target]; q != nil {
			n += q.finished.count()
		}
	}
	return n
}

// serverState looks up a request in the ledgers of all servers, or in the ledger of one pod only if its name is given.
func (r *recorder) serverState(target string, seq uint64, only string) (state report.ServerState, pod string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, p := range r.pods {
		q := p.ledger.requests[target]
		switch {
		case q == nil || only != "" && name != only:
		case q.finished.has(seq):
			return report.Finished, name
		case q.begun.has(seq):
			return report.Begun, name
		}
	}
	return report.NeverSeen, only
}

// forget drops the pods that are gone; those that live keep their lives and lose their requests.
func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, p := range r.pods {
		if !p.gone.IsZero() {
			delete(r.pods, name)
			continue
		}
		p.ledger.requests = map[string]*requests{}
	}
}
