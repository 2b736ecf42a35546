package report

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// hostile is a text that would inject markup or escape sequences into the page, the terminal or a document.
const hostile = "</script><script>alert(1)</script><img src=http://192.0.2.1/x onerror=alert(2)>|`*_\x1b[31m\n"

// sampler generates a sample run, the same one each time.
type sampler struct {
	random *rand.Rand
	begin  time.Time
	pods   int
}

func sampleRun() Run {
	s := &sampler{random: rand.New(rand.NewPCG(1, 1)), begin: time.Date(2026, 3, 1, 10, 0, 0, 300_000_000, time.UTC)}
	run := Run{
		Begin: s.begin, Version: "0.1.0", Seed: 7,
		Machine: Machine{
			Kubernetes: "v1.37.2", CPUs: 2, MemoryGiB: 24,
			Nodes: []Node{{Name: "node-1", Proxy: "nftables"}, {Name: "node-2", Proxy: "iptables"}},
		},
	}
	scale := s.scenario("scale", "kubectl patch 2 -> 5 -> 1 -> 3", 2, []int{5, 1, 3})
	scale.Load1 = 2.31
	rollout := s.scenario("rollout", "A rolling update of 3 pods", 3, []int{0, 3})
	rollout.Faults = []string{"sleep, keep-alive: 2 of 4,711 requests were lost"}
	killed := s.scenario("killed", "Forced deletion "+hostile, 3, []int{2, 3})
	killed.Promised, killed.Reason = false, "no hook and no signal comes before SIGKILL: a crash "+hostile
	killed.ControlMustLose, killed.Note = false, "not promised"
	killed.Faults = []string{hostile}
	for i := range killed.Events {
		killed.Events[i].Text = hostile
	}
	for w := range killed.Workloads {
		addHostileTexts(&killed.Workloads[w])
	}
	run.Scenarios = []Scenario{scale, rollout, killed}
	run.End = s.begin
	return run
}

// addHostileTexts puts the hostile text into each text that comes from a cluster.
func addHostileTexts(w *Workload) {
	w.Title += hostile
	names := map[string]string{}
	for p := range w.Pods {
		name := fmt.Sprint(hostile, p)
		names[w.Pods[p].Name] = name
		w.Pods[p].Name, w.Pods[p].Node = name, hostile
	}
	for l := range w.Losses {
		loss := &w.Losses[l]
		loss.Pod, loss.Error, loss.Phase, loss.Row = names[loss.Pod], hostile, "0.3 s after "+hostile, hostile
	}
}

// scenario generates a scenario that scales all workloads every 28 s.
func (s *sampler) scenario(name, title string, replicas int, steps []int) Scenario {
	out := Scenario{Name: name, Title: title, Begin: s.begin, Promised: true, ControlMustLose: true}
	out.End = s.begin.Add(time.Duration(len(steps)*28+12) * time.Second)
	derived := Timing{StartupSeconds: 5, ShutdownSeconds: 6, PreStopSeconds: 5, TerminationGrace: 16}
	for _, w := range []Workload{
		{Name: "aware", Title: "GracefulApp, drain-aware", Timing: derived},
		{Name: "sleep", Title: "GracefulApp, plain sleep hook", Timing: derived},
		{Name: "recipe", Title: "Deployment, usual best practice", Timing: Timing{5, 20, 5, 30}},
		{Name: "naive", Title: "Deployment, simple tutorial", Control: true, Timing: Timing{5, 20, 0, 30}},
	} {
		s.addPods(&w, &out, replicas, steps)
		s.addRequests(&w, &out)
		out.Workloads = append(out.Workloads, w)
	}
	s.begin = out.End.Add(20 * time.Second)
	return out
}

// addPods adds the pods and events of a workload.
func (s *sampler) addPods(w *Workload, out *Scenario, replicas int, steps []int) {
	var running []int
	grow := func(at time.Time) {
		s.pods++
		pod := Pod{Name: fmt.Sprintf("%s-6d4cf56db-%05x", w.Name, 0xa7c31*s.pods&0xfffff), Node: fmt.Sprintf("node-%d", 1+s.pods%2)}
		pod.Created, pod.Ready = at, at.Add(6500*time.Millisecond+time.Duration(s.random.IntN(900))*time.Millisecond)
		if w.Control {
			pod.Ready = at.Add(900 * time.Millisecond) // a pod without a readiness probe is Ready as soon as it runs
		}
		running = append(running, len(w.Pods))
		w.Pods = append(w.Pods, pod)
	}
	shrink := func(at time.Time) {
		pod := &w.Pods[running[0]]
		running = running[1:]
		pod.Deleted = at
		pod.Signal = at.Add(time.Duration(w.Timing.PreStopSeconds)*time.Second + time.Duration(100+s.random.IntN(100))*time.Millisecond)
		pod.Ended = pod.Signal.Add(time.Duration(900+s.random.IntN(700)) * time.Millisecond)
		code := int32(0)
		if w.Control && out.Name == "rollout" {
			pod.Ended, code = at.Add(time.Duration(w.Timing.TerminationGrace)*time.Second), sigkilled
		}
		pod.ExitCode = &code
	}
	for range replicas {
		grow(s.begin.Add(-30 * time.Second))
	}
	for i, n := range steps {
		at := s.begin.Add(time.Duration(4+28*i) * time.Second)
		out.Events = append(out.Events, Event{At: at, Workload: w.Name, Text: fmt.Sprintf("scale to %d", n), Settled: at.Add(time.Duration(9000+s.random.IntN(4000)) * time.Millisecond)})
		for len(running) > n {
			shrink(at.Add(200 * time.Millisecond))
		}
		for len(running) < n {
			grow(at.Add(300 * time.Millisecond))
		}
	}
}

// addRequests adds the requests of a workload. The control loses some while its pods start and end, and the workload sleep loses two in the rollout.
func (s *sampler) addRequests(w *Workload, out *Scenario) {
	rate, clients := 210, []string{"new", "slow", "keep-alive", "keep-alive outside"}
	if w.Name == "aware" {
		rate = 700
	}
	for at := out.Begin; at.Before(out.End); at = at.Add(time.Second) {
		n := rate - 4 + s.random.IntN(8)
		second := load.Second{At: at.Truncate(time.Second), Count: load.Count{Requests: n, Answered: n}}
		for _, p := range w.Pods {
			lost := 0
			switch since := at.Sub(p.Created); {
			case w.Control && since > time.Second && since < 6*time.Second:
				lost = rate / 8
			case w.Control && !p.Deleted.IsZero() && at.Sub(p.Deleted) > 0 && at.Sub(p.Deleted) < 2*time.Second:
				lost = rate / 10
			case w.Name == "sleep" && out.Name == "rollout" && !p.Deleted.IsZero() && at.Sub(p.Deleted) > 5*time.Second && at.Sub(p.Deleted) < 6*time.Second && len(w.Losses) < 2:
				lost = 1
			}
			for range lost {
				if second.Answered == 0 {
					break
				}
				second.Answered, second.Lost = second.Answered-1, second.Lost+1
				w.Losses = append(w.Losses, s.loss(p, second.At.Add(time.Duration(s.random.IntN(999))*time.Millisecond), clients))
			}
		}
		w.Seconds = append(w.Seconds, second)
	}
	for i, c := range clients {
		row := Row{Client: c, Promised: w.Name == "aware" || w.Name == "sleep" && c != "keep-alive"}
		for _, second := range w.Seconds {
			row.Requests += second.Requests / len(clients)
		}
		for _, l := range w.Losses {
			if l.Client == c {
				row.Lost++
			}
		}
		row.Answered = row.Requests - row.Lost
		row.ServerFinished = row.Answered
		row.Latency = load.Latency{P50: time.Millisecond * time.Duration(1+i*300), P99: time.Millisecond * 1007, P999: time.Millisecond * 1100, Max: 2 * time.Second}
		w.Rows = append(w.Rows, row)
	}
}

func (s *sampler) loss(p Pod, at time.Time, clients []string) Loss {
	loss := Loss{
		Client: clients[2*s.random.IntN(2)], ID: fmt.Sprint("naive/new@node-1#1/", s.random.IntN(9999)), Sent: at, Lost: at.Add(2 * time.Millisecond),
		Class: load.Refused, Error: "dial tcp 10.96.3.17:80: connect: connection refused", ServerState: NeverSeen, Pod: p.Name, Row: "U1",
		Phase: fmt.Sprintf("%.1f s after creation", at.Sub(p.Created).Seconds()), Guessed: s.random.IntN(3) == 0,
	}
	if !p.Deleted.IsZero() && at.After(p.Deleted) {
		loss.Class, loss.Row, loss.Error = load.Reset, "D16", "read tcp 10.244.0.9:41234->10.96.3.17:80: read: connection reset by peer"
		loss.Phase = fmt.Sprintf("%.1f s after deletion", at.Sub(p.Deleted).Seconds())
	}
	return loss
}
