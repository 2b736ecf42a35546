package main

import (
	"runtime/debug"
	"testing"
)

// The heap of a large fleet depends on this value: docs/performance.md.
func TestGOGCReplacesTheOperatorsValue(t *testing.T) {
	given := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(given) })
	for _, tt := range []struct {
		environment string
		want        int
	}{{"", 50}, {"100", 100}} {
		t.Setenv("GOGC", tt.environment)
		collectGarbageOften()
		if got := debug.SetGCPercent(100); got != tt.want {
			t.Errorf("GOGC=%s: %d %%, want %d %%", tt.environment, got, tt.want)
		}
	}
}
