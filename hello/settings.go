package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/gracefulapp/gracefulapp/drain"
)

// settings are the environment variables; see usage.
type settings struct {
	port, adminPort         int
	startup, request, sleep time.Duration
	drain                   drain.Config
}

// readSettings reports all invalid values at once. An empty value is invalid too: it comes from a template that was not filled in.
func readSettings() (settings, error) {
	s := settings{port: 8080, startup: 25 * time.Second, request: 5 * time.Second, sleep: 5 * time.Second}
	var errs [6]error
	errs[0] = fromEnv("PORT", &s.port, parsePort)
	s.adminPort = s.port
	errs[1] = fromEnv("ADMIN_PORT", &s.adminPort, parsePort)
	errs[2] = fromEnv("STARTUP_SEC", &s.startup, parseSeconds)
	errs[3] = fromEnv("REQUEST_SEC", &s.request, parseSeconds)
	errs[4] = fromEnv("SLEEP_SEC", &s.sleep, parseSeconds)
	s.drain, errs[5] = drain.ConfigFromEnv()
	return s, errors.Join(errs[:]...)
}

// fromEnv leaves the value as it is if the variable is not set.
func fromEnv[T any](name string, value *T, parse func(string) (T, error)) error {
	text, set := os.LookupEnv(name)
	if !set {
		return nil
	}
	v, err := parse(text)
	if err != nil {
		return fmt.Errorf("%s=%q: %w", name, text, err)
	}
	*value = v
	return nil
}

func parsePort(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("want a TCP port from 1 to 65535")
	}
	return int(n), nil
}

// maxSeconds is the bound of a GracefulApp's spec.timing, a day.
const maxSeconds = 86_400

// parseSeconds takes 5 and 0.5. NaN and Inf are numbers to strconv; NaN compares false with everything.
func parseSeconds(text string) (time.Duration, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > maxSeconds {
		return 0, fmt.Errorf("want a number of seconds from 0 to %d", maxSeconds)
	}
	return time.Duration(math.Round(n * float64(time.Second))), nil
}
