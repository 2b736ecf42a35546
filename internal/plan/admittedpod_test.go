package plan_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

func requests(cpu string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
}

// admitted plans the app and returns the warnings about a pod of it that the API server has changed.
func admitted(t *testing.T, app *v1alpha1.GracefulApp, change func(*corev1.PodSpec)) []string {
	t.Helper()
	p, errs, _ := plan.For(app, plan.Running{DrainProxy: drainProxy})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	sent := corev1.PodSpec{}
	if err := plan.Convert(p.Deployment.Spec.Template.Spec, &sent); err != nil {
		t.Fatal(err)
	}
	answer := sent.DeepCopy()
	change(answer)
	return p.AdmittedPodWarnings(sent, *answer)
}

// TestNoCPURequest is about the pod as it will run, and about each container that gets requests.
func TestNoCPURequest(t *testing.T) {
	const app, proxy = `container "hello" serves requests and has no CPU request`, `container "proxy" serves requests and has no CPU request`
	limits := corev1.ResourceRequirements{Limits: requests("1").Requests}
	pod := requests("100m")
	tests := []struct {
		name   string
		change func(*corev1.PodSpec)
		want   []string
	}{
		{name: "none has one", change: func(*corev1.PodSpec) {}, want: []string{app, proxy}},
		{name: "a request of 0", change: func(p *corev1.PodSpec) { p.Containers[0].Resources = requests("0") }, want: []string{app, proxy}},
		{name: "the first container's", change: func(p *corev1.PodSpec) { p.Containers[0].Resources = requests("50m") }, want: []string{proxy}},
		{name: "a limit range has set both", change: func(p *corev1.PodSpec) {
			p.Containers[0].Resources, p.Containers[1].Resources = limits, requests("50m")
		}},
		{name: "the pod's", change: func(p *corev1.PodSpec) { p.Resources = &pod }},
		{name: "the pod's limit", change: func(p *corev1.PodSpec) { p.Resources = &limits }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := admitted(t, testapp.New(testapp.NoResources, behindProxy(), func(app *v1alpha1.GracefulApp) {
				app.Spec.Template.Spec.Containers = append(app.Spec.Template.Spec.Containers, corev1.Container{Name: "meter", Image: "meter:1"})
			}), tt.change)
			if len(got) != len(tt.want) {
				t.Fatalf("warnings %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(got[i], want) {
					t.Errorf("warning %q, want %q", got[i], want)
				}
			}
		})
	}
}

// TestInjected judges a pod with t1 10, t2 5 and t3 20 after a mesh, a webhook or a policy has changed it.
func TestInjected(t *testing.T) {
	container := func(name string, preStop *corev1.LifecycleHandler) corev1.Container {
		return corev1.Container{Name: name, Image: "mesh:1", Lifecycle: &corev1.Lifecycle{PreStop: preStop}}
	}
	beside := func(preStop *corev1.LifecycleHandler) func(*corev1.PodSpec) {
		return func(p *corev1.PodSpec) { p.Containers = append(p.Containers, container("istio-proxy", preStop)) }
	}
	native := func(grace int64) func(*corev1.PodSpec) {
		return func(p *corev1.PodSpec) {
			c := container("istio-proxy", nil)
			c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
			p.InitContainers, p.TerminationGracePeriodSeconds = append(p.InitContainers, corev1.Container{Name: "istio-init"}, c), &grace
		}
	}
	grace := func(seconds int64) func(*corev1.PodSpec) {
		return func(p *corev1.PodSpec) { p.TerminationGracePeriodSeconds = &seconds }
	}
	sleep := func(seconds int64) *corev1.LifecycleHandler {
		return &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: seconds}}
	}
	setting := func(name, value string) func(*corev1.PodSpec) {
		return func(p *corev1.PodSpec) {
			p.Containers[0].Env = append(p.Containers[0].Env, corev1.EnvVar{Name: name, Value: value})
		}
	}
	tests := []struct {
		name   string
		change func(*corev1.PodSpec)
		want   []string
	}{
		{name: "nothing", change: func(*corev1.PodSpec) {}},
		{name: "only defaults", change: func(p *corev1.PodSpec) {
			p.Containers[0].LivenessProbe.SuccessThreshold, p.Containers[0].LivenessProbe.HTTPGet.Scheme = 1, corev1.URISchemeHTTP
			p.Containers[0].Lifecycle.PreStop.HTTPGet.Scheme = corev1.URISchemeHTTP
		}},
		{name: "a container without a hook", change: beside(nil), want: []string{`container "istio-proxy" is injected into the pods and has no preStop hook`}},
		{name: "one with a hook shorter than t2", change: beside(sleep(4)), want: []string{"has a preStop hook of 4 s, less than preStopSeconds (t2) 5"}},
		{name: "one with a command that waits shorter than t2", change: beside(exec("sleep", "4")), want: []string{"has a preStop hook of 4 s"}},
		{name: "one with a hook of t2", change: beside(sleep(5))},
		{name: "one with a hook of unknown duration", change: beside(exec("/agent", "wait"))},
		{name: "a native sidecar without room", change: native(20), want: []string{"native sidecars are injected into the pods (istio-proxy)", "set spec.timing.terminationGracePeriodSeconds to 25"}},
		{name: "a native sidecar with room", change: native(21), want: []string{"to 21 instead of t3 = 20"}},
		{name: "a longer grace period", change: grace(30), want: []string{"to 30 instead of t3 = 20"}},
		{name: "a grace period above t1 + t2", change: grace(16), want: []string{"to 16 instead of t3 = 20"}},
		{name: "a grace period of t1 + t2", change: grace(15), want: []string{"to 15 instead of t3 = 20, which is not more than t1 + t2 = 15: SIGKILL cuts requests short"}},
		{name: "a probe that asks the sidecar", change: func(p *corev1.PodSpec) {
			p.Containers[0].ReadinessProbe.HTTPGet.Path = "/app-health/hello/readyz"
		}, want: []string{`changes or removes readinessProbe of container "hello"`}},
		{name: "no probes and no hook", change: func(p *corev1.PodSpec) {
			c := &p.Containers[0]
			c.StartupProbe, c.ReadinessProbe, c.LivenessProbe, c.Lifecycle = nil, nil, nil, nil
		}, want: []string{`changes or removes startupProbe, readinessProbe, livenessProbe, lifecycle.preStop of container "hello"`}},
		{name: "another kind of hook", change: func(p *corev1.PodSpec) { p.Containers[0].Lifecycle.PreStop = sleep(5) }, want: []string{`lifecycle.preStop of container "hello"`}},
		{name: "a renamed container", change: func(p *corev1.PodSpec) { p.Containers[0].Name = "app" }, want: []string{`removes or renames container "hello"`}},
		{name: "no variables", change: func(p *corev1.PodSpec) { p.Containers[0].Env = nil }, want: []string{
			`changes or removes env GRACEFUL_SHUTDOWN_SEC, env GRACEFUL_PRESTOP_SEC, env GRACEFUL_TERMINATION_SEC`,
		}},
		{name: "a variable that overrides ours", change: setting("GRACEFUL_SHUTDOWN_SEC", "60"), want: []string{`changes or removes env GRACEFUL_SHUTDOWN_SEC of container "hello"`}},
		{name: "another variable", change: setting("TZ", "UTC")},
		{name: "another restart policy", change: func(p *corev1.PodSpec) {
			p.Containers[0].RestartPolicy = new(corev1.ContainerRestartPolicyNever)
		}, want: []string{`changes or removes restartPolicy of container "hello"`}},
		{name: "a less patient probe", change: func(p *corev1.PodSpec) { p.Containers[0].LivenessProbe.FailureThreshold = 1 }, want: []string{`livenessProbe of container "hello"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Join(admitted(t, testapp.New(), tt.change), "\n")
			if len(tt.want) == 0 && got != "" {
				t.Errorf("warnings %q, want none", got)
			}
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("warnings %q, want %q", got, want)
				}
			}
		})
	}
}

// TestNoAdviceThatPolicyOverrides: where a policy sets the grace period, a longer t3 in the spec has no effect.
func TestNoAdviceThatPolicyOverrides(t *testing.T) {
	got := strings.Join(admitted(t, testapp.New(), func(p *corev1.PodSpec) {
		p.InitContainers = []corev1.Container{{Name: "istio-proxy", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
		p.TerminationGracePeriodSeconds = new(int64(3))
	}), "\n")
	if !strings.Contains(got, "to 3 instead of t3 = 20") || strings.Contains(got, "set spec.timing.terminationGracePeriodSeconds") {
		t.Errorf("warnings %q, want only that the policy sets 3", got)
	}
}
