package fuzz

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const (
	// maxWrites for one app within writeWindow, counted from the first pass after a change of the app's generation, which is left out.
	maxWrites   = 12
	writeWindow = time.Minute
)

// checkPass checks the invariants of each reconcile.
func (e *testEnv) checkPass(before *snapshot, writes []write) error {
	changed := generationOf(before) != e.reconciled
	if before.app == nil || !strings.HasPrefix(e.reconciled, string(before.app.UID)) { // another app of the name has writes of its own
		e.counted = nil
	}
	e.reconciled = generationOf(before)
	return errors.Join(
		checkScaledFirst(before, e.seen, writes, changed), checkForeign(before, e.seen), checkDeletions(writes), e.checkRate(writes, changed),
	)
}

func generationOf(s *snapshot) string {
	if s.app == nil {
		return ""
	}
	return fmt.Sprint(s.app.UID, s.app.Generation)
}

// checkScaledFirst: the operator writes the number of pods before any other field, so that no other error can prevent scaling.
func checkScaledFirst(before, after *snapshot, writes []write, changed bool) error {
	if !before.followsApp() || *before.deployment.Spec.Replicas == *before.app.Spec.Replicas {
		return nil
	}
	want := *before.app.Spec.Replicas
	if len(writes) == 0 {
		if changed {
			return fmt.Errorf("scaling: the first pass after a change of the app does not scale to %d", want)
		}
		return nil
	}
	if first := writes[0]; first.kind != kindDeployment {
		if !changed { // the app did not change, but another client has scaled the Deployment: reverting that is bounded
			return nil
		}
		return fmt.Errorf("scaling: the first write is %s %s, want the replicas of the Deployment", first.verb, first.kind)
	}
	if d := after.deployment; !writes[0].injected && d != nil && *d.Spec.Replicas != want {
		return fmt.Errorf("scaling: the Deployment has %d replicas after the pass, want %d", *d.Spec.Replicas, want)
	}
	return nil
}

// checkForeign: a reconcile changes no object or field of other controllers and users.
func checkForeign(before, after *snapshot) error {
	var errs []error
	for name, object := range before.objects {
		now := after.objects[name]
		switch {
		case name == kindApp+" "+appName:
		case !before.isOurs(object) && !before.mayAdopt(object):
			if now == nil || now.GetResourceVersion() != object.GetResourceVersion() {
				errs = append(errs, fmt.Errorf("foreign: %s is not the app's, and was changed", name))
			}
		case now != nil && now.GetUID() == object.GetUID() && !maps.Equal(foreignFields(object), foreignFields(now)):
			errs = append(errs, fmt.Errorf("foreign: labels and annotations of %s were %v, and are %v", name, foreignFields(object), foreignFields(now)))
		}
	}
	return errors.Join(errs...)
}

// mayAdopt reports whether the app may adopt the object.
func (s *snapshot) mayAdopt(object client.Object) bool {
	return s.app != nil && s.app.Annotations[v1alpha1.AnnotationAdopt] == "true" && object.GetName() == appName && metav1.GetControllerOf(object) == nil
}

// foreignFields are the labels and annotations that other clients have written.
func foreignFields(object client.Object) map[string]string {
	found := map[string]string{}
	keep := func(kind string, all map[string]string) {
		for key, value := range all {
			if strings.HasPrefix(key, foreignPrefix) || key == restartedAt {
				found[kind+" "+key] = value
			}
		}
	}
	keep("label", object.GetLabels())
	keep("annotation", object.GetAnnotations())
	if d, ok := object.(*appsv1.Deployment); ok {
		keep("pod annotation", d.Spec.Template.Annotations)
	}
	return found
}

// checkDeletions: the operator deletes nothing but a PodDisruptionBudget.
func checkDeletions(writes []write) error {
	for _, w := range writes {
		if w.verb == "delete" && w.kind != kindBudget {
			return fmt.Errorf("foreign: %s was deleted", w.kind)
		}
	}
	return nil
}

func (e *testEnv) checkRate(writes []write, changed bool) error {
	if changed {
		e.counted = nil
		return nil
	}
	for _, w := range writes {
		if !w.passes { // the backoff limits those that fail for a reason that passes
			e.counted = append(e.counted, w.at)
		}
	}
	for len(e.counted) > 0 && !e.clock.Now().Before(e.counted[0].Add(writeWindow)) {
		e.counted = e.counted[1:]
	}
	if len(e.counted) > maxWrites {
		return fmt.Errorf("rate: %d writes within %s, want at most %d; the last are %v", len(e.counted), writeWindow, maxWrites, writes)
	}
	return nil
}

// checkSettled checks the invariants that hold when no further reconcile is due.
func (e *testEnv) checkSettled() error {
	s := e.seen
	if s.app == nil || !e.isQuiet() || e.policy == policyVarying {
		return nil
	}
	if s.followsApp() && *s.deployment.Spec.Replicas != *s.app.Spec.Replicas {
		return fmt.Errorf("scaling: the Deployment has %d replicas at rest, want %d", *s.deployment.Spec.Replicas, *s.app.Spec.Replicas)
	}
	return checkStatus(s)
}

// checkStatus compares the app's status with the objects of the snapshot.
func checkStatus(s *snapshot) error {
	d := s.deployment
	switch {
	case d == nil:
		d = &appsv1.Deployment{}
	case !s.isOurs(d):
		return nil // an adoption that is refused shows the pods that run, another controller's Deployment does not
	}
	got, want := s.app.Status, d.Status
	if got.Replicas != want.Replicas || got.UpdatedReplicas != want.UpdatedReplicas || got.ReadyReplicas != want.ReadyReplicas ||
		got.AvailableReplicas != want.AvailableReplicas {
		return fmt.Errorf("status: counts are %d, %d updated, %d ready, %d available; the Deployment's are %d, %d, %d, %d",
			got.Replicas, got.UpdatedReplicas, got.ReadyReplicas, got.AvailableReplicas,
			want.Replicas, want.UpdatedReplicas, want.ReadyReplicas, want.AvailableReplicas)
	}
	if got.ObservedGeneration != s.app.Generation {
		return fmt.Errorf("status: observedGeneration is %d, want %d", got.ObservedGeneration, s.app.Generation)
	}
	isTrue := func(kind string) bool { return meta.IsStatusConditionTrue(got.Conditions, kind) }
	matches := d.Spec.Replicas != nil && want.ObservedGeneration >= d.Generation && want.AvailableReplicas == *d.Spec.Replicas &&
		(s.autoscaled || *d.Spec.Replicas == *s.app.Spec.Replicas)
	if isTrue(v1alpha1.ConditionReady) && !matches {
		return fmt.Errorf("status: Ready is True, and the Deployment has %d of %d pods available", want.AvailableReplicas, *s.app.Spec.Replicas)
	}
	verdicts := 0
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		if isTrue(kind) {
			verdicts++
		}
	}
	if verdicts != 1 {
		return fmt.Errorf("status: %d of Ready, Reconciling and Stalled are True, want one: %v", verdicts, got.Conditions)
	}
	return nil
}
