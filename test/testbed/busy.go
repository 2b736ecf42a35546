package testbed

import (
	"errors"

	"github.com/gracefulapp/gracefulapp/internal/load"
)

// ErrTooBusy is a result of its own beside passed and failed: what was lost proves nothing, for the machine did not carry the load.
var ErrTooBusy = errors.New("proves nothing here: too busy")

// ExitTooBusy is the exit code of a program with that result.
const ExitTooBusy = 3

// MostLate of all requests, up to which a loss is taken for what was done to the workloads. The start of pods alone makes up to 5 % late on
// two cores.
const MostLate = 0.1

// LateShare of the requests.
func LateShare(c load.Count) float64 { return float64(c.Late) / float64(max(c.Requests, 1)) }
