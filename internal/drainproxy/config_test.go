package drainproxy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gracefulapp/gracefulapp/internal/timing"
)

func TestParseConfig(t *testing.T) {
	env := map[string]string{"POD_IP": "192.0.2.1", "DRAIN_PROXY_TOKEN": "secret"}
	get := func(name string) string { return env[name] }
	got, err := ParseConfig([]string{"--port=18080:8080", "--port=18082:9090/h2c", "--request-seconds=1", "--prestop-seconds=2", "--shutdown-seconds=6", "--accept-seconds=0"}, get)
	want := Config{
		Ports: []Port{{Listen: 18080, Target: 8080}, {Listen: 18082, Target: 9090, HTTP2: true}}, Admin: 18081, Metrics: 18090, App: "192.0.2.1", Token: "secret",
		Times: Times{Request: time.Second, PreStop: 2 * time.Second, Exit: 5 * time.Second}, Shutdown: 6 * time.Second,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for args, want := range map[string]string{
		"":                            "no port",
		"--port=8080":                 "want LISTEN:TARGET",
		"--port=1:2/tls":              "want LISTEN:TARGET",
		"--port=0:8080":               "not a port",
		"--port=1:70000":              "not a port",
		"--port=1:2 other":            "unknown argument",
		"--port=1:2 --admin-port=0":   "not a port",
		"--port=1:2 --exit-seconds=x": "invalid value",
	} {
		if _, err := ParseConfig(strings.Fields(args), get); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	env = nil
	if _, err := ParseConfig([]string{"--port=1:2"}, get); err == nil || !strings.Contains(err.Error(), "POD_IP") || !strings.Contains(err.Error(), "DRAIN_PROXY_TOKEN") {
		t.Errorf("without the environment: %v", err)
	}
}

// The listeners close acceptDuration after t2 at the latest, and t1 is left from then on.
func TestBoundsOfTheDrain(t *testing.T) {
	c := Config{Times: Times{PreStop: 5 * time.Second}, Shutdown: 6 * time.Second, Accept: acceptDuration}.drainConfig()
	if accept := c.Shutdown - c.Request; accept != 10*time.Second || c.Request != 7*time.Second {
		t.Errorf("accepts for %s after t2 and has %s for the rest", accept, c.Request)
	}
}

// The operator derives the grace periods from the proxy's bounds.
func TestTheOperatorKnowsTheBounds(t *testing.T) {
	for _, bound := range []struct {
		name     string
		proxy    time.Duration
		operator int32
	}{
		{name: "accepting", proxy: acceptDuration, operator: timing.AcceptSeconds},
		{name: "retiring", proxy: retireDuration, operator: timing.RetireSeconds},
		{name: "waiting for the proxy's hook", proxy: awaitProxyHook, operator: timing.AwaitHookSeconds},
		{name: "request", proxy: requestMargin, operator: timing.RequestMarginSeconds},
		{name: "a request in a restart", proxy: maxRestartRequest, operator: timing.MaxLivenessToleranceSeconds},
		{name: "exit", proxy: exitMargin, operator: timing.ExitMarginSeconds},
	} {
		if bound.proxy != time.Duration(bound.operator)*time.Second {
			t.Errorf("%s: %s in the proxy, %d s in the operator", bound.name, bound.proxy, bound.operator)
		}
	}
}
