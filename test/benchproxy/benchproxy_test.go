package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// As a backend, the bench starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "backend" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The bench measures each load and each proxy. It judges no figure.
func TestEachLoadHasARow(t *testing.T) {
	program := filepath.Join(t.TempDir(), "drain-proxy")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/drain-proxy")
	build.Dir = "../.." // the operator's module
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	idleConnections = []int{3}
	rows, err := options{drainProxy: program, duration: 20 * time.Millisecond, runs: 1}.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + 2*len(loads) + 1; len(rows) != want {
		t.Errorf("%d rows, want %d: %+v", len(rows), want, rows)
	}
	for _, r := range rows {
		if (r.Target == "drain-proxy") != (r.RSS > 0) {
			t.Errorf("%+v: only the proxy has memory", r)
		}
	}
}

func TestTable(t *testing.T) {
	text := table([]row{
		median([]row{{Target: "direct", Load: "small", Connections: 1, P50: 40}, {P50: 50, Target: "direct"}, {P50: 90, Target: "direct"}}),
		{Target: "drain-proxy", Load: "small", Connections: 1, P50: 170, P99: 900, CPUPer100k: 7.5, RSS: 12},
		{Target: "drain-proxy", Load: "idle", RSS: 9},
	})
	for _, want := range []string{"small 1 drain-proxy 170 +120 900 +900 0 7.5 12.0", "idle 0 drain-proxy 9.0"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
