package controllers

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/children"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

var (
	now         = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	deployments = schema.GroupResource{Group: "apps", Resource: "deployments"}
)

// observedDeployment returns a Deployment with a current status. The counts are replicas, updated, ready and available.
func observedDeployment(counts [4]int32, modify ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Generation: 3},
		Status: appsv1.DeploymentStatus{
			ObservedGeneration: 3, Replicas: counts[0], UpdatedReplicas: counts[1], ReadyReplicas: counts[2],
			AvailableReplicas: counts[3],
		},
	}
	for _, m := range modify {
		m(d)
	}
	return d
}

func deploymentSays(kind appsv1.DeploymentConditionType, status corev1.ConditionStatus) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: kind, Status: status, Message: "the server's words"}}
	}
}

func TestStatus(t *testing.T) {
	ready := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAvailable}
	scaling := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonScaling}
	progressing := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonProgressing}
	unavailable := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonUnavailable}
	updated := []children.Change{{Action: children.Update, Kind: "Deployment", Name: "hello"}}
	tests := []struct {
		name  string
		last  *metav1.Condition
		state reconcileState
		want  []string // the conditions, "Type=Status Reason"
	}{
		{
			name:  "all pods are available",
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 2})}},
			want:  []string{"Ready=True Available"},
		},
		{
			name: "draining pods do not count",
			last: &scaling,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 2}, func(d *appsv1.Deployment) {
				d.Status.TerminatingReplicas = new(int32(3))
			})}},
			want: []string{"Ready=True Available", "Draining=True PodsTerminating"},
		},
		{
			name:  "this reconcile wrote an owned object, so the counts are older than the write",
			last:  &ready,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 2})}, changes: updated},
			want:  []string{"Ready=False Progressing", "Reconciling=True Progressing"},
		},
		{
			name: "the Deployment's controller has not seen the change yet",
			last: &ready,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 2}, func(d *appsv1.Deployment) {
				d.Generation = 4
			})}},
			want: []string{"Ready=False Progressing", "Reconciling=True Progressing"},
		},
		{
			name:  "a rollout has an old pod left",
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{3, 2, 3, 3})}},
			want:  []string{"Ready=False Progressing", "Reconciling=True Progressing"},
		},
		{
			name:  "pods are missing: it scales up",
			last:  &ready,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{1, 1, 1, 1})}},
			want:  []string{"Ready=False Scaling", "Reconciling=True Scaling"},
		},
		{
			name:  "the first pods of a new app are missing: it is a rollout",
			last:  &progressing,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{0, 0, 0, 0})}},
			want:  []string{"Ready=False Progressing", "Reconciling=True Progressing"},
		},
		{
			name:  "the pods of a scale up are not ready yet",
			last:  &scaling,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 1, 1})}},
			want:  []string{"Ready=False Scaling", "Reconciling=True Scaling"},
		},
		{
			name:  "ready for less than minReadySeconds is not available",
			last:  &scaling,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 1})}},
			want:  []string{"Ready=False Scaling", "Reconciling=True Scaling"},
		},
		{
			name:  "a pod broke",
			last:  &ready,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 1, 1})}},
			want:  []string{"Ready=False Unavailable", "Reconciling=True Unavailable"},
		},
		{
			name:  "it is still broken",
			last:  &unavailable,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 0, 0})}},
			want:  []string{"Ready=False Unavailable", "Reconciling=True Unavailable"},
		},
		{
			name: "the rollout makes no progress",
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{3, 1, 2, 2},
				deploymentSays(appsv1.DeploymentProgressing, corev1.ConditionFalse))}},
			want: []string{"Ready=False ProgressDeadlineExceeded", "Stalled=True ProgressDeadlineExceeded"},
		},
		{
			name: "pods cannot be created",
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{0, 0, 0, 0},
				deploymentSays(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue))}},
			want: []string{"Ready=False ReplicaFailure", "Stalled=True ReplicaFailure"},
		},
		{
			name: "an invalid spec comes before available pods",
			last: &ready,
			state: reconcileState{
				specErrors: field.ErrorList{field.Forbidden(field.NewPath("spec"), "no")},
				observed:   children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 2})},
			},
			want: []string{"Ready=False InvalidSpec", "Stalled=True InvalidSpec"},
		},
		{
			name:  "a Service of another owner has the app's name",
			state: reconcileState{observed: children.Observed{Foreign: []string{"Service hello (not controlled by anything)"}}},
			want:  []string{"Ready=False NameTaken", "Stalled=True NameTaken"},
		},
		{
			name:  "the API server is unavailable",
			state: reconcileState{err: errors.New("connection refused")},
			want:  []string{"Ready=False ApplyFailed", "Reconciling=True ApplyFailed"},
		},
		{
			name: "the cache was stale, which is no failure",
			last: &ready,
			state: reconcileState{
				err:      apierrors.NewConflict(deployments, "hello", errors.New("exists")),
				observed: children.Observed{Deployment: observedDeployment([4]int32{2, 2, 2, 2})},
			},
			want: []string{"Ready=False Progressing", "Reconciling=True Progressing"},
		},
		{
			name: "another client paused the Deployment, and a new template waits",
			last: &ready,
			state: reconcileState{observed: children.Observed{Deployment: observedDeployment([4]int32{2, 0, 2, 2}, func(d *appsv1.Deployment) {
				d.Spec.Paused = true
			})}},
			want: []string{"Ready=False Paused", "Reconciling=True Paused"},
		},
		{
			name:  "a policy changes an applied field",
			state: reconcileState{err: &children.AlteredError{Kind: "Deployment", Name: "hello", Fields: []string{"spec.replicas is 1 instead of 2"}}},
			want:  []string{"Ready=False Altered", "Stalled=True Altered"},
		},
		{
			name:  "the API server rejects an owned object",
			state: reconcileState{err: apierrors.NewForbidden(deployments, "hello", errors.New("exceeded quota"))},
			want:  []string{"Ready=False Rejected", "Stalled=True Rejected"},
		},
	}
	statuses := map[string]v1alpha1.GracefulAppStatus{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.state.app = &v1alpha1.GracefulApp{
				ObjectMeta: metav1.ObjectMeta{Name: "hello", Generation: 7},
				Spec:       v1alpha1.GracefulAppSpec{Replicas: new(int32(2))},
			}
			if tt.last != nil {
				tt.state.app.Status.Conditions = []metav1.Condition{*tt.last}
			}
			status := tt.state.status(now)
			var got []string
			for _, c := range status.Conditions {
				got = append(got, c.Type+"="+string(c.Status)+" "+c.Reason)
				if c.ObservedGeneration != 7 {
					t.Errorf("%s was observed at generation %d, want 7", c.Type, c.ObservedGeneration)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			statuses[tt.name] = status
			if status.ObservedGeneration != 7 {
				t.Errorf("observedGeneration = %d, want 7", status.ObservedGeneration)
			}
		})
	}
	compareStatuses(t, statuses)
}

var update = flag.Bool("update", false, "rewrite testdata/statuses.yaml from the current output of the code")

// compareStatuses compares with the file whose statuses test/tools gives to the tools that wait for an app.
func compareStatuses(t *testing.T, statuses map[string]v1alpha1.GracefulAppStatus) {
	t.Helper()
	const file = "testdata/statuses.yaml"
	got, err := yaml.Marshal(statuses)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil {
		t.Errorf("%s is stale; go test ./controllers -run TestStatus -update writes it (%v, -is +should be):\n%s", file, err, diff)
	}
}

func TestErrorsOfSeveralObjectsStandInOneLine(t *testing.T) {
	err := errors.Join(errors.New("the Service is refused"), errors.Join(errors.New("the Deployment is refused")))
	status := reconcileState{app: &v1alpha1.GracefulApp{}, err: err}.status(now)
	if got, want := status.Conditions[0].Message, "the Service is refused; the Deployment is refused"; got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
}

// TestPodsThatCannotBeCreated: the message has the counts, the API server's words, and the field to change if they are about the drain sidecar.
func TestPodsThatCannotBeCreated(t *testing.T) {
	app := testapp.New(testapp.DrainSidecar)
	p, errs, _ := plan.For(app, plan.Running{DrainProxy: plan.DrainProxy{Image: "proxy:1", Token: "T"}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	const quota = `pods "hello-7c9f-x2b4k" is forbidden: failed quota: team: must specify limits.cpu for: graceful-drain`
	d := observedDeployment([4]int32{1, 1, 1, 1})
	d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: quota}}
	got := reconcileState{app: app, plan: p, observed: children.Observed{Deployment: d}}.summary().message
	want := "1 of 2 replicas are available, 1 ready, 1 up to date; " + quota +
		"; graceful-drain is the drain sidecar: set its limits.cpu in spec.drain.sidecar.resources"
	if got != want {
		t.Errorf("message %q, want %q", got, want)
	}
}

// TestRolloutBeyondItsDeadline checks a rollout with an init container that runs longer than progressDeadlineSeconds. The message must say that the
// rollout continues, and the app must become Ready without a change.
func TestRolloutBeyondItsDeadline(t *testing.T) {
	app := &v1alpha1.GracefulApp{Spec: v1alpha1.GracefulAppSpec{Replicas: new(int32(1))}}
	d := observedDeployment([4]int32{1, 1, 0, 0}, deploymentSays(appsv1.DeploymentProgressing, corev1.ConditionFalse))
	d.Spec.ProgressDeadlineSeconds = new(int32(600))
	late := reconcileState{app: app, observed: children.Observed{Deployment: d}}.summary()
	want := "the server's words; the rollout continues, and the app becomes Ready when its pods are available; if the pods need more time to start, " +
		"for example for init containers, increase spec.progressDeadlineSeconds (now 600)"
	if late.conditionType != v1alpha1.ConditionStalled || late.message != want {
		t.Errorf("%s: %q, want %q", late.conditionType, late.message, want)
	}
	d = observedDeployment([4]int32{1, 1, 1, 1}, deploymentSays(appsv1.DeploymentProgressing, corev1.ConditionTrue))
	if recovered := (reconcileState{app: app, observed: children.Observed{Deployment: d}}).summary(); recovered.conditionType != v1alpha1.ConditionReady {
		t.Errorf("when the pod is available: %v", recovered)
	}
}

func TestStatusKeepsTheTimingInForceWhileTheSpecIsInvalid(t *testing.T) {
	inForce := &v1alpha1.TimingStatus{TerminationGracePeriodSeconds: 30}
	app := &v1alpha1.GracefulApp{Status: v1alpha1.GracefulAppStatus{Timing: inForce}}
	status := reconcileState{app: app, specErrors: field.ErrorList{field.Forbidden(field.NewPath("spec"), "no")}}.status(now)
	if diff := cmp.Diff(inForce, status.Timing); diff != "" {
		t.Errorf("timing (-want +got):\n%s", diff)
	}
}

func TestEventsAreSilentAboutWhatStaysTheSame(t *testing.T) {
	status := func(kind, reason, message string) v1alpha1.GracefulAppStatus {
		s := v1alpha1.GracefulAppStatus{}
		summary{conditionType: kind, reason: reason, message: message}.setOn(&s, 1, now)
		return s
	}
	first := status(v1alpha1.ConditionReconciling, v1alpha1.ReasonScaling, "1 of 5")
	second := status(v1alpha1.ConditionReconciling, v1alpha1.ReasonScaling, "2 of 5")
	bad := status(v1alpha1.ConditionStalled, v1alpha1.ReasonInvalidSpec, "t3 is short")
	quota := status(v1alpha1.ConditionStalled, v1alpha1.ReasonReplicaFailure, `1 of 5; pods "hello-x2b4k" is forbidden`)
	again := status(v1alpha1.ConditionStalled, v1alpha1.ReasonReplicaFailure, `2 of 5; pods "hello-9wzzt" is forbidden`)
	worse := status(v1alpha1.ConditionStalled, v1alpha1.ReasonInvalidSpec, "t1 is short")
	tests := []struct {
		name     string
		old, new v1alpha1.GracefulAppStatus
		want     []string
	}{
		{name: "the first status", old: v1alpha1.GracefulAppStatus{}, new: first, want: []string{"Normal Scaling"}},
		{name: "progress within one reason", old: first, new: second, want: nil},
		{name: "nothing at all", old: bad, new: bad, want: nil},
		{name: "another reason to stall", old: first, new: bad, want: []string{"Warning InvalidSpec"}},
		{name: "pods cannot be created", old: first, new: quota, want: []string{"Warning ReplicaFailure"}},
		{name: "another attempt to create a pod", old: quota, new: again, want: nil},
		{name: "another mistake", old: bad, new: worse, want: []string{"Warning InvalidSpec"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, e := range conditionEvents(tt.old, tt.new) {
				got = append(got, e.kind+" "+e.reason)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyARevertedChangeOfAnotherClientIsAnEvent(t *testing.T) {
	named := children.Change{Action: children.Update, Kind: "Service", Name: "hello", By: []string{"argocd", "kubectl-edit"}}
	unnamed := children.Change{Action: children.Update, Kind: "Service", Name: "hello"}
	const (
		namedNote   = "Updated Service hello: reverted a change by argocd, kubectl-edit"
		unnamedNote = "Updated Service hello: another client had removed or changed a field that the operator applies"
	)
	tests := []struct {
		name       string
		change     children.Change
		last       lastApply
		generation int64
		want       []string
	}{
		{name: "an edit", change: named, last: samePlan, generation: 1, want: []string{namedNote}},
		{name: "a removed field", change: unnamed, last: samePlan, generation: 1, want: []string{unnamedNote}},
		{name: "the owner's change", change: unnamed, last: otherPlan, generation: 2},
		{name: "the owner's change at the second try", change: unnamed, last: otherPlan, generation: 1},
		{name: "the owner sets the value of another manager", change: named, last: otherPlan, generation: 1},
		{name: "an edit while the operator was down", change: named, last: unknownPlan, generation: 1, want: []string{namedNote}},
		{name: "the owner's change while the operator was down", change: named, last: unknownPlan, generation: 2},
		{name: "an upgrade of the operator", change: unnamed, last: unknownPlan, generation: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, e := range changeEvents([]children.Change{tt.change}, tt.last, tt.generation == 1) {
				got = append(got, e.note)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTruncatedMessagesStayValidText(t *testing.T) {
	got := truncate(strings.Repeat("ä", 1000), 1001)
	if len(got) > 1001 || !strings.HasSuffix(got, "ä …") {
		t.Errorf("%d bytes ending in %q", len(got), got[len(got)-8:])
	}
}

func TestMessagesMoveNoCursor(t *testing.T) {
	if got, want := truncate("quota \x1b[2J\x07\r\nexceeded", 100), "quota \uFFFD[2J\uFFFD  exceeded"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
