package plan_test

import (
	"strings"
	"testing"

	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// TestForeignDisruptionBudget: a foreign budget gives a warning with one replica too. A drain then waits and loses no requests.
func TestForeignDisruptionBudget(t *testing.T) {
	for replicas, want := range map[int32]string{1: "kubectl drain of its node never ends", 2: "so the operator creates none"} {
		_, _, warnings := plan.For(testapp.New(testapp.Replicas(replicas)),
			plan.Running{ForeignDisruptionBudget: "theirs"})
		if len(warnings) != 1 || !strings.Contains(warnings[0], want) {
			t.Errorf("%d replicas: %v, want one warning that says %q", replicas, warnings, want)
		}
	}
}
