// Package report stores the results of the lab as JSON and formats them as tables, as an HTML page and as a picture.
//
//	model.go                 the data of a run
//	store.go                 reads and writes a run as JSON
//	totals.go, format.go     sums, and the formats of numbers
//	podphases.go             the phases of a pod
//	table.go, markdown.go    tables for a terminal and for documents
//	recipes.go, causes.go    tables of the recipes and of the causes of losses
//	page.go, chart.go, page/ a self-contained HTML page with charts
//	strips.go, stripstexts.go, strips/
//	                         a picture of one scenario, as SVG
package report

import (
	"slices"
	"strings"
	"time"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// Run has the results of one run of the lab.
type Run struct {
	Begin     time.Time  `json:"begin"`
	End       time.Time  `json:"end"`
	Version   string     `json:"version"` // of GracefulApp
	Seed      uint64     `json:"seed"`    // of the random choices
	Machine   Machine    `json:"machine"`
	Scenarios []Scenario `json:"scenarios"`
	// Calibrations have the rate of each suite and the steps that led to it.
	Calibrations []Calibration `json:"calibrations,omitempty"`
	// Repeated are the results of scenarios that ran again at half the rate, because the machine was too busy. Scenarios has the later results.
	Repeated []Scenario `json:"repeated,omitempty"`
	// Interrupted means that the user ended the run early, so scenarios are missing.
	Interrupted bool `json:"interrupted,omitempty"`
}

// WithRepeated returns the run with the result of this index as that of a scenario that ran again.
func (r Run) WithRepeated(i int) Run {
	r.Repeated = append(r.Repeated, r.Scenarios[i])
	r.Scenarios = slices.Delete(slices.Clone(r.Scenarios), i, i+1)
	return r
}

// Machine describes the cluster and the machine of a run.
type Machine struct {
	Kubernetes string `json:"kubernetes"` // version
	Nodes      []Node `json:"nodes"`
	// CPUs and MemoryGiB are those of the machine that runs all nodes of the embedded cluster. For another cluster they are 0.
	CPUs      int `json:"cpus,omitempty"`
	MemoryGiB int `json:"memoryGiB,omitempty"`
}

// Node is a node of the cluster. Proxy is the mode of its kube-proxy, or "" if it is not known.
type Node struct {
	Name  string `json:"name"`
	Proxy string `json:"proxy,omitempty"`
}

// Scenario has the results of one scenario for all workloads and clients.
type Scenario struct {
	Name  string    `json:"name"`  // for the command line: scale-down
	Title string    `json:"title"` // for people: Scale down 5 -> 1
	Begin time.Time `json:"begin"`
	End   time.Time `json:"end"`
	// Rate is the share of the clients' full rates.
	Rate float64 `json:"rate,omitempty"`
	// Promised means that GracefulApp promises to lose no request in the scenario. Otherwise Reason says why not.
	Promised bool   `json:"promised"`
	Reason   string `json:"reason,omitempty"`
	// ControlMustLose means that the scenario fails if the control lost no request, because then it proves nothing. Otherwise Note says why not.
	ControlMustLose bool   `json:"controlMustLose"`
	Note            string `json:"note,omitempty"`
	// EachControlMustLose means the same for each client of the control.
	EachControlMustLose bool       `json:"eachControlMustLose,omitempty"`
	Events              []Event    `json:"events"`
	Workloads           []Workload `json:"workloads"`
	// Load1 is the highest load average of the machine over one minute. It helps to tell a loss by overload from a fault.
	Load1 float64 `json:"load1,omitempty"`
	// Steady counts the requests in the steady phases before the first step and after the last.
	Steady load.Count `json:"steady,omitzero"`
	// Faults are the reasons why the scenario failed.
	Faults []string `json:"faults,omitempty"`
	// TooBusy has the possible faults and the figures if the machine was too busy to tell a fault from overload. At most one of Faults and TooBusy is
	// not empty. The scenario passed if both are empty.
	TooBusy []string `json:"tooBusy,omitempty"`
}

// Unproven returns the clients that have a promise and that lost no request of the control either, so their result proves nothing. If each server has its
// own control, the names include the server.
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

// controlsOf returns the control of a workload: the same server without its recipe if there is one, otherwise all controls.
func (s Scenario) controlsOf(w Workload) (controls []Workload, prefix string) {
	server := strings.TrimSuffix(w.Name, SidecarSuffix)
	for _, c := range s.Workloads {
		switch {
		case !c.Control:
		case c.Name == server+PlainSuffix:
			return []Workload{c}, w.Name + " "
		default:
			controls = append(controls, c)
		}
	}
	return controls, ""
}

// lostNone reports whether the controls have the client and lost none of its requests.
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

// Event is a change of a workload, or of all workloads if Workload is empty.
type Event struct {
	At       time.Time `json:"at"`
	Workload string    `json:"workload,omitempty"`
	Text     string    `json:"text"` // scale to 5
	// Settled is the time at which the workload was settled after the change. It is zero if the lab did not wait for that.
	Settled time.Time `json:"settled,omitzero"`
}

// Workload has the results of an application under load.
type Workload struct {
	Name    string `json:"name"`    // aware, sleep, recipe, naive
	Title   string `json:"title"`   // GracefulApp, drain-aware
	Control bool   `json:"control"` // it must lose requests
	Timing  Timing `json:"timing"`
	Rows    []Row  `json:"rows"`
	Pods    []Pod  `json:"pods"`
	// Losses are the lost requests in the order of sending; a stored run of the lab has the first MaxLosses of them. Rows count all.
	Losses []Loss `json:"losses,omitempty"`
	// Causes counts all lost requests by row of docs/failure-modes.md; the key is "" if no row fits.
	Causes map[string]int `json:"causes,omitempty"`
	// MustLose is the row by which the workload must lose requests, and Prevents are the rows by which it must lose none. They are empty for most workloads.
	MustLose string   `json:"mustLose,omitempty"`
	Prevents []string `json:"prevents,omitempty"`
	// Seconds have the counts of all clients for each second, without gaps.
	Seconds []load.Second `json:"seconds"`
}

// MaxLosses bounds the losses that are stored for a workload.
const MaxLosses = 2000

// Timing has the times of a workload's pods in seconds.
type Timing struct {
	StartupSeconds   int32 `json:"startupSeconds"`
	ShutdownSeconds  int32 `json:"shutdownSeconds"`               // t1
	PreStopSeconds   int32 `json:"preStopSeconds"`                // t2
	TerminationGrace int32 `json:"terminationGracePeriodSeconds"` // t3
}

// Row has the counts of one client to one workload, summed over all places that it sends from.
type Row struct {
	Client string `json:"client"` // keep-alive
	// Promised means that GracefulApp promises to lose no request of this client to this workload.
	Promised bool `json:"promised,omitempty"`
	// ClosedLoop means that the client sends its next request only after an answer, so none of its requests is late.
	ClosedLoop bool `json:"closedLoop,omitempty"`
	load.Count
	Latency load.Latency `json:"latency"`
	// ServerFinished counts the requests that the servers finished. FinishedButLost counts those of them that the client lost.
	ServerFinished  int `json:"serverFinished"`
	FinishedButLost int `json:"finishedButLost"`
}

// ruleOfThree is about -ln(0.05). If no request of N was lost, the probability of a loss is below 3/N at 95 % confidence.
const ruleOfThree = 3.0

// Pod has the times of a pod's events. A zero time means that the event has not happened or was not seen.
type Pod struct {
	Name     string    `json:"name"`
	Node     string    `json:"node"`
	Created  time.Time `json:"created"`
	Ready    time.Time `json:"ready,omitzero"`
	Deleted  time.Time `json:"deleted,omitzero"`   // deletion was requested; the preStop hook begins
	Signal   time.Time `json:"signal,omitzero"`    // SIGTERM arrived
	Ended    time.Time `json:"ended,omitzero"`     // the container ended
	ExitCode *int32    `json:"exitCode,omitempty"` // 137 is SIGKILL
	// Incomplete means that the server's record of its requests has no end line, so requests may be missing.
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
