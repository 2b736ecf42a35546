package testbed

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// While an app is paused, its pods have an older template, so none counts as up to date.
func TestPausedAppIsSettledWithOldPods(t *testing.T) {
	labels := map[string]string{"app": "shop"}
	app := &v1alpha1.GracefulApp{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.GracefulAppSpec{Paused: new(true), Replicas: new(int32(1))}}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec:       appsv1.DeploymentSpec{Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: labels}},
		Status:     appsv1.DeploymentStatus{Replicas: 1, AvailableReplicas: 1, UpdatedReplicas: 0},
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "shop-1", Labels: labels}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}},
	}}}
	scaled := app.DeepCopy()
	scaled.Spec.Replicas = new(int32(2))
	for name, tt := range map[string]struct {
		app  *v1alpha1.GracefulApp
		done bool
	}{
		"the pods are there":            {app, true},
		"the Deployment has fewer pods": {scaled, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Testbed{Client: fakeClient(t, tt.app, deployment, pod)}
			missing, err := b.AppSettled(t.Context(), "shop", 0)
			if err != nil || (missing == Done) != tt.done {
				t.Errorf("got %q, error %v; want settled %t", missing, err, tt.done)
			}
		})
	}
}

func fakeClient(t *testing.T, objects ...client.Object) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
}
