package plan_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

const (
	liveToken = "LLLLLLLLLLLLLLLLLLLLLLLLLL"
	newToken  = "NNNNNNNNNNNNNNNNNNNNNNNNNN"
)

// unchanged is an app of a server that knows nothing of draining.
func unchanged(modify ...testapp.Modifier) *v1alpha1.GracefulApp {
	return testapp.New(append([]testapp.Modifier{testapp.DrainSidecar}, modify...)...)
}

func recorded(image string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Status.Drain = &v1alpha1.DrainStatus{Mode: v1alpha1.DrainModeSidecar, Image: image}
	}
}

func asked(image string) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) {
		app.Annotations = map[string]string{v1alpha1.AnnotationDrainImage: image}
	}
}

// running returns the live Deployment of an app that the operator has derived with an image, as another operator sees it.
func running(t *testing.T, image string, modify ...func(*plan.Running)) plan.Running {
	t.Helper()
	p, errs, _ := plan.For(unchanged(), plan.Running{DrainProxy: plan.DrainProxy{Image: image, Token: liveToken}})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	data, err := json.Marshal(p.Deployment)
	if err != nil {
		t.Fatal(err)
	}
	r := plan.Running{Deployment: &appsv1.Deployment{}, DrainProxy: plan.DrainProxy{Image: "proxy:new", Token: newToken}}
	if err := json.Unmarshal(data, r.Deployment); err != nil {
		t.Fatal(err)
	}
	for _, m := range modify {
		m(&r)
	}
	return r
}

// sidecarOf returns the drain sidecar of a plan, nil if it has none.
func sidecarOf(p plan.Plan) *corev1ac.ContainerApplyConfiguration {
	all := p.Deployment.Spec.Template.Spec.InitContainers
	i := slices.IndexFunc(all, func(c corev1ac.ContainerApplyConfiguration) bool { return *c.Name == "graceful-drain" })
	if i < 0 {
		return nil
	}
	return &all[i]
}

func TestImageOfTheDrainSidecar(t *testing.T) {
	edited := func(r *plan.Running) { r.Deployment.Spec.Template.Spec.InitContainers[0].Image = "proxy:edited" }
	without := func(r *plan.Running) { r.Deployment.Spec.Template.Spec.InitContainers = nil }
	applied := func(r *plan.Running) {
		r.Applied = func() *appsv1ac.DeploymentApplyConfiguration {
			sidecar := corev1ac.Container().WithName("graceful-drain").WithImage("proxy:applied")
			return appsv1ac.Deployment("hello", "").WithSpec(appsv1ac.DeploymentSpec().WithTemplate(
				corev1ac.PodTemplateSpec().WithSpec(corev1ac.PodSpec().WithInitContainers(sidecar))))
		}
	}
	tests := []struct {
		name      string
		app       *v1alpha1.GracefulApp
		running   plan.Running
		want      string
		available string
	}{
		{name: "a new app", app: unchanged(), running: plan.Running{DrainProxy: drainProxy}, want: drainProxy.Image},
		{name: "a newer operator", app: unchanged(recorded("proxy:1")), running: running(t, "proxy:1"), want: "proxy:1", available: "proxy:new"},
		{name: "adopted again", app: unchanged(), running: running(t, "proxy:1"), want: "proxy:1", available: "proxy:new"},
		{name: "an operator without an image", app: unchanged(recorded("proxy:1")), want: "proxy:1",
			running: running(t, "proxy:1", func(r *plan.Running) { r.DrainProxy.Image = "" })},
		{name: "the Deployment was deleted", app: unchanged(recorded("proxy:1")), running: plan.Running{DrainProxy: drainProxy}, want: "proxy:1",
			available: drainProxy.Image},
		{name: "another client has edited the image", app: unchanged(recorded("proxy:1")), running: running(t, "proxy:1", edited), want: "proxy:1",
			available: "proxy:new"},
		{name: "the status is older than the Deployment", app: unchanged(recorded("proxy:1")), running: running(t, "proxy:applied", applied),
			want: "proxy:applied", available: "proxy:new"},
		{name: "switched on", app: unchanged(), running: running(t, "proxy:1", without), want: "proxy:new"},
		{name: "the owner asks for the new one", app: unchanged(recorded("proxy:1"), asked("proxy:new")), running: running(t, "proxy:1"), want: "proxy:new"},
		{name: "the owner asks for a mirror", app: unchanged(recorded("proxy:1"), asked("mirror/proxy:1")), running: running(t, "proxy:1"),
			want: "mirror/proxy:1", available: "proxy:new"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, _ := plan.For(tt.app, tt.running)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			if got := *sidecarOf(p).Image; got != tt.want || p.Drain.Image != tt.want {
				t.Errorf("image %s, in the status %s, want %s", got, p.Drain.Image, tt.want)
			}
			if p.Drain.AvailableImage != tt.available {
				t.Errorf("available image %q, want %q", p.Drain.AvailableImage, tt.available)
			}
			if says := strings.Contains(p.Drain.Message, tt.available+" --overwrite"); says != (tt.available != "") {
				t.Errorf("message %q with the available image %q", p.Drain.Message, tt.available)
			}
		})
	}
}

// A new operator makes the same Deployment as the one that made the live one: it restarts no pod.
func TestANewOperatorKeepsTheDrainSidecar(t *testing.T) {
	first, _, _ := plan.For(unchanged(), plan.Running{DrainProxy: plan.DrainProxy{Image: "proxy:1", Token: liveToken}})
	second, errs, _ := plan.For(unchanged(), running(t, "proxy:1"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if diff := cmp.Diff(first.Deployment, second.Deployment); diff != "" {
		t.Errorf("(-first +second):\n%s", diff)
	}
}

func TestPodsWithoutTheDrainSidecar(t *testing.T) {
	status := func(replicas, updated int32) func(*plan.Running) {
		return func(r *plan.Running) {
			r.Deployment.Status = appsv1.DeploymentStatus{Replicas: replicas, UpdatedReplicas: updated}
		}
	}
	without := func(r *plan.Running) { r.Deployment.Spec.Template.Spec.InitContainers = nil }
	missing := func(n int32) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) {
			app.Status.Drain = &v1alpha1.DrainStatus{Image: "proxy:1", PodsWithoutSidecar: n}
		}
	}
	paused := func(app *v1alpha1.GracefulApp) { app.Spec.Paused = new(true) }
	tests := []struct {
		name    string
		app     *v1alpha1.GracefulApp
		running plan.Running
		want    int32
	}{
		{name: "a new app", app: unchanged(), running: plan.Running{DrainProxy: drainProxy}, want: 0},
		{name: "switched on, not applied yet", app: unchanged(), running: running(t, "proxy:1", status(3, 3), without), want: 3},
		{name: "in the rollout", app: unchanged(missing(3)), running: running(t, "proxy:1", status(4, 1)), want: 3},
		{name: "before the Deployment controller has seen it", app: unchanged(missing(3)), want: 3,
			running: running(t, "proxy:1", status(3, 3), func(r *plan.Running) { r.Deployment.Generation++ })},
		{name: "rolled out", app: unchanged(missing(1)), running: running(t, "proxy:1", status(3, 3)), want: 0},
		{name: "paused since it was switched on", app: unchanged(missing(0), paused), running: running(t, "proxy:1", status(2, 0)), want: 2},
		{name: "in a later rollout", app: unchanged(missing(0)), running: running(t, "proxy:1", status(4, 1)), want: 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, _ := plan.For(tt.app, tt.running)
			if len(errs) > 0 || p.Drain.PodsWithoutSidecar != tt.want {
				t.Errorf("%v, %v, want %d pods", p.Drain, errs, tt.want)
			}
		})
	}
}

// A port that another client adds to a container takes the requests from the sidecar.
func TestABypassOfTheDrainSidecarIsSeen(t *testing.T) {
	r := running(t, "proxy:1")
	if p, _, _ := plan.For(unchanged(), r); p.DrainBypass != "" {
		t.Errorf("the derived Deployment: %s", p.DrainBypass)
	}
	pod := &r.Deployment.Spec.Template.Spec
	pod.Containers = append(pod.Containers, corev1.Container{Name: "injected", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 15000}}})
	if p, _, _ := plan.For(unchanged(), r); !strings.Contains(p.DrainBypass, `container "injected" of Deployment hello a port named "http"`) {
		t.Errorf("bypass %q", p.DrainBypass)
	}
}

func TestADrainSidecarWhileTheServiceTargetsANumber(t *testing.T) {
	bySidecar := func(app *v1alpha1.GracefulApp) {
		app.Spec.Drain = &v1alpha1.DrainSpec{Mode: v1alpha1.DrainModeSidecar}
		testapp.Container(app).Lifecycle = nil
	}
	proxy := func(r *plan.Running) { r.DrainProxy = drainProxy }
	owned := func(r *plan.Running) {
		owner := []metav1.OwnerReference{{UID: adopting().UID, Controller: new(true)}}
		r.Deployment.OwnerReferences, r.Service.OwnerReferences = owner, owner
	}
	name := func(r *plan.Running) {
		r.Service.Spec.Ports[0].TargetPort = intstr.FromString("http")
		r.Deployment.Spec.Template.Spec.Containers[0].Ports[0].Name = "http"
	}
	drained := func(r *plan.Running) {
		r.Deployment.Annotations = map[string]string{v1alpha1.AnnotationDerivation: "2"}
		pod := &r.Deployment.Spec.Template.Spec
		pod.InitContainers = running(t, "proxy:1").Deployment.Spec.Template.Spec.InitContainers
	}
	for _, tt := range []struct {
		name    string
		running plan.Running
		refused bool
	}{
		{name: "adopted with a number", running: live(proxy), refused: true},
		{name: "the handover is not finished", running: live(proxy, owned), refused: true},
		{name: "adopted with a name", running: live(proxy, name), refused: false},
		{name: "another client wrote the number later", running: live(proxy, owned, drained), refused: false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, _ := plan.For(adopting(bySidecar), tt.running)
			if refused := len(errs) > 0; refused != tt.refused {
				t.Fatalf("refused: %v, want %v: %v", refused, tt.refused, errs)
			}
			if tt.refused {
				if errs[0].Field != "spec.drain.mode" {
					t.Error(errs)
				}
				return
			}
			if got := *p.Service.Spec.Ports[0].TargetPort; got != intstr.FromString("http") {
				t.Errorf("the Service targets %s", got.String())
			}
		})
	}
}

// An app that was deleted with --cascade=orphan adopts its objects again in each mode. The old pods keep the port's name at the sidecar.
func TestAdoptionOfADrainSidecar(t *testing.T) {
	byName := onService(func(s *corev1.ServiceSpec) { s.Ports[0].TargetPort = intstr.FromString("http") })
	drained := func(r *plan.Running) {
		pod := &r.Deployment.Spec.Template.Spec
		pod.InitContainers = running(t, "proxy:1").Deployment.Spec.Template.Spec.InitContainers
		pod.Containers[0].Ports[0].Name = "app-18080"
		r.DrainProxy = plan.DrainProxy{Image: "proxy:new", Token: newToken}
	}
	for _, drain := range []*v1alpha1.DrainSpec{nil, {Mode: v1alpha1.DrainModeSidecar}} {
		p, errs, _ := plan.For(adopting(func(app *v1alpha1.GracefulApp) {
			app.Spec.Drain = drain
			testapp.Container(app).Lifecycle = nil
		}), live(byName, drained))
		if len(errs) > 0 {
			t.Fatalf("%+v: %v", drain, errs)
		}
		if got := *p.Service.Spec.Ports[0].TargetPort; got != intstr.FromString("http") {
			t.Errorf("%+v: the Service targets %s", drain, got.String())
		}
		if s := sidecarOf(p); drain != nil && (*s.Image != "proxy:1" || *s.Env[0].Value != liveToken) {
			t.Errorf("the sidecar has another image or token: %+v", s)
		}
	}
}

func TestRefusedDrain(t *testing.T) {
	set := func(set func(*v1alpha1.GracefulAppSpec)) testapp.Modifier {
		return func(app *v1alpha1.GracefulApp) { set(&app.Spec) }
	}
	for _, tt := range []struct {
		name   string
		app    *v1alpha1.GracefulApp
		image  string
		errors []string
	}{
		{name: "valid", app: unchanged(), image: "proxy:1"},
		{name: "no image", app: unchanged(), errors: []string{"--drain-proxy-image"}},
		{name: "an image from the owner", app: unchanged(asked("mirror/proxy:1"))},
		{name: "an empty image from the owner", app: unchanged(asked(" ")), image: "proxy:1", errors: []string{"leave the annotation out"}},
		{name: "an older derivation version", image: "proxy:1", errors: []string{"needs derivation version 2"}, app: unchanged(func(app *v1alpha1.GracefulApp) {
			app.Annotations = map[string]string{v1alpha1.AnnotationDerivation: "1"}
		})},
		{name: "settings without the mode", errors: []string{"spec.timing.exitSeconds", "spec.drain.sidecar"},
			app: testapp.New(set(func(s *v1alpha1.GracefulAppSpec) {
				s.Timing.ExitSeconds, s.Drain = new(int32(3)), &v1alpha1.DrainSpec{Mode: v1alpha1.DrainModeHook, Sidecar: &v1alpha1.DrainSidecar{}}
			}))},
		{name: "Windows", app: unchanged(set(func(s *v1alpha1.GracefulAppSpec) { s.Template.Spec.OS = &corev1.PodOS{Name: corev1.Windows} })), image: "proxy:1",
			errors: []string{"asks for Windows"}},
		{name: "Windows nodes", app: unchanged(set(func(s *v1alpha1.GracefulAppSpec) {
			s.Template.Spec.NodeSelector = map[string]string{corev1.LabelOSStable: "windows"}
		})), image: "proxy:1", errors: []string{"asks for Windows"}},
		{name: "headless", image: "proxy:1", errors: []string{"clients of a headless Service"}, app: unchanged(set(func(s *v1alpha1.GracefulAppSpec) {
			s.Service = service(corev1.ServicePort{Name: "http", Port: 80})
			s.Service.Spec.ClusterIP = corev1.ClusterIPNone
		}))},
		{name: "gRPC without appProtocol", image: "proxy:1", errors: []string{"appProtocol kubernetes.io/h2c or grpc"}, app: unchanged(set(func(s *v1alpha1.GracefulAppSpec) {
			s.Template.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: 8080}}}
		}))},
		{name: "the proxy of a mesh", image: "proxy:1", errors: []string{"exclude the pods from the mesh"}, app: unchanged(set(func(s *v1alpha1.GracefulAppSpec) {
			s.Template.Annotations = map[string]string{"linkerd.io/inject": "ingress"}
		}))},
		{name: "UDP", image: "proxy:1", errors: []string{"forwards HTTP only"}, app: unchanged(set(func(s *v1alpha1.GracefulAppSpec) {
			s.Template.Spec.Containers[0].Ports = append(s.Template.Spec.Containers[0].Ports, corev1.ContainerPort{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP})
			s.Service = service(corev1.ServicePort{Name: "http", Port: 80}, corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP, TargetPort: intstr.FromString("dns")})
		}))},
		{name: "a native sidecar that serves", image: "proxy:1", errors: []string{"targets a native sidecar"}, app: unchanged(set(func(s *v1alpha1.GracefulAppSpec) {
			s.Template.Spec.InitContainers = []corev1.Container{{
				Name: "front", Image: "front:1", RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Ports: []corev1.ContainerPort{{Name: "front", ContainerPort: 8000}},
			}}
			s.Service = service(corev1.ServicePort{Name: "http", Port: 80, TargetPort: intstr.FromString("front")})
		}))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, errs, _ := plan.For(tt.app, plan.Running{DrainProxy: plan.DrainProxy{Image: tt.image, Token: "T"}})
			if len(errs) != len(tt.errors) {
				t.Fatalf("%d errors, want %d: %v", len(errs), len(tt.errors), errs)
			}
			for i, want := range tt.errors {
				if !strings.Contains(errs[i].Error(), want) {
					t.Errorf("%v\ndoes not say %q", errs[i], want)
				}
			}
		})
	}
}

// A server with the package drain does not start if its longest request takes longer than its shutdown.
func TestTimesOfAServerBehindTheDrainSidecar(t *testing.T) {
	p, errs, _ := plan.For(unchanged(func(app *v1alpha1.GracefulApp) { app.Spec.Timing.RequestSeconds = 10 }), plan.Running{DrainProxy: drainProxy})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	times := map[string]string{}
	for _, e := range p.Deployment.Spec.Template.Spec.Containers[0].Env {
		times[*e.Name] = *e.Value
	}
	want := map[string]string{"GRACEFUL_SHUTDOWN_SEC": "5", "GRACEFUL_PRESTOP_SEC": "5", "GRACEFUL_TERMINATION_SEC": "40"}
	if diff := cmp.Diff(want, times); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An app server behind a proxy is needed until the last request has ended, so it gets the sidecar's hook too.
func TestEachContainerWaitsForTheDrain(t *testing.T) {
	own := &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"flush"}}}
	app := unchanged(func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.Containers = append(app.Spec.Template.Spec.Containers, corev1.Container{Name: "php", Image: "php:8"},
			corev1.Container{Name: "agent", Image: "agent:1", Lifecycle: &corev1.Lifecycle{PreStop: own}})
	})
	p, errs, warnings := plan.For(app, plan.Running{DrainProxy: drainProxy})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	for i, path := range []string{"/drain?port=8080", "/drained", ""} {
		hook := p.Deployment.Spec.Template.Spec.Containers[i].Lifecycle.PreStop
		if got := hook.HTTPGet; (got == nil) != (path == "") || got != nil && *got.Path != path {
			t.Errorf("container %d: hook %+v, want %q", i, hook, path)
		}
	}
	if !slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, `container "agent" has a preStop hook of its own`) }) {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestADrainSidecarBehindAServiceThatStaysHeadless(t *testing.T) {
	app := unchanged()
	_, errs, _ := plan.For(app, plan.Running{DrainProxy: drainProxy, Service: &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Name: app.Name, Namespace: app.Namespace,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(app, v1alpha1.GroupVersion.WithKind("GracefulApp"))},
		},
		Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone},
	}})
	if len(errs) != 1 || !strings.Contains(errs[0].Detail, "Service hello stays headless; delete it first: kubectl annotate service hello") {
		t.Errorf("%v, want an error that says how to delete the Service", errs)
	}
}

// Clusters such as OpenShift assign a user to the pods, and reject a pod that names another one.
func TestUserOfTheDrainSidecar(t *testing.T) {
	for name, tt := range map[string]struct{ pods, want *int64 }{
		"the image's or the cluster's": {}, "the pod's": {pods: new(int64(1000))}, "not root": {pods: new(int64(0)), want: new(int64(65532))},
	} {
		p, errs, _ := plan.For(unchanged(func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: tt.pods}
		}), plan.Running{DrainProxy: drainProxy})
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if diff := cmp.Diff(tt.want, sidecarOf(p).SecurityContext.RunAsUser); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
