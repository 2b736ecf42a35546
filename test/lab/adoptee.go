package lab

import (
	"cmp"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const (
	helloPort, secondPort = 8080, 8081
	// derivedPortName is the name that the operator gives to a serving port without a name.
	derivedPortName = "http"
)

// adoptee is a Deployment with its Service before a GracefulApp adopts them, and the differences in the GracefulApp.
type adoptee struct {
	name, title string
	control     bool
	// before and after are the names of the container port in the Deployment and in the GracefulApp; "" means no name.
	before, after string
	// service has no selector. A named targetPort is the name before the adoption.
	service corev1.ServiceSpec
	// second adds a second container, which serves on secondPort.
	second bool
}

// portAdoptees cover the ways in which a Service targets a port, and the types of Services.
func portAdoptees() []adoptee {
	numeric := []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(helloPort)}}
	return []adoptee{
		{name: "named", title: "named port, ClusterIP", before: "http", after: "http", service: corev1.ServiceSpec{
			Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
		}},
		{name: "unnamed", title: "unnamed port, NodePort", service: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: numeric}},
		{name: "renamed", title: "port renamed, session affinity", before: "web", after: "http", service: corev1.ServiceSpec{
			SessionAffinity: corev1.ServiceAffinityClientIP,
			Ports:           []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("web")}},
		}},
		{name: "balanced", title: "unnamed port, LoadBalancer", after: "http", service: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Ports: numeric,
		}},
		{name: "headless", title: "unnamed port, headless", service: corev1.ServiceSpec{
			ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Port: helloPort}},
		}},
		{name: "two-ports", title: "two unnamed ports", second: true, service: corev1.ServiceSpec{Ports: []corev1.ServicePort{
			{Name: "first", Port: 80, TargetPort: intstr.FromInt32(helloPort)},
			{Name: "second", Port: 81, TargetPort: intstr.FromInt32(secondPort)},
		}}},
	}
}

// unnamedAdoptee returns the usual adoptee: the Service targets a port number, and the container port has no name.
func unnamedAdoptee(name, title string) adoptee {
	return adoptee{name: name, title: title, service: corev1.ServiceSpec{
		Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(helloPort)}},
	}}
}

func controlAdoptee(title string) adoptee {
	a := unnamedAdoptee("control", title)
	a.control = true
	return a
}

// portSuite has all portAdoptees and a control. The control is adopted too, and renameTarget changes its Service as an older operator did.
func portSuite() suite {
	var workloads []*workload
	for _, a := range append(portAdoptees(), controlAdoptee("Service targets the new name at once")) {
		workloads = append(workloads, a.workload())
	}
	return adoptSuite(workloads...)
}

// autoscaledSuite has an adoptee with an autoscaler. The control is a plain Deployment as simple tutorials write it.
func autoscaledSuite() suite {
	return adoptSuite(unnamedAdoptee("autoscaled", "adopted, with an autoscaler").workload(), &workload{
		name: "control", share: 1, title: "scaled 4 -> 2 -> 4", control: true, build: naive,
	})
}

func prunedSuite() suite {
	return adoptSuite(unnamedAdoptee("kept", "adopted, protected").workload(), controlAdoptee("adopted, deletion allowed").workload())
}

func (a adoptee) workload() *workload {
	return &workload{
		name: a.name, title: a.title, share: 1, control: a.control, probed: true, drainAware: true, build: a.build, app: a.app, targets: a.targets(),
	}
}

// oldGraceSeconds is the default of Kubernetes. It is long enough for hello's drain and shutdown.
const oldGraceSeconds = 30

// build returns the Deployment, its Service and a PodDisruptionBudget. The old pods shut down gracefully too, so they lose no request in a rollout.
func (a adoptee) build(w *workload, p profile, image string) []client.Object {
	d := w.deployment(a.container(p, image, a.before))
	if a.second {
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, a.secondContainer(p, image, ""))
	}
	d.Spec.Template.Spec.TerminationGracePeriodSeconds = new(int64(oldGraceSeconds))
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: w.name}, Spec: *a.service.DeepCopy()}
	s.Spec.Selector = w.podLabels()
	return []client.Object{d, s, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: policyv1.PodDisruptionBudgetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: w.podLabels()}, MaxUnavailable: new(intstr.FromInt32(1)),
		},
	}}
}

// app returns the GracefulApp as docs/how-to/adopt.md tells the user to write it: with the template and the existing Service.
func (a adoptee) app(w *workload, p profile, image string) *v1alpha1.GracefulApp {
	containers := []corev1.Container{a.container(p, image, a.after)}
	if a.second {
		containers = append(containers, a.secondContainer(p, image, "second"))
	}
	service := *a.service.DeepCopy()
	for i, port := range service.Ports {
		if port.TargetPort.Type == intstr.String {
			service.Ports[i].TargetPort = intstr.FromString(a.after)
		}
	}
	app := &v1alpha1.GracefulApp{
		ObjectMeta: metav1.ObjectMeta{Name: w.name},
		Spec: v1alpha1.GracefulAppSpec{
			Replicas: new(int32(2)),
			Selector: &v1alpha1.Selector{MatchLabels: w.podLabels()},
			Timing:   p.timing(),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: w.podLabels()},
				Spec:       corev1.PodSpec{Containers: containers},
			},
			Service: &v1alpha1.ServiceTemplate{Spec: service},
		},
	}
	app.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "true"}
	return app
}

// targets returns the names of the container ports that the Service targets after the rollout.
func (a adoptee) targets() []string {
	names := []string{cmp.Or(a.after, derivedPortName)}
	if a.second {
		names = append(names, "second")
	}
	return names
}

func (a adoptee) container(p profile, image, portName string) corev1.Container {
	return withPort(hello(p, image), portName, helloPort)
}

func (a adoptee) secondContainer(p profile, image, portName string) corev1.Container {
	c := withPort(hello(p, image), portName, secondPort)
	c.Name = "second"
	c.Env = append(c.Env, corev1.EnvVar{Name: "PORT", Value: strconv.Itoa(secondPort)})
	return c
}

// withPort gives the container a port, and probes and a drain hook that use the number of the port.
func withPort(c corev1.Container, portName string, number int32) corev1.Container {
	get := func(path string) *corev1.HTTPGetAction {
		return &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(number)}
	}
	c.Ports = []corev1.ContainerPort{{Name: portName, ContainerPort: number}}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/readyz")}, PeriodSeconds: 2}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/livez")}, InitialDelaySeconds: 30}
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: get("/drain")}}
	return c
}
