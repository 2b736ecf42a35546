package testbed

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/gracefulapp/gracefulapp/test/load"
)

func TestTheFastestLineGivesTheClockOffset(t *testing.T) {
	zero := time.Unix(1_800_000_000, 0)
	const offset = 100 * time.Second // the generator's clock is this far behind
	g := newGenerator("loadgen-1")
	lines := []load.Line{
		{At: zero, Progress: []load.Progress{{Target: "hello/new", Sent: 1}}},
		{At: zero.Add(time.Second), Lost: &load.Loss{Target: "hello/new", Record: load.Record{Outcome: load.Lost}}},
		{At: zero.Add(2 * time.Second), Summary: []load.Summary{{Count: load.Count{Requests: 1, Lost: 1}}}},
	}
	for i, line := range lines {
		arrived := line.At.Add(offset + time.Duration(len(lines)-i)*time.Millisecond)
		if last := g.add(line, arrived); last != (i == len(lines)-1) {
			t.Errorf("line %d taken as last: %v", i, last)
		}
	}
	if g.ClockOffset != offset+time.Millisecond {
		t.Errorf("clock offset %s, want %s", g.ClockOffset, offset+time.Millisecond)
	}
	if len(g.Losses["hello/new"]) != 1 || len(g.Summary) != 1 {
		t.Errorf("losses %v, summary %v; want one of each", g.Losses, g.Summary)
	}
}

func TestReadReturnsTheErrorOfAGenerator(t *testing.T) {
	g := newGenerator("loadgen-1")
	if err := g.read(strings.NewReader("loadgen: no --target\n")); err == nil || !strings.Contains(err.Error(), "no --target") {
		t.Errorf("got %v, want the generator's error", err)
	}
	if err := g.read(strings.NewReader(`{"at":"2026-01-01T00:00:00Z"}` + "\n")); err == nil || !strings.Contains(err.Error(), "without a summary") {
		t.Errorf("got %v, want an error for output without a summary", err)
	}
}

// A generator that was killed prints no summary and its pod no longer exists. Reading its log 60 times would hide the reason.
func TestFollowEndsWhenThePodIsGone(t *testing.T) {
	synctest.Test(t, followGone)
}

func followGone(t *testing.T) {
	gone := apierrors.NewNotFound(corev1.Resource("pods"), "loadgen-1")
	kube := fake.NewClientset()
	bed := &Testbed{Namespace: "lab", Kube: kube}
	asked := 0
	kube.PrependReactor("get", "pods/log", func(clienttesting.Action) (bool, runtime.Object, error) {
		if asked++; asked == 1 {
			return true, &runtime.Unknown{Raw: []byte("{}\n")}, nil
		}
		return true, nil, gone
	})
	err := newGenerator("loadgen-1").follow(t.Context(), bed)
	if err == nil || !strings.Contains(err.Error(), "without a summary, and its pod no longer exists") {
		t.Errorf("got %v, want the reason why the output ended", err)
	}
}

// A kubelet that has just started answers that it does not know the pod.
func TestFollowReadsOnAfterARestartOfTheKubelet(t *testing.T) {
	synctest.Test(t, followAgain)
}

func followAgain(t *testing.T) {
	kube := fake.NewClientset(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "lab", Name: "loadgen-1"}})
	asked := 0
	kube.PrependReactor("get", "pods/log", func(clienttesting.Action) (bool, runtime.Object, error) {
		if asked++; asked < 3 {
			return true, nil, apierrors.NewNotFound(corev1.Resource("pods"), "loadgen-1")
		}
		return true, &runtime.Unknown{Raw: []byte(`{"summary":[{"name":"hello/new"}]}` + "\n")}, nil
	})
	if err := newGenerator("loadgen-1").follow(t.Context(), &Testbed{Namespace: "lab", Kube: kube}); err != nil {
		t.Error(err)
	}
}
