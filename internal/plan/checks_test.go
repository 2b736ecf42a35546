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

func exec(command ...string) *corev1.LifecycleHandler {
	return &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: command}}
}

func service(ports ...corev1.ServicePort) *v1alpha1.ServiceTemplate {
	return &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{Ports: ports}}
}

func TestHelloIsAcceptedWithoutAWarning(t *testing.T) {
	_, errs, warnings := plan.For(testapp.New(), plan.Running{})
	if len(errs) > 0 || len(warnings) > 0 {
		t.Errorf("errors %v, warnings %v, want none", errs, warnings)
	}
}

// TestBoundaries sets each number that is compared with a bound to one below it, equal to it and one above it.
func TestBoundaries(t *testing.T) {
	times := func(t1, t2, t3 int32) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) {
			app.Spec.Timing.ShutdownSeconds, app.Spec.Timing.PreStopSeconds = &t1, &t2
			app.Spec.Timing.TerminationGracePeriodSeconds = &t3
		}
	}
	startup := func(delay, period, threshold int32) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) {
			testapp.Container(app).StartupProbe = &corev1.Probe{
				InitialDelaySeconds: delay, PeriodSeconds: period, FailureThreshold: threshold,
			}
		}
	}
	sleeps := func(command ...string) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) { testapp.Container(app).Lifecycle.PreStop = exec(command...) }
	}
	long := func(n int) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) { app.Name = strings.Repeat("a", n) }
	}
	tests := []struct {
		name   string
		modify testapp.Modifier
		field  string // of the one expected error; "" if none is expected
	}{
		{name: "t3 one below t1 + t2", modify: times(20, 5, 24), field: "spec.timing.terminationGracePeriodSeconds"},
		{name: "t3 equal to t1 + t2", modify: times(20, 5, 25), field: "spec.timing.terminationGracePeriodSeconds"},
		{name: "t3 one above t1 + t2", modify: times(20, 5, 26)},
		{name: "t1 one below R", modify: times(4, 5, 60), field: "spec.timing.shutdownSeconds"},
		{name: "t1 equal to R", modify: times(5, 5, 60)},
		{name: "t1 one above R", modify: times(6, 5, 60)},
		{name: "t2 of 0", modify: times(20, 0, 60), field: "spec.timing.preStopSeconds"},
		{name: "t2 of 1", modify: times(20, 1, 60)},
		{name: "t1 at its bound", modify: times(86_400, 5, 86_406)},
		{name: "t1 above its bound", modify: times(86_401, 5, 86_407), field: "spec.timing.shutdownSeconds"},
		{name: "t2 at its bound", modify: times(20, 86_400, 86_421)},
		{name: "t2 above its bound", modify: times(20, 86_401, 86_422), field: "spec.timing.preStopSeconds"},
		{name: "t3 at its bound", modify: times(86_400, 86_400, 259_200)},
		{name: "t3 above its bound", modify: times(86_400, 86_400, 259_201), field: "spec.timing.terminationGracePeriodSeconds"},
		{name: "startup budget one below S", modify: startup(4, 5, 5), field: "spec.template.spec.containers[0].startupProbe.failureThreshold"},
		{name: "startup budget equal to S", modify: startup(0, 5, 6), field: "spec.template.spec.containers[0].startupProbe.failureThreshold"},
		{name: "startup budget one above S", modify: startup(1, 5, 6)},
		{name: "startup threshold derived from a given period", modify: startup(0, 3, 0)},
		{name: "startup threshold derived from a period longer than the start", modify: startup(0, 3600, 0)},
		{name: "hook one below t2", modify: sleeps("sleep", "4"), field: "spec.template.spec.containers[0].lifecycle.preStop.exec.command"},
		{name: "hook equal to t2", modify: sleeps("sleep", "5")},
		{name: "hook one above t2", modify: sleeps("sleep", "6"), field: "spec.template.spec.containers[0].lifecycle.preStop.exec.command"},
		{name: "hook of two waits that make t2", modify: sleeps("sh", "-c", "sleep 2 ; sleep 3s && nginx -s quit")},
		{name: "hook that waits less than t2 beside another command", modify: sleeps("sh", "-c", "/app drain --wait=3; sleep 2")},
		{name: "hook that waits longer than t2 beside another command", modify: sleeps("sh", "-c", "nginx -s quit && sleep 6"),
			field: "spec.template.spec.containers[0].lifecycle.preStop.exec.command"},
		{name: "hook of two waits that are not t2", modify: sleeps("sh", "-c", "sleep 2; sleep 2"), field: "spec.template.spec.containers[0].lifecycle.preStop.exec.command"},
		{name: "hook in minutes", modify: sleeps("/bin/sh", "-c", "/bin/sleep 1m"), field: "spec.template.spec.containers[0].lifecycle.preStop.exec.command"},
		{name: "hook that only mentions sleep", modify: sleeps("sh", "-c", "oversleep 9")},
		{name: "hook that waits in a loop", modify: sleeps("sh", "-c", "while busy; do sleep 1; done")},
		{name: "hook that waits in a branch", modify: sleeps("sh", "-c", "if busy; then sleep 60; fi")},
		{name: "hook that waits in the background", modify: sleeps("sh", "-c", "sleep 60 & drain")},
		{name: "hook that waits only after a failure", modify: sleeps("sh", "-c", "drain || sleep 1")},
		{name: "hook that waits in a comment", modify: sleeps("sh", "-c", "# was: sleep 30\nsleep 5 # t2")},
		{name: "hook that waits longer than t2, before a comment", modify: sleeps("sh", "-c", "sleep 9 # t2"),
			field: "spec.template.spec.containers[0].lifecycle.preStop.exec.command"},
		{name: "hook that prints an unquoted sleep", modify: sleeps("sh", "-c", "echo will sleep 30; drain")},
		{name: "hook that only prints the word sleep", modify: sleeps("sh", "-c", "echo 'then sleep 1 second'; drain")},
		{name: "empty hook, which counts as left out", modify: func(app *v1alpha1.GracefulApp) {
			testapp.Container(app).Lifecycle.PreStop = &corev1.LifecycleHandler{}
		}},
		{name: "name of 63 characters", modify: long(63)},
		{name: "name of 64 characters", modify: long(64), field: "metadata.name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errs, _ := plan.For(testapp.New(tt.modify), plan.Running{})
			var got []string
			for _, err := range errs {
				got = append(got, err.Field)
			}
			var want []string
			if tt.field != "" {
				want = []string{tt.field}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("fields with errors (-want +got):\n%s%v", diff, errs)
			}
		})
	}
}

func TestSpecSizeIsBounded(t *testing.T) {
	fill := func(n int) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) {
			testapp.Container(app).Env = []corev1.EnvVar{{Name: "LARGE", Value: strings.Repeat("x", n)}}
		}
	}
	if _, errs, _ := plan.For(testapp.New(fill(255<<10)), plan.Running{}); len(errs) > 0 {
		t.Errorf("255 KiB: %v", errs)
	}
	_, errs, _ := plan.For(testapp.New(fill(256<<10)), plan.Running{})
	if len(errs) != 1 || errs[0].Field != "spec" {
		t.Fatalf("256 KiB and the rest: %v, want one error on spec", errs)
	}
	if text := errs[0].Error(); len(text) > 200 {
		t.Errorf("the message repeats the large spec: %d bytes", len(text))
	}
}

func TestChangeKeepsTargetedPortNames(t *testing.T) {
	rename := func(app *v1alpha1.GracefulApp) {
		testapp.Container(app).Ports[0].Name = "web"
		testapp.Container(app).ReadinessProbe, testapp.Container(app).LivenessProbe = nil, nil
	}
	renumber := func(app *v1alpha1.GracefulApp) { testapp.Container(app).Ports[0].ContainerPort = 9090 }
	unnamed := func(app *v1alpha1.GracefulApp) { testapp.Container(app).Ports[0].Name = "" }
	second := func(app *v1alpha1.GracefulApp) {
		testapp.Container(app).Ports = append(testapp.Container(app).Ports, corev1.ContainerPort{Name: "admin", ContainerPort: 9091})
		app.Spec.Service = service(corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromString("http")},
			corev1.ServicePort{Name: "admin", Port: 9091})
	}
	retarget := func(app *v1alpha1.GracefulApp) {
		second(app)
		app.Spec.Service.Spec.Ports[0].TargetPort = intstr.FromString("admin")
	}
	tests := []struct {
		name     string
		old, new testapp.Modifier
		refused  bool
	}{
		{name: "a new number under the old name rolls out", old: renumber, new: func(*v1alpha1.GracefulApp) {}, refused: false},
		{name: "a new name would empty the Service", old: func(*v1alpha1.GracefulApp) {}, new: rename, refused: true},
		{name: "writing the derived name out changes nothing", old: unnamed, new: func(*v1alpha1.GracefulApp) {}, refused: false},
		{name: "naming an unnamed port otherwise", old: unnamed, new: rename, refused: true},
		{name: "another port beside the first", old: func(*v1alpha1.GracefulApp) {}, new: second, refused: false},
		{name: "the same Service port to another container port", old: second, new: retarget, refused: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			errs := plan.CheckChange(testapp.New(tt.old), testapp.New(tt.new), plan.Running{})
			if refused := len(errs) > 0; refused != tt.refused {
				t.Errorf("refused = %v, want %v: %v", refused, tt.refused, errs)
			}
		})
	}
}
