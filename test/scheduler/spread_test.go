// Package scheduler lets the real kube-scheduler place the derived pods.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// apps of two pods each. The scheduler chooses among equal nodes at random, so one app proves nothing.
const apps = 30

// cluster is an API server and a scheduler, and nodes without kubelets.
type cluster struct {
	client.WithWatch
}

func TestSpread(t *testing.T) {
	c := startCluster(t)
	t.Run("two zones of three nodes", func(t *testing.T) {
		c.createNodes(t, 3, "large", "64")
		c.createNodes(t, 3, "small", "8") // less free, so that the scheduler has a reason to prefer one zone
		for _, tt := range []struct {
			name        string
			version     int32
			sharesZones bool
		}{
			{name: "by the newest version", version: plan.NewestDerivation},
			{name: "by version 1, the control", version: 1, sharesZones: true},
		} {
			t.Run(tt.name, func(t *testing.T) {
				nodes, zones := c.shared(t, tt.version)
				if nodes != 0 {
					t.Errorf("%d of %d apps have both pods on one node, want 0", nodes, apps)
				}
				if (zones > 0) != tt.sharesZones {
					t.Errorf("%d of %d apps have both pods in one zone, want some: %t", zones, apps, tt.sharesZones)
				}
			})
		}
	})
	t.Run("three nodes without zones", func(t *testing.T) {
		c.createNodes(t, 3, "", "8")
		if nodes, _ := c.shared(t, plan.NewestDerivation); nodes != 0 {
			t.Errorf("%d of %d apps have both pods on one node, want 0", nodes, apps)
		}
	})
}

func startCluster(t *testing.T) cluster {
	t.Helper()
	environment := &envtest.Environment{ControlPlaneStartTimeout: 2 * time.Minute} // a busy machine needs more than the default of 20 s
	config, err := environment.Start()
	t.Cleanup(func() { _ = environment.Stop() })
	if err != nil {
		t.Fatalf("%v; make test sets KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver", err)
	}
	user, err := environment.AddUser(envtest.User{Name: "system:kube-scheduler", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	scheduler := exec.Command(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kube-scheduler"),
		"--kubeconfig", file, "--authentication-kubeconfig", file, "--authorization-kubeconfig", file, "--leader-elect=false", "--secure-port=0")
	if err := scheduler.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = scheduler.Process.Kill()
		_ = scheduler.Wait()
	})
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	api, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return cluster{api}
}

// createNodes creates empty nodes, which are deleted after the test.
func (c cluster) createNodes(t *testing.T, n int, zone, cpu string) {
	t.Helper()
	for i := range n {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("node-%s%d", zone, i)}}
		node.Labels = map[string]string{corev1.LabelHostname: node.Name}
		if zone != "" {
			node.Labels[corev1.LabelTopologyZone] = zone
		}
		if err := c.Create(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := c.Delete(context.Background(), node); err != nil {
				t.Error(err)
			}
		})
		node.Spec.Taints = nil // the admission plugin TaintNodesByCondition adds one, which a controller would remove
		if err := c.Update(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		room := corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: resource.MustParse("500"),
		}
		node.Status = corev1.NodeStatus{Capacity: room, Allocatable: room}
		if err := c.Status().Update(t.Context(), node); err != nil {
			t.Fatal(err)
		}
	}
}

// shared counts the apps that have both pods on one node, and those that have both in one zone.
func (c cluster) shared(t *testing.T, version int32) (nodes, zones int) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "spread-"}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	zoneOf := c.zones(t)
	for i := range apps {
		p := c.planOf(t, fmt.Sprintf("app-%d", i), namespace.Name, version)
		a, b := c.place(t, p), c.place(t, p)
		if a == b {
			nodes++
		}
		if zoneOf[a] == zoneOf[b] {
			zones++
		}
	}
	return nodes, zones
}

func (c cluster) zones(t *testing.T) map[string]string {
	t.Helper()
	list := &corev1.NodeList{}
	if err := c.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	zoneOf := map[string]string{}
	for _, node := range list.Items {
		zoneOf[node.Name] = node.Labels[corev1.LabelTopologyZone]
	}
	return zoneOf
}

// planOf returns the ReplicaSet that the Deployment controller would make from the derived Deployment.
func (c cluster) planOf(t *testing.T, name, namespace string, version int32) *appsv1.ReplicaSet {
	t.Helper()
	app := testapp.New(testapp.Name(namespace, name), func(app *v1alpha1.GracefulApp) {
		app.UID = "8b0e5c1a-0000-4000-8000-000000000001"
		app.Annotations = map[string]string{v1alpha1.AnnotationDerivation: fmt.Sprint(version)}
	})
	p, errs, _ := plan.For(app, plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	deployment := &appsv1.Deployment{}
	if err := plan.Convert(p.Deployment, deployment); err != nil {
		t.Fatal(err)
	}
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec:       appsv1.ReplicaSetSpec{Selector: deployment.Spec.Selector, Template: deployment.Spec.Template},
	}
	const hash = "5d4b6c7f8"
	set.Spec.Selector.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	set.Spec.Template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	if err := c.Create(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	return set
}

// place creates one pod of a ReplicaSet and returns the node that the scheduler chooses.
func (c cluster) place(t *testing.T, set *appsv1.ReplicaSet) string {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: set.Name + "-", Namespace: set.Namespace, Labels: set.Spec.Template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))}},
		Spec: set.Spec.Template.Spec,
	}
	if err := c.Create(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watcher, err := c.Watch(ctx, &corev1.PodList{}, client.InNamespace(pod.Namespace), client.MatchingFields{"metadata.name": pod.Name})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	for event := range watcher.ResultChan() {
		if seen, ok := event.Object.(*corev1.Pod); ok && seen.Spec.NodeName != "" {
			return seen.Spec.NodeName
		}
	}
	t.Fatal(errors.Join(ctx.Err(), fmt.Errorf("pod %s was not scheduled", pod.Name)))
	return ""
}
