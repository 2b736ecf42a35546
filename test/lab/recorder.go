package lab

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

// recorder records the times of all pods of the workloads, and the requests in the servers' logs.
type recorder struct {
	testbed *testbed.Testbed

	mu   sync.Mutex
	pods map[string]*podRecord
	// read receives a value when a log line was read.
	read chan struct{}
}

// podRecord is a pod as the API server and its logs show it.
type podRecord struct {
	report.Pod
	workload  string
	deletedAt time.Time // when the pod's object was deleted
	// logs has, for the ID of each container that ran, whether its log is complete. A container that restarts gets another ID and another log.
	logs map[string]bool
	// running has the last ID of each container, by name. The log of an earlier one cannot be read again.
	running map[string]string
	ledger  serverLedger
}

func newRecorder(ctx context.Context, t *testbed.Testbed) (*recorder, error) {
	r := &recorder{testbed: t, pods: map[string]*podRecord{}, read: make(chan struct{}, 1)}
	informer, err := t.Watched.GetInformer(ctx, &corev1.Pod{})
	if err != nil {
		return nil, err
	}
	observe := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok && pod.Labels[workloadLabel] != "" {
			r.observe(ctx, pod)
		}
	}
	_, err = informer.AddEventHandler(clientcache.ResourceEventHandlerFuncs{
		AddFunc:    observe,
		UpdateFunc: func(_, updated any) { observe(updated) },
		DeleteFunc: func(object any) {
			if last, ok := object.(clientcache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			observe(object)
			if pod, ok := object.(*corev1.Pod); ok {
				r.podDeleted(pod.Name)
			}
		},
	})
	return r, err
}

// observe records the times of a pod's events on this program's clock. The times in the API are whole seconds.
func (r *recorder) observe(ctx context.Context, pod *corev1.Pod) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pods[pod.Name]
	if p == nil {
		p = &podRecord{
			workload: pod.Labels[workloadLabel], Pod: report.Pod{Name: pod.Name, Created: now, Incomplete: true}, logs: map[string]bool{}, running: map[string]string{},
		}
		p.ledger.requests = map[string]*requests{}
		r.pods[pod.Name] = p
	}
	p.Node = pod.Spec.NodeName
	if slices.ContainsFunc(pod.Status.Conditions, isReady) && p.Ready.IsZero() {
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
		if _, following := p.logs[c.ContainerID]; c.State.Running != nil && !following {
			p.logs[c.ContainerID], p.running[c.Name] = false, c.ContainerID
			go r.follow(ctx, pod.Name, c.Name, c.ContainerID)
		}
	}
}

func (p *podRecord) ended(at time.Time, code int32) {
	if p.Ended.IsZero() {
		p.Ended = at
	}
	p.ExitCode = &code
}

// podDeleted records that the pod's object was deleted.
func (r *recorder) podDeleted(pod string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.pods[pod]; p != nil {
		p.deletedAt = time.Now()
		if p.Ended.IsZero() {
			p.Ended = p.deletedAt
		}
	}
}

// retryInterval is the time before an interrupted log is read again.
const retryInterval = time.Second

// follow reads a container's log to its end. If the stream breaks, as it does when the API server restarts, follow reads the log again from its
// beginning; reading a line twice has no effect. If the pod was killed, its ledger is incomplete and has no end line.
func (r *recorder) follow(ctx context.Context, pod, container, id string) {
	for {
		r.readLog(ctx, pod, container, id)
		if r.logEnded(pod, container, id) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryInterval):
		}
	}
}

// logEnded reports whether there is nothing more to read.
func (r *recorder) logEnded(pod, container, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pods[pod]
	return p == nil || p.logs[id] || p.running[container] != id || !p.deletedAt.IsZero()
}

func (r *recorder) readLog(ctx context.Context, pod, container, id string) {
	stream, err := r.testbed.Kube.CoreV1().Pods(r.testbed.Namespace).GetLogs(pod, &corev1.PodLogOptions{Container: container, Follow: true}).Stream(ctx)
	if err != nil {
		return
	}
	defer func() { _ = stream.Close() }()
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r.line(pod, id, lines.Bytes())
	}
}

func (r *recorder) line(pod, id string, text []byte) {
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
		p.logs[id] = true
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

// podTimelines returns the workload's pods that existed after begin, oldest first.
func (r *recorder) podTimelines(workload string, begin time.Time) []report.Pod {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []report.Pod
	for _, p := range r.pods {
		if p.workload == workload && (p.deletedAt.IsZero() || p.deletedAt.After(begin)) {
			all = append(all, p.Pod)
		}
	}
	slices.SortFunc(all, func(a, b report.Pod) int { return a.Created.Compare(b.Created) })
	return all
}

// finished returns the number of requests of a target that the servers have finished.
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

// reset removes deleted pods, and the recorded requests of all other pods.
func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, p := range r.pods {
		if !p.deletedAt.IsZero() {
			delete(r.pods, name)
			continue
		}
		p.ledger.requests = map[string]*requests{}
	}
}
