package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// behindProxy puts a proxy in front of the app: the Service targets the proxy's port.
func behindProxy(modify ...func(*corev1.Container)) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		proxy := corev1.Container{Name: "proxy", Image: "proxy:1", Ports: []corev1.ContainerPort{{Name: "proxy", ContainerPort: 4180}}}
		for _, m := range modify {
			m(&proxy)
		}
		pod := &app.Spec.Template.Spec
		pod.Containers = append(pod.Containers, proxy)
		app.Spec.Service = service(corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromInt32(4180)})
	}
}

// TestOldestDerivationHasOneServer: version 1 derives nothing for a further container that the Service targets but the sleep.
func TestOldestDerivationHasOneServer(t *testing.T) {
	app := testapp.New(behindProxy(), ask("1"))
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	main, proxy := p.Deployment.Spec.Template.Spec.Containers[0], p.Deployment.Spec.Template.Spec.Containers[1]
	if main.ReadinessProbe == nil || len(main.Env) != 3 {
		t.Errorf("the first container: %+v, want probes and three variables", main)
	}
	if proxy.ReadinessProbe != nil || len(proxy.Env) > 0 || proxy.Lifecycle.PreStop.Sleep == nil {
		t.Errorf("the proxy: %+v, want the sleep only", proxy)
	}
}

// TestFurtherServerIsATightenedRule: an app that keeps version 1 stays valid, and Outdated names the field that version 2 refuses.
func TestFurtherServerIsATightenedRule(t *testing.T) {
	broken := behindProxy(func(c *corev1.Container) { c.StartupProbe = &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 3} })
	const field = "spec.template.spec.containers[1].startupProbe.failureThreshold"
	_, errs, _ := plan.For(testapp.New(broken), plan.Running{})
	if len(errs) != 1 || errs[0].Field != field {
		t.Errorf("version 2: %v, want one error on %s", errs, field)
	}
	p, errs, _ := plan.For(testapp.New(broken, ask("1")), plan.Running{})
	if len(errs) > 0 || len(p.NewerVersionErrors) != 1 || p.NewerVersionErrors[0].Field != field {
		t.Errorf("version 1: errors %v, outdated %v, want no errors and one on %s", errs, p.NewerVersionErrors, field)
	}
}

// TestProbeWithoutAHandlerAsksTheTargetedPort: the probe asks the targeted port even if it is not the container's first.
func TestProbeWithoutAHandlerAsksTheTargetedPort(t *testing.T) {
	metrics := func(ports []corev1.ContainerPort) []corev1.ContainerPort {
		return append([]corev1.ContainerPort{{Name: "metrics", ContainerPort: 9090}}, ports...)
	}
	tests := []struct {
		name   string
		modify testapp.Modifier
		server int
		want   string
	}{
		{name: "the proxy's", modify: behindProxy(func(c *corev1.Container) { c.Ports = metrics(c.Ports) }), server: 1, want: "proxy"},
		{name: "the only container's", modify: func(app *v1alpha1.GracefulApp) {
			testapp.Container(app).Ports = metrics(testapp.Container(app).Ports)
			testapp.Container(app).ReadinessProbe = nil
			app.Spec.Service = service(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("http")})
		}, server: 0, want: "http"},
		{name: "as version 1 has it", modify: func(app *v1alpha1.GracefulApp) {
			testapp.Container(app).Ports = metrics(testapp.Container(app).Ports)
			testapp.Container(app).ReadinessProbe = nil
			app.Spec.Service = service(corev1.ServicePort{Port: 80, TargetPort: intstr.FromString("http")})
			ask("1")(app)
		}, server: 0, want: "metrics"},
		{name: "the first port of an app behind a proxy", modify: func(app *v1alpha1.GracefulApp) {
			behindProxy()(app)
			testapp.Container(app).ReadinessProbe = nil
		}, server: 0, want: "http"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, _ := plan.For(testapp.New(tt.modify), plan.Running{})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			got := p.Deployment.Spec.Template.Spec.Containers[tt.server].ReadinessProbe.TCPSocket.Port.StrVal
			if got != tt.want {
				t.Errorf("the readiness probe asks port %q, want %q", got, tt.want)
			}
		})
	}
}

// TestHeadlessServiceHasServersToo: its clients know the targets' numbers.
func TestHeadlessServiceHasServersToo(t *testing.T) {
	p, errs, _ := plan.For(testapp.New(behindProxy(), func(app *v1alpha1.GracefulApp) {
		app.Spec.Service.Spec.ClusterIP = corev1.ClusterIPNone
	}), plan.Running{})
	if len(errs) > 0 || p.Deployment.Spec.Template.Spec.Containers[1].ReadinessProbe == nil {
		t.Errorf("errors %v, want a proxy with a readiness probe", errs)
	}
}

// TestKeepAliveIsTheTargetsMatter: only the container that a Service port targets gets the warning, because the clients of an app behind a
// proxy are in the same pod.
func TestKeepAliveIsTheTargetsMatter(t *testing.T) {
	noHook := func(app *v1alpha1.GracefulApp) { testapp.Container(app).Lifecycle = nil }
	_, _, warnings := plan.For(testapp.New(noHook, behindProxy()), plan.Running{})
	var got []string
	for _, w := range warnings {
		if strings.Contains(w, "no drain-aware preStop hook") {
			got = append(got, strings.Fields(w)[1])
		}
	}
	if diff := cmp.Diff([]string{`"proxy"`}, got); diff != "" {
		t.Errorf("containers that are warned about (-want +got):\n%s", diff)
	}
}

// TestSourceOfAServersVariable: the API server counts the variables that were added.
func TestSourceOfAServersVariable(t *testing.T) {
	p, errs, _ := plan.For(testapp.New(behindProxy(), func(app *v1alpha1.GracefulApp) {
		pod := &app.Spec.Template.Spec
		always := corev1.ContainerRestartPolicyAlways
		sidecar := pod.Containers[1]
		sidecar.RestartPolicy = &always
		pod.InitContainers, pod.Containers = []corev1.Container{sidecar}, pod.Containers[:1]
	}), plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for of, want := range map[string]string{
		"spec.containers[0].env[5].name":     "spec.template.spec.containers[0].env[1].name",
		"spec.initContainers[0].env[4].name": "spec.template.spec.initContainers[0].env[0].name",
		"spec.initContainers[1].env[4].name": "spec.template.spec.initContainers[1].env[4].name",
		"spec.containers[0].env[1].name":     "spec.template.spec.containers[0].env[1].name",
	} {
		if got := p.Source("Pod", of); got != want {
			t.Errorf("%s comes from %s, want %s", of, got, want)
		}
	}
}

// TestSleepOfAFurtherContainer: at least t2 (5), and less than t3 (20).
func TestSleepOfAFurtherContainer(t *testing.T) {
	for seconds, refused := range map[int64]bool{4: true, 5: false, 19: false, 20: true} {
		_, errs, _ := plan.For(testapp.New(behindProxy(func(c *corev1.Container) {
			c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: seconds}}}
		})), plan.Running{})
		if len(errs) > 1 || (len(errs) == 1) != refused ||
			refused && errs[0].Field != "spec.template.spec.containers[1].lifecycle.preStop.sleep.seconds" {
			t.Errorf("%d s: %v, refused = %v", seconds, errs, refused)
		}
	}
}

// TestProbeGraceOfAFurtherContainer is the user's own, unless a Service port targets the container.
func TestProbeGraceOfAFurtherContainer(t *testing.T) {
	grace := func(c *corev1.Container) {
		c.LivenessProbe = &corev1.Probe{
			ProbeHandler:                  corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}},
			TerminationGracePeriodSeconds: new(int64(10)),
		}
	}
	if _, errs, _ := plan.For(testapp.New(behindProxy(grace)), plan.Running{}); len(errs) != 1 {
		t.Errorf("targeted: %v, want one error", errs)
	}
	p, errs, _ := plan.For(testapp.New(behindProxy(grace), func(app *v1alpha1.GracefulApp) { app.Spec.Service = nil }), plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if got := *p.Deployment.Spec.Template.Spec.Containers[1].LivenessProbe.TerminationGracePeriodSeconds; got != 10 {
		t.Errorf("grace of %d s, want 10", got)
	}
}

// TestHookThatWaitsBesideAnotherCommand is warned about while its waits alone are shorter than t2.
func TestHookThatWaitsBesideAnotherCommand(t *testing.T) {
	for script, warned := range map[string]bool{
		"/app drain --wait=3; sleep 2": true, "/app drain; sleep 5": false, "sleep 2; sleep 3": false, "sleep 5": false,
	} {
		_, errs, warnings := plan.For(testapp.New(func(app *v1alpha1.GracefulApp) {
			testapp.Container(app).Lifecycle.PreStop = exec("sh", "-c", script)
		}), plan.Running{})
		if len(errs) > 0 || strings.Contains(strings.Join(warnings, "\n"), "waits 2 s beside other commands; together they must last 5 s") != warned {
			t.Errorf("%s: errors %v, warnings %v, warned = %v", script, errs, warnings, warned)
		}
	}
}

// TestContainerRestartIsATightenedRule: an app that keeps version 1 stays valid, and Outdated names the field that version 2 refuses.
func TestContainerRestartIsATightenedRule(t *testing.T) {
	never := func(app *v1alpha1.GracefulApp) {
		testapp.Container(app).RestartPolicy = new(corev1.ContainerRestartPolicyNever)
	}
	p, errs, _ := plan.For(testapp.New(never, ask("1")), plan.Running{})
	if len(errs) > 0 || len(p.NewerVersionErrors) != 1 || p.NewerVersionErrors[0].Field != "spec.template.spec.containers[0].restartPolicy" {
		t.Errorf("version 1: errors %v, outdated %v, want no errors and one on the container's restartPolicy", errs, p.NewerVersionErrors)
	}
}

// A container that is no server delays the rollout too.
func TestStartupBudgetOfEachContainer(t *testing.T) {
	slow := corev1.Container{StartupProbe: &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 120}}
	withDefaults := corev1.Container{StartupProbe: &corev1.Probe{InitialDelaySeconds: 60}}
	native := slow
	native.Name, native.Image, native.RestartPolicy = "proxy", "proxy:1", new(corev1.ContainerRestartPolicyAlways)
	before, _, _ := plan.For(testapp.New(), plan.Running{})
	own := before.Timing.StartupBudgetSeconds
	for name, tt := range map[string]struct {
		modify testapp.Modifier
		want   int32
	}{
		"a further container":         {modify: further(slow), want: 1200},
		"Kubernetes' defaults":        {modify: further(withDefaults), want: 60 + 10*3},
		"a native sidecar":            {modify: func(app *v1alpha1.GracefulApp) { app.Spec.Template.Spec.InitContainers = []corev1.Container{native} }, want: 1200 + own},
		"an app with a drain sidecar": {modify: testapp.DrainSidecar, want: 30 + own},
	} {
		p, errs, _ := plan.For(testapp.New(tt.modify), plan.Running{DrainProxy: drainProxy})
		if len(errs) > 0 || p.Timing.StartupBudgetSeconds != tt.want {
			t.Errorf("%s: %d s, %v, want %d s", name, p.Timing.StartupBudgetSeconds, errs, tt.want)
		}
	}
}

// `kubectl get deployment -o yaml` shows both fields. The API server overwrites the alias.
func TestServiceAccountName(t *testing.T) {
	for _, tt := range []struct{ name, alias, want string }{{name: "b", alias: "a", want: "b"}, {alias: "a", want: "a"}} {
		p, errs, _ := plan.For(testapp.New(func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.ServiceAccountName, app.Spec.Template.Spec.DeprecatedServiceAccount = tt.name, tt.alias
		}), plan.Running{})
		pod := p.Deployment.Spec.Template.Spec
		if len(errs) > 0 || *pod.ServiceAccountName != tt.want || pod.DeprecatedServiceAccount != nil {
			t.Errorf("%+v: serviceAccountName %s, alias %v, %v", tt, *pod.ServiceAccountName, pod.DeprecatedServiceAccount, errs)
		}
	}
}
