package children

import (
	"testing"

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
