package drain

import (
	"strings"
	"testing"
	"time"
)

func TestConfigFromEnv(t *testing.T) {
	for name, value := range map[string]string{"GRACEFUL_PRESTOP_SEC": "0.5", "GRACEFUL_SHUTDOWN_SEC": "30", "GRACEFUL_REQUEST_SEC": "25", "GRACEFUL_TERMINATION_SEC": "40"} {
		t.Setenv(name, value)
	}
	got, err := ConfigFromEnv()
	want := Config{PreStop: 500 * time.Millisecond, Shutdown: 30 * time.Second, Request: 25 * time.Second, TerminationGracePeriod: 40 * time.Second}
	if got != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestConfigFromAnEmptyEnvironment(t *testing.T) {
	got, err := ConfigFromEnv()
	if want := (Config{PreStop: 5 * time.Second, Shutdown: 20 * time.Second}); got != want || err != nil {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestInvalidVariablesAreAllNamed(t *testing.T) {
	t.Setenv("GRACEFUL_PRESTOP_SEC", "five")
	t.Setenv("GRACEFUL_SHUTDOWN_SEC", "")
	t.Setenv("GRACEFUL_REQUEST_SEC", "NaN")
	t.Setenv("GRACEFUL_TERMINATION_SEC", "-1")
	_, err := ConfigFromEnv()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`GRACEFUL_PRESTOP_SEC="five": want a number of seconds from 0 to 86400`, `GRACEFUL_SHUTDOWN_SEC=""`,
		`GRACEFUL_REQUEST_SEC="NaN"`, `GRACEFUL_TERMINATION_SEC="-1": want a number of seconds from 0 to 259200`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
}

func TestTimesThatCannotHoldTogetherAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  map[string]string
		want []string // parts of the error; nil if the times are valid
	}{
		{name: "R over the default t1", env: map[string]string{"GRACEFUL_REQUEST_SEC": "30.5"}, want: []string{"takes 30.5s", "only 20s", "set GRACEFUL_SHUTDOWN_SEC to 30.5 or more"}},
		{name: "R is t1", env: map[string]string{"GRACEFUL_REQUEST_SEC": "20"}},
		{name: "t3 is t1 + t2", env: map[string]string{"GRACEFUL_TERMINATION_SEC": "25"}, want: []string{"SIGKILL after 25s", "to more than 25"}},
		{name: "t3 over t1 + t2", env: map[string]string{"GRACEFUL_TERMINATION_SEC": "25.5"}},
		{name: "no t3", env: map[string]string{"GRACEFUL_TERMINATION_SEC": "0"}},
		{name: "both", env: map[string]string{"GRACEFUL_REQUEST_SEC": "21", "GRACEFUL_TERMINATION_SEC": "1"}, want: []string{"set GRACEFUL_SHUTDOWN_SEC to 21", "to more than 25"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for name, value := range tc.env {
				t.Setenv(name, value)
			}
			_, err := ConfigFromEnv()
			if (err != nil) != (tc.want != nil) {
				t.Fatalf("got %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
}
