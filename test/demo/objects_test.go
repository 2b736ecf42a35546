package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestRejectedAppHasEqualTimes(t *testing.T) {
	timing := rejectedApp("hello:0.1.0").Spec.Timing
	if *timing.TerminationGracePeriodSeconds != *timing.ShutdownSeconds+*timing.PreStopSeconds {
		t.Errorf("%+v, want t3 = t1 + t2", timing)
	}
}

// The comparison is fair: only the probes, the preStop hook and the end of the listener differ.
func TestBothWorkloadsRunTheSameContainer(t *testing.T) {
	app := gracefulApp("hello:0.1.0").Spec.Template.Spec.Containers[0]
	deployment, service := plainDeployment("hello:0.1.0")
	plain := deployment.Spec.Template.Spec.Containers[0]
	app.ReadinessProbe, app.LivenessProbe, app.Lifecycle = nil, nil, nil
	app.Env = append(app.Env, corev1.EnvVar{Name: "LATE_CONNECTIONS", Value: "refused"})
	if diff := cmp.Diff(app, plain); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(service.Spec.Selector, deployment.Spec.Template.Labels); diff != "" {
		t.Errorf("the Service does not select the pods: %s", diff)
	}
}

func TestLoadgenSendsItsShareToBothWorkloads(t *testing.T) {
	pod := loadgen("loadgen:0.1.0", "node-1", 2, "198.19.0.1", "fd00::1")
	args := strings.Join(pod.Spec.Containers[0].Args, " ")
	for _, want := range []string{
		"--target hello/new=http://198.19.0.1:80/,rate=40,mode=new ",
		"--target hello/keep-alive=http://198.19.0.1:80/?seconds=0,rate=80,mode=keep-alive,connections=20",
		"--target hello-naive/new=http://[fd00::1]:80/,rate=40,mode=new ",
	} {
		if !strings.Contains(args, want) {
			t.Errorf("%q lacks %q", args, want)
		}
	}
	if pod.Spec.NodeSelector[corev1.LabelHostname] != "node-1" {
		t.Errorf("node selector %v", pod.Spec.NodeSelector)
	}
}

func TestSteps(t *testing.T) {
	var got []string
	for _, s := range steps() {
		got = append(got, s.text)
	}
	if diff := cmp.Diff([]string{"scale-up 2 -> 5", "scale-down 5 -> 1", "scale-up 1 -> 3", "rollout of 3"}, got); diff != "" {
		t.Error(diff)
	}
}
