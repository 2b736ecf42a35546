package fuzz

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// sequencesVariable is how many sequences to draw.
	sequencesVariable = "FUZZ_SEQUENCES"
	// seedVariable is the seed of the first of them.
	seedVariable = "FUZZ_SEED"
	// defaultSequences are as many as fit into `make test`.
	defaultSequences = 30
)

// step is an operation, and the time until the next one.
type step struct {
	do     string
	choice int
	wait   time.Duration
}

func (s step) String() string {
	return fmt.Sprintf("{do: %q, choice: %d, wait: %d * time.Second},", s.do, s.choice, s.wait/time.Second)
}

// drawn is the source of sequences.
var drawn = rapid.Custom(func(t *rapid.T) []step {
	names := slices.Sorted(maps.Keys(operations))
	steps := []step{{do: createTheApp, choice: rapid.IntRange(0, 15).Draw(t, "app")}}
	for range rapid.IntRange(7, 11).Draw(t, "steps") {
		steps = append(steps, step{
			do:     rapid.SampledFrom(names).Draw(t, "operation"),
			choice: rapid.IntRange(0, 239).Draw(t, "choice"),
			wait:   rapid.SampledFrom([]time.Duration{0, 0, 2 * time.Second, 30 * time.Second, settleTime}).Draw(t, "wait"),
		})
	}
	return steps
})

// TestSequences runs the sequences of found and random ones, in which users, tools and other controllers change an app one after the other. The
// same seed draws the same sequence.
func TestSequences(t *testing.T) {
	n, seed := fromEnvironment(t, sequencesVariable, defaultSequences), fromEnvironment(t, seedVariable, 1)
	api := startForSequences(t)
	t.Run("found", func(t *testing.T) {
		for _, f := range found {
			t.Run(f.fault, func(t *testing.T) {
				t.Parallel()
				if err := run(t.Context(), api, f.steps); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Run("drawn", func(t *testing.T) {
		for worker := range workers {
			t.Run(strconv.Itoa(worker), func(t *testing.T) {
				t.Parallel()
				for i := worker; i < n; i += workers {
					drawAndRun(t, api, seed+i, n == 1)
				}
			})
		}
	})
}

func drawAndRun(t *testing.T, api client.WithWatch, seed int, reduce bool) {
	t.Helper()
	steps := drawn.Example(seed)
	err := run(t.Context(), api, steps)
	if err == nil {
		return
	}
	t.Errorf("%s=%d %s=1: %v", seedVariable, seed, sequencesVariable, err)
	if reduce {
		t.Log(reduced(t.Context(), api, steps))
	}
}

func startForSequences(t *testing.T) client.WithWatch {
	t.Helper()
	api := startAPIServer(t)
	if err := createPolicies(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	return api
}

// run performs the steps, ends every disturbance, and compares the resulting objects with those of a fresh apply.
func run(ctx context.Context, api client.WithWatch, steps []step) error {
	e, err := newTestEnv(ctx, api)
	if err != nil {
		return err
	}
	defer e.close()
	for i, s := range steps {
		if err := e.perform(operations[s.do], s.choice, s.wait); err != nil {
			return fmt.Errorf("step %d, %s: %w", i, s.do, err)
		}
	}
	if err := e.perform(func(e *testEnv, _ int) error { return e.recover() }, 0, settleTime+maxBackoff); err != nil {
		return fmt.Errorf("after the disturbances: %w", err)
	}
	return e.compareWithFresh()
}

// reduced leaves steps out while the sequence fails without them, and returns the rest as an item of found.
func reduced(ctx context.Context, api client.WithWatch, steps []step) string {
	var err error
	for i := len(steps) - 1; i >= 0; i-- {
		fewer := slices.Delete(slices.Clone(steps), i, i+1)
		if e := run(ctx, api, fewer); e != nil {
			steps, err = fewer, e
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%v; the steps are\n", err)
	for _, s := range steps {
		fmt.Fprintf(&text, "\t%v\n", s)
	}
	return text.String()
}

func fromEnvironment(t *testing.T, name string, fallback int) int {
	t.Helper()
	given := os.Getenv(name)
	if given == "" {
		return fallback
	}
	n, err := strconv.Atoi(given)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
