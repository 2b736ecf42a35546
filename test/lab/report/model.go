// Package report says what a run of the lab found: as JSON, as a table, as one HTML page and as a picture. It measures nothing.
//
//	model.go     what a run is
//	store.go     written and read as JSON
//	totals.go    what follows from a run's numbers; format.go writes them
//	lives.go     a pod's life as the bands that page and picture draw
//	table.go     a run as the terminal shows it; markdown.go for documents
//	page.go      a run as one self-contained page (page/); chart.go is what its charts draw
//	plot.go      one scenario as a picture
package report

import (
	"slices"
	"time"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

// Run is one run of the lab.
type Run struct {
	Begin     time.Time  `json:"begin"`
	End       time.Time  `json:"end"`
	Version   string     `json:"version"` // of GracefulApp
	Seed      uint64     `json:"seed"`    // of the random choices
	Machine   Machine    `json:"machine"`
	Scenarios []Scenario `json:"scenarios"`
	// Calibrations say at which rate each suite was sent to, and why.
	Calibrations []Calibration `json:"calibrations,omitempty"`
	// Interrupted: the user ended it early, so scenarios are missing.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Machine is what carried the cluster and the load.
type Machine struct {
	Kubernetes string `json:"kubernetes"` // version
	Nodes      []Node `json:"nodes"`
	// CPUs and MemoryGiB of the machine under all nodes; 0 if the cluster is not the embedded one.
	CPUs      int `json:"cpus,omitempty"`
	MemoryGiB int `json:"memoryGiB,omitempty"`
}

// Node of the cluster. Proxy is kube-proxy's mode, "" if not known.
type Node struct {
	Name  string `json:"name"`
	Proxy string `json:"proxy,omitempty"`
}

// Scenario is one disturbance, seen by all workloads and clients side by side.
type Scenario struct {
	Name  string    `json:"name"`  // for the command line: scale-down
	Title string    `json:"title"` // for people: Scale down 5 -> 1
	Begin time.Time `json:"begin"`
	End   time.Time `json:"end"`
	// Promised: GracefulApp promises to lose nothing here. If not, Reason says why.
	Promised bool   `json:"promised"`
	Reason   string `json:"reason,omitempty"`
	// ControlMustLose: the scenario proves nothing if its control lost no request, and fails. Elsewhere Note says so.
	ControlMustLose bool   `json:"controlMustLose"`
	Note            string `json:"note,omitempty"`
	// EachControlMustLose: so it does if any client of the control lost none.
	EachControlMustLose bool       `json:"eachControlMustLose,omitempty"`
	Events              []Event    `json:"events"`
	Workloads           []Workload `json:"workloads"`
	// Load1 is the machine's load average over one minute, the highest that was seen; a guard against taking noise for loss.
	Load1 float64 `json:"load1,omitempty"`
	// Steady counts the requests of the steady phases, before the first step and after the last.
	Steady load.Count `json:"steady,omitzero"`
	// Faults are the reasons why the scenario failed, in words.
	Faults []string `json:"faults,omitempty"`
	// TooBusy are the same where the machine was too busy to tell a fault from overload, and the figures that say so. A scenario has faults
	// or is too busy, never both; one that has neither passed.
	TooBusy []string `json:"tooBusy,omitempty"`
}

// Unproven are the clients that are promised to lose nothing, and of which the control lost none either: that they lost none proves nothing.
// Where each server has a control of its own, they are named with it.
func (s Scenario) Unproven() []string {
	var names []string
	for _, w := range s.Workloads {
		controls, prefix := s.controlsOf(w)
		for _, r := range w.Rows {
			name := prefix + r.Client
			if s.Promised && r.Promised && lostNone(controls, r.Client) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// controlsOf a workload: the same server without its recipe, else all that there are.
func (s Scenario) controlsOf(w Workload) (controls []Workload, prefix string) {
	for _, c := range s.Workloads {
		switch {
		case !c.Control:
		case c.Name == w.Name+PlainSuffix:
			return []Workload{c}, w.Name + " "
		default:
			controls = append(controls, c)
		}
	}
	return controls, ""
}

// lostNone tells whether the controls have the client, and lost none of its requests.
func lostNone(controls []Workload, client string) bool {
	known := false
	for _, w := range controls {
		for _, r := range w.Rows {
			if r.Client == client {
				if known = true; r.Lost > 0 {
					return false
				}
			}
		}
	}
	return known
}

// Event is something that was done to a workload, or to all if Workload is empty.
type Event struct {
	At       time.Time `json:"at"`
	Workload string    `json:"workload,omitempty"`
	Text     string    `json:"text"` // scale to 5
	// Settled is when the workload had come to rest after it; zero if nobody waited.
	Settled time.Time `json:"settled,omitzero"`
}

// Workload is one application under load.
type Workload struct {
	Name    string `json:"name"`    // aware, sleep, recipe, naive
	Title   string `json:"title"`   // GracefulApp, drain-aware
	Control bool   `json:"control"` // it has to lose
	Timing  Timing `json:"timing"`
	Rows    []Row  `json:"rows"`
	Pods    []Pod  `json:"pods"`
	// Losses in the order in which they were sent; at most MaxLosses, Rows count all.
	Losses []Loss `json:"losses,omitempty"`
	// Seconds of all clients together, without gaps.
	Seconds []load.Second `json:"seconds"`
}

// MaxLosses bounds a stored workload's list of losses.
const MaxLosses = 2000

// Timing of a workload's pods, in seconds.
type Timing struct {
	StartupSeconds   int32 `json:"startupSeconds"`
	ShutdownSeconds  int32 `json:"shutdownSeconds"`               // t1
	PreStopSeconds   int32 `json:"preStopSeconds"`                // t2
	TerminationGrace int32 `json:"terminationGracePeriodSeconds"` // t3
}

// Row is one client on one workload; clients of the same name on several nodes are one row.
type Row struct {
	Client string `json:"client"` // keep-alive
	// Promised: GracefulApp promises this client on this workload to lose nothing.
	Promised bool `json:"promised,omitempty"`
	load.Count
	Latency load.Latency `json:"latency"`
	// ServerFinished counts requests that a server finished. FinishedButLost are among the lost ones; the client never got the answer.
	ServerFinished  int `json:"serverFinished"`
	FinishedButLost int `json:"finishedButLost"`
}

// ruleOfThree is -ln(0.05): with no event in N trials, its probability is below that over N, at 95 % confidence.
const ruleOfThree = 3.0

// Pod is a pod's life. A zero time has not come or was not seen.
type Pod struct {
	Name     string    `json:"name"`
	Node     string    `json:"node"`
	Created  time.Time `json:"created"`
	Ready    time.Time `json:"ready,omitzero"`
	Deleted  time.Time `json:"deleted,omitzero"`   // when its deletion was asked for; preStop begins
	Signal   time.Time `json:"signal,omitzero"`    // SIGTERM arrived
	Ended    time.Time `json:"ended,omitzero"`     // the container ended
	ExitCode *int32    `json:"exitCode,omitempty"` // 137 is SIGKILL
	// Incomplete: the server's own record of its requests has no end, so requests may be missing from it.
	Incomplete bool `json:"incomplete,omitempty"`
}

// ServerState is the state of a lost request in the servers' own records.
type ServerState string

// The states.
const (
	NeverSeen ServerState = "never seen" // no server has begun the request
	Begun     ServerState = "begun"      // a server has begun the request and not finished it
	Finished  ServerState = "finished"   // a server has finished the request, but the client did not get the response
)

// Loss is a lost request with its probable cause.
type Loss struct {
	Client      string      `json:"client"`
	ID          string      `json:"id"`
	Sent        time.Time   `json:"sent"`
	Lost        time.Time   `json:"lost"` // when the client noticed
	Class       load.Class  `json:"class"`
	Error       string      `json:"error,omitempty"`
	ServerState ServerState `json:"fate"` // the name in stored runs
	// Pod is the pod that got the request, or the pod at the other end of its connection. Guessed means that neither is known; Pod is then the pod
	// with the latest event before the loss.
	Pod     string `json:"pod,omitempty"`
	Guessed bool   `json:"guessed,omitempty"`
	// Phase is the time after the pod's last event: "3.2 s after deletion".
	Phase string `json:"phase,omitempty"`
	// Row is the row of docs/failure-modes.md, such as D1. It is empty if no row fits.
	Row string `json:"row,omitempty"`
}
