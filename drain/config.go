package drain

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"time"
)

// Config has the times of a pod's end, in their order. Nothing checks a literal: if Request is longer than Shutdown, no time is left for connections that
// come after SIGTERM, and the longest requests are cut off; if TerminationGracePeriod is not longer than PreStop + Shutdown, the kubelet kills the
// process. ConfigFromEnv refuses such times. With the zero Config the hook returns at once, and SIGTERM cuts off the requests in flight.
type Config struct {
	// PreStop is t2: how long each call of the preStop hook takes.
	PreStop time.Duration
	// Shutdown is t1: how long after SIGTERM the requests may take to finish.
	Shutdown time.Duration
	// Request is R, the longest request. The server accepts connections after SIGTERM for at most Shutdown - Request, so that their requests can finish.
	// 0 means unknown; the server then accepts them for at most half of Shutdown.
	Request time.Duration
	// TerminationGracePeriod is t3, the pod's terminationGracePeriodSeconds. A drain that no SIGTERM follows ends t3 after the last call of the hook: the
	// kubelet would have killed the process by then, so its pod was not being deleted. 0 means PreStop + Shutdown + 5 s.
	TerminationGracePeriod time.Duration
	// Log gets a line when a drain begins, when the hook returns, at SIGTERM, and when a server has ended. nil means slog.Default().
	Log *slog.Logger
}

// Defaults of ConfigFromEnv, the same as those of a GracefulApp with requests of up to 15 s.
const (
	defaultPreStopSeconds  = 5
	defaultShutdownSeconds = 20
)

// terminationMargin is the margin in a GracefulApp's derived grace period: t3 = t1 + t2 + 5 s.
const terminationMargin = 5 * time.Second

// Bounds of the variables in seconds, the same as those of a GracefulApp's spec.timing: a day, and three for t3.
const (
	maxSeconds            = 86_400
	maxTerminationSeconds = 3 * maxSeconds
)

// ConfigFromEnv reads the times in seconds, also fractions such as 0.5:
//
//	GRACEFUL_PRESTOP_SEC      t2, default 5
//	GRACEFUL_SHUTDOWN_SEC     t1, default 20
//	GRACEFUL_REQUEST_SEC      R, default unknown
//	GRACEFUL_TERMINATION_SEC  t3, default t1 + t2 + 5
//
// The error names every variable that is not such a number. An empty value is an error too: it comes from a template that was not filled in. R may not be
// longer than t1, and t3 must be longer than t1 + t2. The error says which variable to change.
func ConfigFromEnv() (Config, error) {
	c := Config{}
	var errs []error
	for _, v := range []struct {
		name           string
		value          *time.Duration
		defaultSeconds float64
		limit          float64
	}{
		{name: "GRACEFUL_PRESTOP_SEC", value: &c.PreStop, defaultSeconds: defaultPreStopSeconds, limit: maxSeconds},
		{name: "GRACEFUL_SHUTDOWN_SEC", value: &c.Shutdown, defaultSeconds: defaultShutdownSeconds, limit: maxSeconds},
		{name: "GRACEFUL_REQUEST_SEC", value: &c.Request, limit: maxSeconds},
		{name: "GRACEFUL_TERMINATION_SEC", value: &c.TerminationGracePeriod, limit: maxTerminationSeconds},
	} {
		d, err := secondsFromEnv(v.name, v.defaultSeconds, v.limit)
		*v.value = d
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return c, err
	}
	return c, c.check()
}

// check returns an error if the times of the environment cannot hold together. A GracefulApp with such times is refused.
func (c Config) check() error {
	var errs []error
	if c.Request > c.Shutdown {
		errs = append(errs, fmt.Errorf("the longest request takes %s (GRACEFUL_REQUEST_SEC), but requests have only %s after SIGTERM (GRACEFUL_SHUTDOWN_SEC): "+
			"set GRACEFUL_SHUTDOWN_SEC to %g or more", c.Request, c.Shutdown, c.Request.Seconds()))
	}
	if t3 := c.TerminationGracePeriod; t3 > 0 && t3 <= c.Shutdown+c.PreStop {
		errs = append(errs, fmt.Errorf("the kubelet sends SIGKILL after %s (GRACEFUL_TERMINATION_SEC), but the hook takes %s (GRACEFUL_PRESTOP_SEC) and the shutdown up to "+
			"%s (GRACEFUL_SHUTDOWN_SEC): set GRACEFUL_TERMINATION_SEC and the pod's terminationGracePeriodSeconds to more than %g", t3, c.PreStop, c.Shutdown,
			(c.Shutdown+c.PreStop).Seconds()))
	}
	return errors.Join(errs...)
}

func secondsFromEnv(name string, defaultSeconds, limit float64) (time.Duration, error) {
	n := defaultSeconds
	if text, set := os.LookupEnv(name); set {
		var err error
		// NaN and Inf are numbers to strconv; NaN compares false with everything.
		if n, err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(n) || n < 0 || n > limit {
			return 0, fmt.Errorf("%s=%q: want a number of seconds from 0 to %.0f", name, text, limit)
		}
	}
	return time.Duration(math.Round(n * float64(time.Second))), nil
}

// drainDuration returns how long a drain lasts after the last call of the hook.
func (c Config) drainDuration() time.Duration {
	grace := c.TerminationGracePeriod
	if grace == 0 {
		grace = c.Shutdown + c.PreStop + terminationMargin
	}
	return max(grace, c.PreStop)
}

// acceptDuration returns how long after SIGTERM the server may accept connections: a request of the longest kind must still finish within t1.
func (c Config) acceptDuration() time.Duration {
	if c.Request == 0 {
		return c.Shutdown / 2
	}
	return max(0, c.Shutdown-c.Request)
}
