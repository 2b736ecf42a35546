package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// State is the state of a component.
type State string

const (
	// Waiting means that the component waits for another one, or for its next start after a failure.
	Waiting State = "waiting"
	// Starting means that the component's process is not ready yet.
	Starting State = "starting"
	// Ready means that other components can use this one.
	Ready State = "ready"
)

// Status is the status of a component, which the supervisor writes for `up` and `status`.
type Status struct {
	Name  string    `json:"name"`
	State State     `json:"state"`
	Since time.Time `json:"since"`
	// Failures counts the exits since the component was last ready. LastEnd describes the last exit.
	Failures int    `json:"failures,omitempty"`
	LastEnd  string `json:"lastEnd,omitempty"`
}

// statusWriter holds the status of all components and writes it to a file at each change.
type statusWriter struct {
	mu   sync.Mutex
	file string
	all  []Status
}

func statusFile(dir string, node int) string {
	return filepath.Join(instance.NodeDir(dir, node), "status.json")
}

// ReadStatus returns the status of a node's components, or none if its supervisor has not started yet.
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

// RemoveStatus removes the status file before a new start: an old file has components that no longer run.
func RemoveStatus(i *instance.Instance, node int) error {
	return os.RemoveAll(statusFile(i.Dir(), node))
}

// update changes one component's status by a function and writes the status of all.
func (b *statusWriter) update(name string, set func(*Status)) {
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
	// The rename is atomic, because readers poll the file. After an error `up` does not see the change, and times out.
	if os.WriteFile(b.file+".new", raw, 0o644) == nil {
		_ = os.Rename(b.file+".new", b.file)
	}
}
