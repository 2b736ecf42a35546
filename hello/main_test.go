package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func lookupIn(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := env[name]; return v, ok }
}

func TestSettings(t *testing.T) {
	usual := settings{port: 8080, adminPort: 8080, startup: 25 * time.Second, request: 5 * time.Second, sleep: 5 * time.Second,
		preStop: 5 * time.Second, shutdown: 20 * time.Second}
	for _, tc := range []struct {
		name string
		env  map[string]string
		want func(*settings)
	}{
		{"has the tutorial's defaults", nil, func(*settings) {}},
		{"takes fractions", map[string]string{"REQUEST_SEC": "0.5"}, func(s *settings) { s.request = 500 * time.Millisecond }},
		{"takes zero", map[string]string{"STARTUP_SEC": "0"}, func(s *settings) { s.startup = 0 }},
		{"takes the bound itself", map[string]string{"SLEEP_SEC": "86400"}, func(s *settings) { s.sleep = 24 * time.Hour }},
		{"lets t3 be longer than t1 and t2 at their bounds", map[string]string{"GRACEFUL_TERMINATION_SEC": "259200"},
			func(s *settings) { s.termination = 72 * time.Hour }},
		{"takes t1 and t2 from the operator's names", map[string]string{"GRACEFUL_SHUTDOWN_SEC": "7", "GRACEFUL_PRESTOP_SEC": "6"},
			func(s *settings) { s.shutdown, s.preStop = 7*time.Second, 6*time.Second }},
		{"keeps the ledger when asked to", map[string]string{"LEDGER": "on"}, func(s *settings) { s.ledger = true }},
		{"keeps no ledger when asked not to", map[string]string{"LEDGER": "off"}, func(*settings) {}},
		{"takes a port", map[string]string{"PORT": "9090"}, func(s *settings) { s.port, s.adminPort = 9090, 9090 }},
		{"takes a port for /drain", map[string]string{"ADMIN_PORT": "8081"}, func(s *settings) { s.adminPort = 8081 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := usual
			tc.want(&want)
			got, err := readSettings(lookupIn(tc.env))
			if err != nil || got != want {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestBadSettings(t *testing.T) {
	for _, tc := range []struct{ name, variable, value, wantAllowed string }{
		{"refuses a word", "REQUEST_SEC", "five", "from 0 to 86400"},
		{"refuses a duration with unit", "REQUEST_SEC", "5s", "from 0 to 86400"},
		{"refuses a negative number", "STARTUP_SEC", "-1", "from 0 to 86400"},
		{"refuses NaN, which compares false with everything", "SLEEP_SEC", "NaN", "from 0 to 86400"},
		{"refuses infinity", "SLEEP_SEC", "Inf", "from 0 to 86400"},
		{"refuses more than a day", "GRACEFUL_SHUTDOWN_SEC", "86401", "from 0 to 86400"},
		{"refuses a number that overflows", "GRACEFUL_PRESTOP_SEC", "1e400", "from 0 to 86400"},
		{"refuses nothing: a template that was not filled in", "GRACEFUL_PRESTOP_SEC", "", "from 0 to 86400"},
		{"refuses more than three days of t3", "GRACEFUL_TERMINATION_SEC", "259201", "from 0 to 259200"},
		{"refuses a ledger that is neither on nor off", "LEDGER", "true", "on or off"},
		{"refuses a ledger that was not filled in", "LEDGER", "", "on or off"},
		{"refuses a port for /drain that is out of range", "ADMIN_PORT", "65536", "from 1 to 65535"},
		{"refuses port 0", "PORT", "0", "from 1 to 65535"},
		{"refuses a port out of range", "PORT", "65536", "from 1 to 65535"},
		{"refuses a service link's port, a URL", "PORT", "tcp://198.18.0.1:80", "from 1 to 65535"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := readSettings(lookupIn(map[string]string{tc.variable: tc.value}))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, part := range []string{tc.variable, `"` + tc.value + `"`, tc.wantAllowed} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not name %q", err, part)
				}
			}
		})
	}
}

func TestBadSettingsEndTheProcessAllNamed(t *testing.T) {
	var stdout, stderr bytes.Buffer
	code := command(nil, lookupIn(map[string]string{"PORT": "http", "REQUEST_SEC": "x", "SLEEP_SEC": "-2", "LEDGER": "yes"}), &stdout, &stderr)
	if code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	for _, name := range []string{"PORT", "REQUEST_SEC", "SLEEP_SEC", "LEDGER"} {
		if !strings.Contains(stderr.String(), name) {
			t.Errorf("%q does not name %s", stderr.String(), name)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, tc := range []struct {
		name     string
		args     []string
		wantCode int
		wantOut  string
	}{
		{"prints the version", []string{"version"}, exitOK, version},
		{"prints help", []string{"help"}, exitOK, "GRACEFUL_PRESTOP_SEC"},
		{"refuses an unknown word", []string{"serve"}, exitUsage, ""},
		{"refuses get without a URL", []string{"get"}, exitUsage, ""},
		{"refuses more than one word too many", []string{"version", "now"}, exitUsage, ""},
		{"refuses a URL without scheme", []string{"get", "localhost:1"}, exitFailed, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := command(tc.args, lookupIn(nil), &stdout, &stderr)
			if code != tc.wantCode || !strings.Contains(stdout.String(), tc.wantOut) {
				t.Errorf("code %d, stdout %q; want %d, %q", code, stdout.String(), tc.wantCode, tc.wantOut)
			}
			if code != exitOK && stderr.Len() == 0 {
				t.Error("failed without a message on stderr")
			}
		})
	}
}
