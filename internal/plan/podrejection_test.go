package plan_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func planned(t *testing.T, app *v1alpha1.GracefulApp) plan.Plan {
	t.Helper()
	p, errs, _ := plan.For(app, plan.Running{DrainProxy: drainProxy})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return p
}

// TestPodRejection has the texts of the API server's quotas and limit ranges (k8s.io/kubernetes, pkg/quota and plugin/pkg/admission/limitranger).
func TestPodRejection(t *testing.T) {
	const (
		pod, sidecar = "spec.template.spec", "spec.drain.sidecar.resources"
		prefix       = `pods "hello" is forbidden: `
		included     = "; the pod includes the drain sidecar, container graceful-drain (requests: cpu=50m, memory=64Mi; limits: none), and " +
			"spec.drain.sidecar.resources changes its resources"
	)
	limited := func(app *v1alpha1.GracefulApp) {
		app.Spec.Drain.Sidecar = &v1alpha1.DrainSidecar{Resources: &v1alpha1.DrainResources{Limits: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("128Mi"),
		}}}
	}
	tests := []struct {
		name    string
		app     *v1alpha1.GracefulApp
		message string
		source  string
		advice  string
	}{
		{name: "a quota, for the sidecar", app: unchanged(), message: "failed quota: team: must specify limits.cpu for: graceful-drain", source: sidecar,
			advice: "; graceful-drain is the drain sidecar: set its limits.cpu in spec.drain.sidecar.resources"},
		{name: "two resources", app: unchanged(), source: sidecar,
			message: "failed quota: team: must specify limits.cpu for: graceful-drain; limits.memory for: graceful-drain",
			advice:  "; graceful-drain is the drain sidecar: set its limits.cpu, limits.memory in spec.drain.sidecar.resources"},
		{name: "a quota, for the sidecar and the app", app: unchanged(), source: pod,
			message: "failed quota: team: must specify limits.cpu for: graceful-drain,hello; requests.memory for: hello",
			advice:  "; graceful-drain is the drain sidecar: set its limits.cpu in spec.drain.sidecar.resources"},
		{name: "a quota, for the app", app: unchanged(), message: "failed quota: team: must specify limits.cpu for: hello", source: pod},
		{name: "a quota with the sidecar's name", app: unchanged(), message: "failed quota: graceful-drain: must specify limits.cpu for: hello", source: pod},
		{name: "mode Hook", app: testapp.New(), message: "failed quota: team: must specify limits.cpu for: graceful-drain", source: pod},

		{name: "a minimum", app: unchanged(), message: "minimum cpu usage per Container is 100m, but request is 50m", source: pod, advice: included},
		{name: "a minimum without request", app: unchanged(), message: "minimum ephemeral-storage usage per Container is 1Gi.  No request is specified",
			source: pod, advice: included},
		{name: "a maximum of the pod", app: unchanged(), message: "maximum memory usage per Pod is 64Mi, but request is 128Mi", source: pod, advice: included},
		{name: "a maximum without limit", app: unchanged(), message: "maximum cpu usage per Container is 1.  No limit is specified", source: pod, advice: included},
		{name: "a ratio", app: unchanged(), source: pod, advice: included,
			message: "[cpu max limit to request ratio per Pod is 2, but provided ratio is 4.000000, maximum cpu usage per Pod is 1, but limit is 2]"},
		{name: "written resources", app: unchanged(limited), message: "maximum cpu usage per Container is 500m, but limit is 1", source: pod,
			advice: "; the pod includes the drain sidecar, container graceful-drain (requests: none; limits: cpu=1, memory=128Mi), and " +
				"spec.drain.sidecar.resources changes its resources"},
		{name: "a limit range, and mode Hook", app: testapp.New(), message: "minimum cpu usage per Container is 100m, but request is 50m", source: pod},
		{name: "Pod Security", app: unchanged(), message: `violates PodSecurity "restricted:latest": runAsNonRoot != true`, source: pod},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source, advice := planned(t, tt.app).PodRejection(prefix + tt.message)
			if source != tt.source || advice != tt.advice {
				t.Errorf("%s, %q\nwant %s, %q", source, advice, tt.source, tt.advice)
			}
		})
	}
}

// TestDefaultedLimit: only a limit that the spec does not set is a default.
func TestDefaultedLimit(t *testing.T) {
	const text = "must be less than or equal to cpu limit of 50m"
	advice := "; the spec sets no cpu limit here, so it comes from a LimitRange of the namespace, or from a policy: set a limit, or decrease the request"
	limited := func(app *v1alpha1.GracefulApp) {
		testapp.Container(app).Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}
	}
	tests := []struct {
		name          string
		app           *v1alpha1.GracefulApp
		path, message string
		want          string
	}{
		{name: "the app's", app: testapp.New(), path: "spec.containers[0].resources.requests", message: text, want: advice},
		{name: "the sidecar's", app: unchanged(), path: "spec.initContainers[0].resources.requests", message: text, want: advice},
		{name: "a written limit", app: testapp.New(limited), path: "spec.containers[0].resources.requests", message: text},
		{name: "another resource", app: testapp.New(limited), path: "spec.containers[0].resources.requests",
			message: "must be less than or equal to memory limit of 1Mi",
			want:    "; the spec sets no memory limit here, so it comes from a LimitRange of the namespace, or from a policy: set a limit, or decrease the request"},
		{name: "an injected container", app: testapp.New(), path: "spec.containers[1].resources.requests", message: text},
		{name: "another field", app: testapp.New(), path: "spec.containers[0].image", message: text},
		{name: "another message", app: testapp.New(), path: "spec.containers[0].resources.requests", message: "must be greater than or equal to 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := planned(t, tt.app).DefaultedLimit(tt.path, tt.message); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
