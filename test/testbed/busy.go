package testbed

import (
	"errors"

	"github.com/gracefulapp/gracefulapp/test/load"
)

// ErrTooBusy is the third result besides passed and failed: the machine was too slow for the load, so a lost request does not prove a fault.
var ErrTooBusy = errors.New("proves nothing here: too busy")

// The exit codes of a program that ends with an error.
const (
	ExitFailed  = 1
	ExitTooBusy = 3 // with ErrTooBusy
)

// ExitCode returns the exit code for an error.
func ExitCode(err error) int {
	if errors.Is(err, ErrTooBusy) {
		return ExitTooBusy
	}
	return ExitFailed
}

// MaxLateShare is the share of late requests up to which a loss counts as a fault of the workload. Above it, the result is ErrTooBusy. On two cores
// the start of pods alone makes up to 5 % of the requests late.
const MaxLateShare = 0.1

// LateShare returns the share of the requests that were sent late.
func LateShare(c load.Count) float64 { return float64(c.Late) / float64(max(c.Requests, 1)) }
