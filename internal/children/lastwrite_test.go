package children

import (
	"context"
	"errors"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// Regression test: the event of one owned object caused a reconcile before the cache showed the next, and the operator created that one again. The API
// server refused it.
func TestAWriteIsNotRepeatedBeforeTheCacheShowsIt(t *testing.T) {
	writes := 0
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).Build(), interceptor.Funcs{
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			writes++
			return nil
		},
	})
	app := testapp.New(func(app *v1alpha1.GracefulApp) { app.UID, app.Spec.Replicas = "1", new(int32(1)) }) // no PodDisruptionBudget
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	answers, now := &Answers{}, time.Now()
	for _, step := range []struct {
		name       string
		after      time.Duration
		wantWrites int
	}{
		{name: "creation", after: 0, wantWrites: 2},
		{name: "the cache shows nothing yet", after: maxCacheDelay / 2, wantWrites: 0},
		{name: "the cache still shows nothing, so another client has deleted the objects", after: maxCacheDelay, wantWrites: 2},
	} {
		answers.Begin(now.Add(step.after), time.Time{})
		writes = 0
		_, err := Apply(t.Context(), c, p, Observed{app: app}, answers, true)
		if writes != step.wantWrites || errors.Is(err, ErrBehind) != (step.wantWrites == 0) {
			t.Errorf("%s: %d writes, error %v; want %d writes", step.name, writes, err, step.wantWrites)
		}
	}
}

// countScalings returns a client that accepts each scaling, with resource version 8, and counts it.
func countScalings(scalings *int) client.Client {
	return interceptor.NewClient(fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).Build(), interceptor.Funcs{
		SubResourcePatch: func(_ context.Context, _ client.Client, _ string, _ client.Object, _ client.Patch, opts ...client.SubResourcePatchOption) error {
			*scalings++
			options := (&client.SubResourcePatchOptions{}).ApplyOptions(opts)
			options.SubResourceBody.(*autoscalingv1.Scale).ResourceVersion = "8"
			return nil
		},
	})
}

func TestAnotherNumberOfReplicasIsWrittenAtOnce(t *testing.T) {
	writes := 0
	c := countScalings(&writes)
	app := testapp.New(func(app *v1alpha1.GracefulApp) { app.UID = "1" })
	stale := &appsv1.Deployment{ // as the cache shows it all the time
		ObjectMeta: metav1.ObjectMeta{
			Name: "hello", UID: "2", ResourceVersion: "7", OwnerReferences: []metav1.OwnerReference{{UID: app.UID, Controller: new(true)}},
		},
		Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))},
	}
	answers := &Answers{}
	answers.Begin(time.Now(), time.Time{})
	for _, step := range []struct {
		name       string
		replicas   int32
		wantWrites int
	}{
		{name: "a change", replicas: 5, wantWrites: 1},
		{name: "the same number again", replicas: 5, wantWrites: 0},
		{name: "another number", replicas: 6, wantWrites: 1},
	} {
		writes = 0
		app.Spec.Replicas = &step.replicas
		o, _, err := Scale(t.Context(), c, app, Observed{app: app, Deployment: stale}, answers)
		if writes != step.wantWrites || err != nil || *o.Deployment.Spec.Replicas != step.replicas {
			t.Errorf("%s: %d writes, error %v, %d replicas; want %d writes", step.name, writes, err, *o.Deployment.Spec.Replicas, step.wantWrites)
		}
	}
}

// Regression test: the record of the apply replaced that of the scaling, and the operator scaled again, and reported that another client had changed the
// Deployment.
func TestAScalingAndAnApplyAreBothRemembered(t *testing.T) {
	writes := 0
	c := countScalings(&writes)
	app := testapp.New(func(app *v1alpha1.GracefulApp) { app.UID, app.Spec.Replicas = "1", new(int32(5)) })
	stale := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "hello", UID: "2", ResourceVersion: "7", OwnerReferences: []metav1.OwnerReference{{UID: app.UID, Controller: new(true)}}},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(2))},
	}
	answers := &Answers{}
	answers.Begin(time.Now(), time.Time{})
	for range 2 {
		_, changes, err := Scale(t.Context(), c, app, Observed{app: app, Deployment: stale}, answers)
		if err != nil || writes != 1 {
			t.Fatalf("%d scalings, changes %v, error %v; want one scaling", writes, changes, err)
		}
		answers.keepWrite(deploymentKind, lastWrite{uid: "2", resourceVersion: "9"})
	}
	for _, tc := range []struct {
		name string
		live *appsv1.Deployment
		want bool
	}{
		{name: "older", live: stale, want: true},
		{name: "as written", live: &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{UID: "2", ResourceVersion: "9"}}},
		{name: "newer", live: &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{UID: "2", ResourceVersion: "10"}}},
		{name: "another object", live: &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{UID: "3", ResourceVersion: "7"}}},
	} {
		if _, got := answers.writeNotShown(deploymentKind, tc.live); got != tc.want {
			t.Errorf("%s: not shown %t, want %t", tc.name, got, tc.want)
		}
	}
	answers.keepWrite(deploymentKind, lastWrite{uid: "2", isDeleted: true})
	if _, got := answers.writeNotShown(deploymentKind, stale); !got {
		t.Error("the deletion is repeated")
	}
	if _, got := answers.writeNotShown(deploymentKind, nil); got {
		t.Error("a deleted object is not created again")
	}
}

func TestAnAlteredObjectStaysAlteredUntilTheCacheShowsIt(t *testing.T) {
	answers, altered := &Answers{}, &AlteredError{Kind: serviceKind, Name: "hello"}
	o := ownedObject{kind: serviceKind, desired: corev1ac.Service("hello", "default"), answers: answers}
	answers.byKind = map[string]answer{serviceKind: {applied: o.desired, altered: altered}}
	if err := answers.resultNotShown(o); !errors.Is(err, altered) {
		t.Errorf("got %v", err)
	}
	o.desired = corev1ac.Service("hello", "default").WithLabels(map[string]string{"a": "b"})
	if err := answers.resultNotShown(o); !errors.Is(err, ErrBehind) {
		t.Errorf("after a change: %v", err)
	}
}

// A panic in another goroutine would end the operator for all apps.
func TestAPanicReachesTheCaller(t *testing.T) {
	defer func() {
		if p := recover(); p == nil {
			t.Error("no panic")
		}
	}()
	parallel(func() {}, func() { panic("one app") })
}
