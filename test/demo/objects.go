package main

import (
	"net"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	namespace  = "graceful-demo"
	appName    = "hello"
	plainName  = "hello-naive"
	plainLabel = "app"

	startSeconds   = 5 // simulated start of hello
	requestSeconds = 1 // duration of a slow request
	startReplicas  = 2
)

// Load on each workload in requests per second, over all generators. 240 per second make 20,000 requests in 85 s without overloading two cores.
const (
	slowRate        = 80  // requests of requestSeconds, each on a new connection
	keepAliveRate   = 160 // requests on keep-alive connections, answered at once
	ratePerWorkload = slowRate + keepAliveRate
	connections     = 20 // keep-alive connections of a generator to a workload
)

// CPU requests guarantee CPU time to the pods on a busy node. The generators have one too; otherwise the servers would take their CPU time. The
// requests of ten servers, two generators and the cluster's own pods fit on one core.
const (
	serverCPU    = "50m"
	generatorCPU = "100m"
)

func requesting(cpu string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
}

func labels() map[string]string { return map[string]string{testbed.PartOfLabel: namespace} }

// helloContainer returns the container that both workloads run. gracefulApp adds the probes and the preStop hook.
func helloContainer(image string) corev1.Container {
	return corev1.Container{
		Name:  "hello",
		Image: image,
		Env: []corev1.EnvVar{
			{Name: "STARTUP_SEC", Value: strconv.Itoa(startSeconds)},
			{Name: "REQUEST_SEC", Value: strconv.Itoa(requestSeconds)},
			{Name: "ADMIN_PORT", Value: "8081"},
		},
		Ports: []corev1.ContainerPort{
			{Name: "http", ContainerPort: 8080},
			{Name: "admin", ContainerPort: 8081}, // for the preStop hook; the Service does not target it
		},
		Resources: requesting(serverCPU),
	}
}

func gracefulApp(image string) *v1alpha1.GracefulApp {
	c := helloContainer(image)
	get := func(path string) *corev1.HTTPGetAction {
		return &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("http")}
	}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/readyz")}}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get("/livez")}}
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
		HTTPGet: &corev1.HTTPGetAction{Path: "/drain", Port: intstr.FromString("admin")},
	}}
	return &v1alpha1.GracefulApp{
		ObjectMeta: metav1.ObjectMeta{Name: appName, Namespace: namespace, Labels: labels()},
		Spec: v1alpha1.GracefulAppSpec{
			Replicas: new(int32(startReplicas)),
			Timing:   v1alpha1.TimingSpec{StartupSeconds: startSeconds, RequestSeconds: requestSeconds},
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{c}}},
		},
	}
}

// rejectedApp returns an app with t3 = t1 + t2: SIGKILL may come at the moment at which the last request ends.
func rejectedApp(image string) *v1alpha1.GracefulApp {
	app := gracefulApp(image)
	app.Name = "too-short"
	app.Spec.Timing = v1alpha1.TimingSpec{
		StartupSeconds: 25, RequestSeconds: 5,
		ShutdownSeconds: new(int32(20)), PreStopSeconds: new(int32(5)), TerminationGracePeriodSeconds: new(int32(25)),
	}
	return app
}

// plainDeployment returns the control: the same image as a simple tutorial deploys it, without probes and without a preStop hook. Its server closes the
// listener at SIGTERM, as most servers do.
func plainDeployment(image string) (*appsv1.Deployment, *corev1.Service) {
	c := helloContainer(image)
	c.Env = append(c.Env, corev1.EnvVar{Name: "LATE_CONNECTIONS", Value: "refused"})
	selector := map[string]string{plainLabel: plainName}
	meta := metav1.ObjectMeta{Name: plainName, Namespace: namespace, Labels: labels()}
	return &appsv1.Deployment{
			ObjectMeta: meta,
			Spec: appsv1.DeploymentSpec{
				Replicas: new(int32(startReplicas)),
				Selector: &metav1.LabelSelector{MatchLabels: selector},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: selector},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{c}},
				},
			},
		}, &corev1.Service{
			ObjectMeta: meta,
			Spec: corev1.ServiceSpec{
				Selector: selector,
				Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(8080)}},
			},
		}
}

// loadgen returns a generator's pod for one node. It sends to the ClusterIPs of both Services: with host names, each new connection would also
// measure the cluster's DNS.
func loadgen(image, node string, share int, appIP, plainIP string) *corev1.Pod {
	var args []string
	for _, workload := range []struct{ name, ip string }{{appName, appIP}, {plainName, plainIP}} {
		url := "http://" + net.JoinHostPort(workload.ip, "80")
		for _, client := range clients {
			target := load.Target{
				Name: workload.name + "/" + string(client.mode), URL: url + client.path, Rate: client.rate / float64(share), Mode: client.mode,
			}
			if client.mode == load.KeepAlive {
				target.Connections = connections
			}
			args = append(args, "--target", target.String())
		}
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "loadgen-", Labels: labels()},
		Spec: corev1.PodSpec{
			NodeSelector:                  map[string]string{corev1.LabelHostname: node},
			RestartPolicy:                 corev1.RestartPolicyNever,
			TerminationGracePeriodSeconds: new(int64(testbed.LoadgenGraceSeconds)),
			EnableServiceLinks:            new(false),
			Containers:                    []corev1.Container{{Name: "loadgen", Image: image, Args: args, Resources: requesting(generatorCPU)}},
		},
	}
}
