package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

func TestRequestsAreThoseOfWatchedKinds(t *testing.T) {
	families, err := parseMetrics(strings.NewReader(`# TYPE apiserver_request_total counter
apiserver_request_total{verb="APPLY",resource="deployments",code="201"} 5
apiserver_request_total{verb="POST",resource="gracefulapps",code="409"} 2
apiserver_request_total{verb="LIST",resource="services",code="200"} 3
apiserver_request_total{verb="WATCH",resource="services",code="200"} 7
apiserver_request_total{verb="PUT",resource="leases",code="200"} 11
`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(requests{Reads: 3, Writes: 7, Failed: 2}, countRequests(families["apiserver_request_total"])); diff != "" {
		t.Error(diff)
	}
}

func TestTableShowsMedianAndRange(t *testing.T) {
	var all []measurement
	for i, seconds := range []float64{9, 3, 6} {
		all = append(all, measurement{Apps: 100, Namespaces: 1, Run: i + 1, Baseline: baseline{Floor: 1, Limit: 3, Patch: 1}, Operator: operator{Create: seconds}})
	}
	text := table(all)
	if !strings.Contains(text, "create / limit  2.00 (1.00-3.00)") {
		t.Errorf("no median with its range in\n%s", text)
	}
	if !strings.Contains(text, "with admission, p50, ms                 -\n") {
		t.Errorf("a figure that was not measured has no dash in\n%s", text)
	}
}

func TestNumbers(t *testing.T) {
	got, err := numbers("100,3000")
	if diff := cmp.Diff([]int{100, 3000}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, bad := range []string{"", "100,", "0", "a"} {
		if _, err := numbers(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// On a starved machine a write of the operator may time out. The app has a status then, but not all of its objects.
func TestAnAppWithAFailedWriteIsNotObserved(t *testing.T) {
	app := &v1alpha1.GracefulApp{}
	app.Generation = 2
	for _, tt := range []struct {
		observed int64
		reason   string
		want     bool
	}{
		{observed: 1, reason: v1alpha1.ReasonProgressing},
		{observed: 2, reason: v1alpha1.ReasonApplyFailed},
		{observed: 2, reason: v1alpha1.ReasonProgressing, want: true},
	} {
		app.Status.ObservedGeneration = tt.observed
		app.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Reason: tt.reason}}
		if isObserved(app) != tt.want {
			t.Errorf("%+v: %t", tt, isObserved(app))
		}
	}
}
