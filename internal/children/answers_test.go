package children

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// A comparison takes a millisecond, and most reconciles compare revisions that an earlier one has found equal.
func TestARevisionIsComparedOnceWithAConfiguration(t *testing.T) {
	object := func(version, label string) ownedObject {
		return ownedObject{
			kind: serviceKind, live: &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "1", ResourceVersion: version}},
			desired: corev1ac.Service("hello", "default").WithLabels(map[string]string{"a": label}),
		}
	}
	answers := &Answers{}
	for _, step := range []struct {
		name         string
		object       ownedObject
		equal        bool
		wantCompared bool
	}{
		{name: "the first time", object: object("7", "x"), equal: true, wantCompared: true},
		{name: "the same again", object: object("7", "x"), equal: true, wantCompared: false},
		{name: "another revision that differs", object: object("8", "x"), equal: false, wantCompared: true},
		{name: "a difference again", object: object("8", "x"), equal: false, wantCompared: true},
		{name: "another configuration", object: object("8", "y"), equal: true, wantCompared: true},
		{name: "the first configuration again", object: object("7", "x"), equal: true, wantCompared: true},
	} {
		compared := false
		got := answers.isEqual(step.object, func() bool { compared = true; return step.equal })
		if got != step.equal || compared != step.wantCompared {
			t.Errorf("%s: equal %t, compared %t; want %t and %t", step.name, got, compared, step.equal, step.wantCompared)
		}
	}
}

// During a rollout the status of a Deployment changes with each pod.
func TestAChangeOfTheStatusIsTheSameRevision(t *testing.T) {
	owned := func(raw string) []metav1.ManagedFieldsEntry {
		return []metav1.ManagedFieldsEntry{
			{Manager: "gracefulapp", Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(raw)},
			{Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, Subresource: "status", FieldsV1: metav1.NewFieldsV1(raw)},
		}
	}
	live := func(change func(*appsv1.Deployment)) digest {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
			ResourceVersion: "7", Generation: 2, Labels: map[string]string{"a": "x"}, ManagedFields: owned(`{"f:spec":{}}`),
		}}
		change(d)
		return revisionOf(d)
	}
	first := live(func(*appsv1.Deployment) {})
	for _, c := range []struct {
		name   string
		change func(*appsv1.Deployment)
		same   bool
	}{
		{name: "status", same: true, change: func(d *appsv1.Deployment) {
			d.ResourceVersion, d.Status.Replicas, d.ManagedFields[1].FieldsV1 = "8", 3, metav1.NewFieldsV1(`{"f:status":{}}`)
		}},
		{name: "spec", change: func(d *appsv1.Deployment) { d.Generation = 3 }},
		{name: "labels", change: func(d *appsv1.Deployment) { d.Labels["a"] = "y" }},
		{name: "annotations", change: func(d *appsv1.Deployment) { d.Annotations = map[string]string{"a": "y"} }},
		{name: "owners", change: func(d *appsv1.Deployment) { d.OwnerReferences = []metav1.OwnerReference{{UID: "1"}} }},
		{name: "finalizers", change: func(d *appsv1.Deployment) { d.Finalizers = []string{"example.com/wait"} }},
		{name: "the operator's fields", change: func(d *appsv1.Deployment) { d.ManagedFields[0].FieldsV1 = metav1.NewFieldsV1(`{}`) }},
		{name: "another field manager", change: func(d *appsv1.Deployment) { d.ManagedFields[0].Manager = "kubectl" }},
	} {
		if got := live(c.change) == first; got != c.same {
			t.Errorf("%s: the same revision: %t, want %t", c.name, got, c.same)
		}
	}
	service := func(version string) digest {
		return revisionOf(&corev1.Service{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}})
	}
	if service("7") == service("8") {
		t.Error("two resource versions of a Service are the same revision")
	}
}

func TestAnAnswerThatIsEqualIsNotComparedAgain(t *testing.T) {
	answers := &Answers{}
	desired := corev1ac.Service("hello", "default")
	stored := &corev1.Service{ObjectMeta: metav1.ObjectMeta{UID: "1", ResourceVersion: "7"}}
	answers.keep(serviceKind, stored, answer{uid: "1", applied: desired, stored: desired})
	o := ownedObject{kind: serviceKind, live: stored, desired: desired}
	if !answers.isEqual(o, func() bool { t.Error("compared"); return false }) {
		t.Error("the operator's own write differs from what it has applied")
	}
}
