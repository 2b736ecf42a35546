package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// State of a component.
type State string

const (
	// Waiting for another component, or for the next try after a failure.
	Waiting State = "waiting"
	// Starting has a process that is not ready yet.
	Starting State = "starting"
	Ready    State = "ready"
)

// Status of a component, as the supervisor tells it to `up` and `status`.
type Status struct {
	Name  string    `json:"name"`
	State State     `json:"state"`
	Since time.Time `json:"since"`
	// Failures since it was last ready, and how the last process ended.
	Failures int    `json:"failures,omitempty"`
	LastEnd  string `json:"lastEnd,omitempty"`
}

// board holds all components' status and writes it to a file at each change.
type board struct {
	mu   sync.Mutex
	file string
	all  []Status
}

func statusFile(dir string, node int) string {
	return filepath.Join(instance.NodeDir(dir, node), "status.json")
}

// ReadStatus of a node; none if its supervisor has not started yet.
func ReadStatus(i *instance.Instance, node int) ([]Status, error) {
	raw, err := os.ReadFile(statusFile(i.Dir(), node))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Status
	return all, json.Unmarshal(raw, &all)
}

// ForgetStatus before a new start: an old one would show components that no longer run.
func ForgetStatus(i *instance.Instance, node int) error {
	return os.RemoveAll(statusFile(i.Dir(), node))
}

// change sets one component's status by a function and publishes all.
func (b *board) change(name string, set func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range b.all {
		if s := &b.all[n]; s.Name == name {
			before := s.State
			if set(s); s.State != before {
				s.Since = time.Now()
			}
		}
	}
	raw, err := json.Marshal(b.all)
	if err != nil {
		return
	}
	// Atomically: readers poll. Errors show up as a missing change, in `up`'s time-out.
	if os.WriteFile(b.file+".new", raw, 0o644) == nil {
		_ = os.Rename(b.file+".new", b.file)
	}
}
