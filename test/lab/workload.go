package lab

import (
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

const (
	namespace = "graceful-lab"
	// workloadLabel is on the pods of every workload.
	workloadLabel = "lab.gracefulapp.dev/workload"
	// headlessSuffix is the suffix of the name of the headless Service through which HAProxy finds the pods.
	headlessSuffix = "-endpoints"
)

// profile has the times of the workloads, from which the operator derives the timing.
type profile struct {
	name           string
	startSeconds   int32
	requestSeconds int32 // longest request
	// explicit has the times that are set instead of derived.
	explicit *v1alpha1.TimingSpec
}

var (
	short = profile{name: "short", startSeconds: 5, requestSeconds: 1}
	// defaultGrace has a t1 and a t2 that fit into the default grace period.
	defaultGrace = profile{name: "default grace", startSeconds: 25, requestSeconds: 5, explicit: &v1alpha1.TimingSpec{
		ShutdownSeconds: new(int32(20)), PreStopSeconds: new(int32(5)), TerminationGracePeriodSeconds: new(int32(30)),
	}}
	// longPreStop has a t2 that is longer than a restart of the API server. It took 18 s on a slow day, and 8 s more until kube-proxy had removed the
	// terminated pods.
	longPreStop = profile{name: "long preStop", startSeconds: 5, requestSeconds: 1, explicit: &v1alpha1.TimingSpec{PreStopSeconds: new(int32(45))}}
)

func (p profile) timing() v1alpha1.TimingSpec {
	t := v1alpha1.TimingSpec{}
	if p.explicit != nil {
		t = *p.explicit
	}
	t.StartupSeconds, t.RequestSeconds = p.startSeconds, p.requestSeconds
	return t
}

// workload is an application under load.
type workload struct {
	name, title string
	// managed means that it is a GracefulApp. Otherwise it is a plain Deployment.
	managed bool
	// control means that it must lose requests; otherwise the scenario proves nothing.
	control bool
	// mustLose is a row of docs/failure-modes.md by which the control must lose requests, and prevents are rows by which it must lose none. They are set
	// for the steps of the tutorial.
	mustLose string
	prevents []string
	// lossless means that it must lose no request, like a GracefulApp, although it may be a plain Deployment.
	lossless bool
	// probed means that it has a readiness probe. Without one, the lab waits for the start time.
	probed bool
	// drainAware means that its preStop hook makes the server close keep-alive connections gracefully.
	drainAware bool
	// sidecar means that a drain sidecar forwards the requests to a server that exits at SIGTERM.
	sidecar bool
	// grpc means that it serves gRPC only.
	grpc bool
	port int32 // of the proxies, for this workload
	// share is the workload's share of the clients' rates. The drain-aware app gets most, because its promise is the largest.
	share float64
	build func(w *workload, p profile, image string) []client.Object
	// app returns the GracefulApp that adopts the objects of build; nil means no adoption. The workload is managed after that.
	app func(w *workload, p profile, image string) *v1alpha1.GracefulApp
	// targets are the names of the container ports that the Service of an adopted workload targets after the rollout.
	targets []string

	generation int64 // of its last change
	replicas   int32 // as of the last refresh
}

// suite is a set of workloads that run at once, with the clients that send to them.
type suite struct {
	workloads []*workload // in the order of the report
	clients   []clientKind
	profile   profile // of the workloads at the beginning
	pace      float64 // share of the clients' rates
	ledger    bool    // the servers log the requests that they finish
	proxies   bool    // some clients send through proxies
}

// helloSuite returns the usual suite: one server, deployed in five ways.
func helloSuite() suite {
	return suite{workloads: helloWorkloads(), clients: helloClients, profile: short, ledger: true, proxies: true}
}

// quick returns the suite with the drain-aware app, the drain sidecar and the control.
func (s suite) quick() suite {
	s.workloads = slices.DeleteFunc(s.workloads, func(w *workload) bool { return !w.drainAware && !w.control })
	return s
}

// copied returns the suite with workloads of its own.
func (s suite) copied() suite {
	s.workloads = slices.Clone(s.workloads)
	for i, w := range s.workloads {
		s.workloads[i] = new(*w)
	}
	return s
}

// index returns the index of the named workload, or -1.
func (s suite) index(name string) int {
	return slices.IndexFunc(s.workloads, func(w *workload) bool { return w.name == name })
}

// only returns the suite with one workload and the controls.
func (s suite) only(name string) suite {
	s.workloads = slices.DeleteFunc(s.workloads, func(w *workload) bool { return w.name != name && !w.control })
	return s
}

// byKind returns the Deployments and the GracefulApps of the suite.
func (s suite) byKind() (plain, managed []*workload) {
	for _, w := range s.workloads {
		if w.managed {
			managed = append(managed, w)
		} else {
			plain = append(plain, w)
		}
	}
	return plain, managed
}

// drainAwareName is the name of the workload to which GracefulApp promises most.
const drainAwareName = "aware"

// sidecarName is the name of the workload with a server that knows nothing of draining.
const sidecarName = "sidecar"

func helloWorkloads() []*workload {
	return []*workload{
		{name: drainAwareName, share: 1, title: "GracefulApp, drain-aware", managed: true, probed: true, drainAware: true, port: 8081, build: managed},
		{name: sidecarName, share: 0.3, title: "GracefulApp, unchanged server with the drain sidecar", managed: true, probed: true, drainAware: true,
			sidecar: true, port: 8085, build: managed},
		{name: "sleep", share: 0.3, title: "GracefulApp, plain sleep hook", managed: true, probed: true, port: 8082, build: managed},
		{name: "recipe", share: 0.3, title: "Deployment, usual best practice", probed: true, port: 8083, build: recipe},
		{name: "naive", share: 0.3, title: "Deployment, simple tutorial", control: true, port: 8084, build: naive},
	}
}

func (w *workload) podLabels() map[string]string { return map[string]string{workloadLabel: w.name} }

func get(path string) *corev1.HTTPGetAction {
	return &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}
}

// hello returns the container that all workloads run.
func hello(p profile, image string) corev1.Container {
	return corev1.Container{
		Name: "hello", Image: image,
		Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
		Env: []corev1.EnvVar{
			{Name: "STARTUP_SEC", Value: strconv.Itoa(int(p.startSeconds))},
			{Name: "REQUEST_SEC", Value: strconv.Itoa(int(p.requestSeconds))},
			singleProcessor,
		},
		Resources: requesting(serverCPU),
	}
}

func withProbes(c corev1.Container) corev1.Container {
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/readyz")}}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/livez")}}
	return c
}

// withDrainHook adds a preStop hook that calls the drain endpoint, on a port that the Service does not target.
func withDrainHook(c corev1.Container) corev1.Container {
	c.Env = append(c.Env, corev1.EnvVar{Name: "ADMIN_PORT", Value: "8081"})
	c.Ports = append(c.Ports, corev1.ContainerPort{Name: "admin", ContainerPort: 8081})
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: "/drain", Port: intstr.FromString("admin")},
	}}
	return c
}

// closingAtSigterm makes the server close its listener at SIGTERM, as most servers do.
func closingAtSigterm(c corev1.Container) corev1.Container {
	c.Env = append(c.Env, corev1.EnvVar{Name: "LATE_CONNECTIONS", Value: "refused"})
	return c
}

func managed(w *workload, p profile, image string) []client.Object {
	c := withProbes(hello(p, image))
	app := w.gracefulApp(p, closingAtSigterm(c))
	switch {
	case w.sidecar:
		app = w.behindSidecar(p, c, exitsAtSIGTERM)
	case w.drainAware:
		app = w.gracefulApp(p, withDrainHook(c))
	}
	return []client.Object{app, w.headless()}
}

func (w *workload) gracefulApp(p profile, c corev1.Container) *v1alpha1.GracefulApp {
	return &v1alpha1.GracefulApp{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: v1alpha1.GracefulAppSpec{
			Replicas: new(int32(1)),
			Timing:   p.timing(),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: w.podLabels()},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{c}},
			},
			Service: &v1alpha1.ServiceTemplate{Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Name: "http", Port: 80}},
			}},
		},
	}
}

// Environment of the server for one that knows nothing of draining.
var (
	exitsAtSIGTERM = corev1.EnvVar{Name: "AT_SIGTERM", Value: "exit"}
	ignoresSIGTERM = corev1.EnvVar{Name: "AT_SIGTERM", Value: "ignore"}
)

// behindSidecar returns the GracefulApp of a server that knows nothing of draining, with the drain sidecar.
func (w *workload) behindSidecar(p profile, c corev1.Container, atSIGTERM corev1.EnvVar) *v1alpha1.GracefulApp {
	c.Env = append(c.Env, atSIGTERM)
	app := w.gracefulApp(p, c)
	app.Spec.Timing.TerminationGracePeriodSeconds = nil                   // the sidecar needs more
	app.Spec.Service.Spec.Ports[0].AppProtocol = new("kubernetes.io/h2c") // one of the clients uses it
	app.Spec.Drain = &v1alpha1.DrainSpec{Mode: v1alpha1.DrainModeSidecar, Sidecar: &v1alpha1.DrainSidecar{
		Resources: &v1alpha1.DrainResources{Requests: requesting(serverCPU).Requests},
	}}
	return app
}

// recipe returns a Deployment as articles about zero downtime recommend: with probes, a preStop sleep, the default grace period, maxUnavailable 0 and a
// disruption budget.
func recipe(w *workload, p profile, image string) []client.Object {
	c := closingAtSigterm(withProbes(hello(p, image)))
	c.ReadinessProbe.PeriodSeconds = 5
	c.StartupProbe = &corev1.Probe{ProbeHandler: c.LivenessProbe.ProbeHandler, PeriodSeconds: 1, FailureThreshold: 2*p.startSeconds + 10}
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
	d := w.deployment(c)
	d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
		MaxUnavailable: new(intstr.FromInt32(0)), MaxSurge: new(intstr.FromInt32(1)),
	}}
	return []client.Object{d, w.service(), w.headless(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: w.podLabels()}, MaxUnavailable: new(intstr.FromInt32(1)),
		},
	}}
}

// naive returns a Deployment as simple tutorials show it: without probes and without a preStop hook.
func naive(w *workload, p profile, image string) []client.Object {
	return []client.Object{w.deployment(closingAtSigterm(hello(p, image))), w.service(), w.headless()}
}

func (w *workload) deployment(c corev1.Container) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: w.podLabels()},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: w.podLabels()},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{c}},
			},
		},
	}
}

func (w *workload) service() *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: w.name}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, Selector: w.podLabels(),
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
	}}
}

// podPort returns the port at which clients that know the pods' addresses find the server.
func (w *workload) podPort() int32 {
	if w.sidecar {
		return 18080 // the first port of the sidecar
	}
	return 8080
}

func (w *workload) headless() *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: w.name + headlessSuffix}, Spec: corev1.ServiceSpec{
		ClusterIP: corev1.ClusterIPNone, Selector: w.podLabels(),
		Ports: []corev1.ServicePort{{Name: "http", Port: w.podPort(), TargetPort: intstr.FromString("http")}},
	}}
}

// timing returns the times that the workload's pods have, from the pod template of the Deployment.
func timing(p profile, template corev1.PodTemplateSpec) report.Timing {
	t := report.Timing{StartupSeconds: p.startSeconds, ShutdownSeconds: helloShutdownSeconds}
	if grace := template.Spec.TerminationGracePeriodSeconds; grace != nil {
		t.TerminationGrace = int32(*grace)
	}
	c := template.Spec.Containers[0]
	for _, e := range c.Env {
		n, err := strconv.Atoi(e.Value)
		switch {
		case err != nil:
		case e.Name == "GRACEFUL_SHUTDOWN_SEC":
			t.ShutdownSeconds = int32(n)
		case e.Name == "GRACEFUL_PRESTOP_SEC":
			t.PreStopSeconds = int32(n)
		}
	}
	switch {
	case c.Lifecycle == nil || c.Lifecycle.PreStop == nil:
		t.PreStopSeconds = 0
	case c.Lifecycle.PreStop.Sleep != nil:
		t.PreStopSeconds = int32(c.Lifecycle.PreStop.Sleep.Seconds)
	}
	return t
}

// helloShutdownSeconds is the default of hello for t1.
const helloShutdownSeconds = 20
