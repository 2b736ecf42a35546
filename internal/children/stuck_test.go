package children

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	now     = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	created = now.Add(-time.Minute)
)

const startupBudget = 50 * time.Second

// podWith returns a pod of the app hello that is not ready and has one container with the given status.
func podWith(status corev1.ContainerStatus, modify ...func(*corev1.Pod)) *corev1.Pod {
	status.Name = "hello"
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: "hello-7d9f-abcde", CreationTimestamp: metav1.NewTime(created), Labels: map[string]string{"pod-template-hash": "7d9f"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "hello-7d9f", Controller: new(true)}},
		},
		Spec: corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "hello"}}},
		Status: corev1.PodStatus{
			Phase: corev1.PodPending,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(created),
				Reason: "ContainersNotReady", Message: "containers with unready status: [hello]"}},
			ContainerStatuses: []corev1.ContainerStatus{status},
		},
	}
	for _, m := range modify {
		m(pod)
	}
	return pod
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func runningFor(d time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-d))}}
}

func ended(code int32, reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}}
}

// endedAfter is a crash of a container that ran for so long.
func endedAfter(run time.Duration) corev1.ContainerState {
	state := ended(1, "Error", "")
	state.Terminated.StartedAt, state.Terminated.FinishedAt = metav1.NewTime(now.Add(-run)), metav1.NewTime(now)
	return state
}

func withInit(status corev1.ContainerStatus, policy *corev1.ContainerRestartPolicy) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		status.Name = "migrate"
		pod.Spec.InitContainers = []corev1.Container{{Name: "migrate", RestartPolicy: policy}}
		pod.Status.InitContainerStatuses = []corev1.ContainerStatus{status}
	}
}

// unscheduled sets the condition that the scheduler of Kubernetes 1.37 sets on a pod without a node.
func unscheduled(reason, message string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.NodeName, pod.Spec.SchedulerName, pod.Status.ContainerStatuses = "", "default-scheduler", nil
		pod.Status.Conditions = nil
		if reason != "" {
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message}}
		}
	}
}

func readyCondition(modify func(*corev1.PodCondition)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { modify(&pod.Status.Conditions[0]) }
}

const (
	pullError   = `failed to pull and unpack image "docker.io/library/nope:1": failed to resolve reference "docker.io/library/nope:1": not found`
	execError   = `failed to create containerd task: OCI runtime create failed: exec: "/nope": stat /nope: no such file or directory`
	noResources = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
)

func TestReasonOfAPodThatIsNotReady(t *testing.T) {
	initialized := corev1.ContainerStatus{State: waiting("PodInitializing", "")}
	tests := []struct {
		name string
		pod  *corev1.Pod
		want string
	}{
		{name: "no node has room", pod: podWith(corev1.ContainerStatus{}, unscheduled("Unschedulable", noResources)), want: "cannot be scheduled: " + noResources},
		{
			name: "a scheduling gate", pod: podWith(corev1.ContainerStatus{}, unscheduled("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates")),
			want: "cannot be scheduled: Scheduling is blocked due to non-empty scheduling gates",
		},
		{name: "no scheduler", pod: podWith(corev1.ContainerStatus{}, unscheduled("", "")), want: "waits for its scheduler, default-scheduler"},
		{
			name: "the image cannot be pulled", pod: podWith(corev1.ContainerStatus{State: waiting("ErrImagePull", pullError)}),
			want: "container hello: ImagePullBackOff: ErrImagePull: " + pullError,
		},
		{
			name: "the image could not be pulled", pod: podWith(corev1.ContainerStatus{State: waiting("ImagePullBackOff",
				`Back-off pulling image "nope:1": ErrImagePull: `+pullError)}),
			want: "container hello: ImagePullBackOff: ErrImagePull: " + pullError,
		},
		{
			name: "the kubelet has forgotten the error", pod: podWith(corev1.ContainerStatus{State: waiting("ImagePullBackOff", `Back-off pulling image "nope:1"`)}),
			want: `container hello: ImagePullBackOff: Back-off pulling image "nope:1"`,
		},
		{
			name: "the registry is away", pod: podWith(corev1.ContainerStatus{State: waiting("ErrImagePull", "read tcp 10.0.0.7:41234->10.9.9.9:443: i/o timeout")}),
			want: "container hello: ImagePullBackOff: ErrImagePull: read tcp 10.0.0.7->10.9.9.9:443: i/o timeout",
		},
		{
			name: "a Secret is missing", pod: podWith(corev1.ContainerStatus{State: waiting("CreateContainerConfigError", `secret "token" not found`)}),
			want: `container hello: CreateContainerConfigError: secret "token" not found`,
		},
		{name: "it crashes, for the first time", pod: podWith(corev1.ContainerStatus{State: ended(1, "Error", "secret")}), want: "container hello: ended with exit code 1 (Error)"},
		{
			name: "it was started again", pod: podWith(corev1.ContainerStatus{RestartCount: 1, State: runningFor(time.Second), LastTerminationState: ended(1, "Error", "secret")}),
			want: "container hello: ended with exit code 1 (Error)",
		},
		{
			name: "a crash loop waits", pod: podWith(corev1.ContainerStatus{RestartCount: 1, LastTerminationState: ended(1, "Error", "secret"),
				State: waiting("CrashLoopBackOff", "back-off 10s restarting failed container=hello pod=hello-7d9f-abcde_default(8b0e)")}),
			want: "container hello: CrashLoopBackOff, exit code 1 (Error)",
		},
		{
			name: "a crash loop runs", pod: podWith(corev1.ContainerStatus{RestartCount: 2, State: runningFor(time.Second), LastTerminationState: ended(1, "Error", "")}),
			want: "container hello: CrashLoopBackOff, exit code 1 (Error)",
		},
		{
			name: "a crash loop ends", pod: podWith(corev1.ContainerStatus{RestartCount: 2, State: ended(1, "Error", "")}),
			want: "container hello: CrashLoopBackOff, exit code 1 (Error)",
		},
		{
			name: "it ran well for long after its restarts", want: "container hello: not ready; restart count 5, last exit code 1 (Error)",
			pod: podWith(corev1.ContainerStatus{RestartCount: 5, State: runningFor(backOffReset), LastTerminationState: ended(1, "Error", "")}),
		},
		{
			name: "it crashed twice, runs, and its readiness probe fails", want: "container hello: not ready; restart count 2, last exit code 1 (Error)",
			pod: podWith(corev1.ContainerStatus{RestartCount: 2, State: runningFor(9 * time.Minute), LastTerminationState: ended(1, "Error", "")}),
		},
		{
			name: "it crashed once, runs, and its readiness probe fails", want: "container hello: not ready; restart count 1, last exit code 1 (Error)",
			pod: podWith(corev1.ContainerStatus{RestartCount: 1, State: runningFor(9 * time.Minute), LastTerminationState: ended(1, "Error", "")}),
		},
		{
			name: "it may become ready after its restarts",
			pod: podWith(corev1.ContainerStatus{RestartCount: 2, State: runningFor(9 * time.Minute), LastTerminationState: ended(1, "Error", "")},
				readyCondition(func(c *corev1.PodCondition) { c.LastTransitionTime = metav1.NewTime(now) })),
		},
		{
			name: "it crashes long after its last crash", want: "container hello: ended with exit code 1 (Error)",
			pod: podWith(corev1.ContainerStatus{RestartCount: 2, State: runningFor(time.Second), LastTerminationState: endedAfter(time.Hour)}),
		},
		{
			name: "the runtime has removed the ended container", want: "container hello: CrashLoopBackOff",
			pod: podWith(corev1.ContainerStatus{RestartCount: 2,
				State: waiting("CrashLoopBackOff", "back-off 10s restarting failed container=hello pod=hello-7d9f-abcde_default(8b0e)")}),
		},
		{
			name: "it runs, and the runtime has removed the ended container", want: "container hello: not ready; restart count 2",
			pod: podWith(corev1.ContainerStatus{RestartCount: 2, State: runningFor(time.Minute)}),
		},
		{
			name: "an init container runs for long after its crash", want: "init container migrate is running; restart count 1, last exit code 1 (Error)",
			pod: podWith(initialized, withInit(corev1.ContainerStatus{RestartCount: 1, State: runningFor(5 * time.Minute), LastTerminationState: ended(1, "Error", "")}, nil)),
		},
		{
			name: "its node is lost", want: "node node-1 is not ready",
			pod: podWith(corev1.ContainerStatus{Ready: true, State: runningFor(time.Hour)}, readyCondition(func(c *corev1.PodCondition) {
				c.Reason, c.Message, c.LastTransitionTime = "", "", metav1.NewTime(now)
			}), func(pod *corev1.Pod) {
				pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionTrue})
			}),
		},
		{
			name: "it takes too much memory", pod: podWith(corev1.ContainerStatus{RestartCount: 3, LastTerminationState: ended(137, "OOMKilled", ""),
				State: waiting("CrashLoopBackOff", "back-off 40s restarting failed container=hello pod=hello-7d9f-abcde_default(8b0e)")}),
			want: "container hello: CrashLoopBackOff, exit code 137 (OOMKilled)",
		},
		{
			name: "its program is missing", pod: podWith(corev1.ContainerStatus{RestartCount: 2, State: waiting("RunContainerError", execError),
				LastTerminationState: ended(128, "StartError", execError)}),
			want: "container hello: CrashLoopBackOff, exit code 128 (StartError): " + execError,
		},
		{
			name: "an init container crashes", want: "init container migrate: CrashLoopBackOff, exit code 2 (Error)",
			pod: podWith(initialized, withInit(corev1.ContainerStatus{RestartCount: 4, LastTerminationState: ended(2, "Error", ""),
				State: waiting("CrashLoopBackOff", "back-off 1m20s restarting failed container=migrate pod=hello-7d9f-abcde_default(8b0e)")}, nil)),
		},
		{name: "an init container runs", pod: podWith(initialized, withInit(corev1.ContainerStatus{State: runningFor(time.Second)}, nil)), want: "init container migrate is running"},
		{
			name: "an init container has done its work", want: "not ready: containers with unready status: [hello]",
			pod: podWith(corev1.ContainerStatus{State: runningFor(time.Minute)}, withInit(corev1.ContainerStatus{Ready: true, State: ended(0, "Completed", "")}, nil)),
		},
		{
			name: "a native sidecar does not start", want: "not ready: containers with unready status: [hello]",
			pod: podWith(initialized, withInit(corev1.ContainerStatus{State: runningFor(time.Minute)}, new(corev1.ContainerRestartPolicyAlways))),
		},
		{name: "a volume is missing", pod: podWith(corev1.ContainerStatus{State: waiting("ContainerCreating", "")}), want: "container hello: ContainerCreating"},
		{name: "it is not ready", pod: podWith(corev1.ContainerStatus{State: runningFor(time.Minute)}), want: "not ready: containers with unready status: [hello]"},
		{
			name: "a readiness gate", pod: podWith(corev1.ContainerStatus{Ready: true, State: runningFor(time.Minute)}, readyCondition(func(c *corev1.PodCondition) {
				c.Message = `corresponding condition of pod readiness gate "lb" does not exist.`
			})),
			want: `not ready: corresponding condition of pod readiness gate "lb" does not exist.`,
		},
		{name: "it may still start", pod: podWith(corev1.ContainerStatus{State: runningFor(time.Minute)}, readyCondition(func(c *corev1.PodCondition) {
			c.LastTransitionTime = metav1.NewTime(now.Add(time.Second - startupBudget))
		}))},
		{name: "it is ready, and was restarted", pod: podWith(corev1.ContainerStatus{Ready: true, RestartCount: 3, State: runningFor(time.Minute),
			LastTerminationState: ended(1, "Error", "")}, readyCondition(func(c *corev1.PodCondition) { c.Status = corev1.ConditionTrue }))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := reasonOf(tt.pod, startupBudget, now).text; got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestReasonOfACrashLoopStaysTheSame(t *testing.T) {
	backOff := waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container=hello pod=hello-7d9f-abcde_default(8b0e)")
	neverStarted := ended(1, "Error", "")
	neverStarted.Terminated.StartedAt, neverStarted.Terminated.FinishedAt = metav1.Unix(0, 0), metav1.NewTime(now)
	tests := []struct {
		name string
		end  corev1.ContainerState
		run  time.Duration
	}{
		{name: "at once", end: endedAfter(time.Second), run: time.Second},
		{name: "without a start", end: neverStarted},
		{name: "by a liveness probe, after the startup budget", end: endedAfter(startupBudget + 10*time.Second), run: startupBudget + 20*time.Second},
		{name: "after minutes", end: endedAfter(5 * time.Minute), run: 5 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i, state := range []corev1.ContainerState{tt.end, backOff, runningFor(0), runningFor(tt.run)} {
				status := corev1.ContainerStatus{RestartCount: 3, State: state, LastTerminationState: tt.end}
				want := "container hello: CrashLoopBackOff, exit code 1 (Error)"
				if got := reasonOf(podWith(status), startupBudget, now).text; got != want {
					t.Errorf("state %d: got %q, want %q", i, got, want)
				}
			}
		})
	}
}

func TestFindStuckChoosesOnePod(t *testing.T) {
	pod := func(name, hash string, age time.Duration, modify ...func(*corev1.Pod)) corev1.Pod {
		p := podWith(corev1.ContainerStatus{State: waiting("ErrImagePull", "no "+name)}, modify...)
		p.Name, p.Labels["pod-template-hash"], p.OwnerReferences[0].Name = name, hash, "hello-"+hash
		p.CreationTimestamp = metav1.NewTime(now.Add(-age))
		return *p
	}
	slowStart := func(p *corev1.Pod) {
		p.Status.ContainerStatuses[0].State = runningFor(time.Minute)
	}
	isReady := readyCondition(func(c *corev1.PodCondition) { c.Status = corev1.ConditionTrue })
	tests := []struct {
		name   string
		pods   []corev1.Pod
		want   string
		others int
	}{
		{name: "none"},
		{name: "the oldest", pods: []corev1.Pod{pod("b", "1", 2*time.Minute), pod("a", "1", time.Minute)}, want: "b", others: 1},
		{name: "by name", pods: []corev1.Pod{pod("b", "1", time.Minute), pod("a", "1", time.Minute), pod("c", "1", time.Minute)}, want: "a", others: 2},
		{
			name: "of the newest ReplicaSet", want: "b", others: 1,
			pods: []corev1.Pod{pod("old", "1", time.Hour, isReady), pod("a", "1", time.Minute), pod("b", "2", 2*time.Minute)},
		},
		{name: "that fails", pods: []corev1.Pod{pod("a", "1", time.Minute, slowStart), pod("b", "1", time.Minute)}, want: "b", others: 1},
		{name: "that is not ready", pods: []corev1.Pod{pod("a", "1", time.Minute, slowStart), pod("b", "1", time.Minute, isReady)}, want: "a"},
		{name: "that nothing controls", pods: []corev1.Pod{pod("a", "1", time.Minute, func(p *corev1.Pod) { p.OwnerReferences[0].Controller = nil })}},
		{name: "of another Deployment", pods: []corev1.Pod{func() corev1.Pod {
			p := pod("a", "1", time.Minute)
			p.OwnerReferences[0].Name = "hello-canary-1"
			return p
		}()}},
		{name: "that is terminating", pods: []corev1.Pod{pod("a", "1", time.Minute, func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(now)) })}},
		{name: "that was evicted", pods: []corev1.Pod{pod("a", "1", time.Minute, func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed })}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := FindStuckPod("hello", tt.pods, startupBudget, now)
			if got.Pod != tt.want || got.Others != tt.others || got.Pod != "" && !strings.Contains(got.Reason, "hello") {
				t.Errorf("got %+v, want %s and %d others", got, tt.want, tt.others)
			}
		})
	}
}
