package lab

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
	"github.com/gracefulapp/gracefulapp/test/load"
	"github.com/gracefulapp/gracefulapp/test/testbed"
)

const (
	toolRounds = 3
	// toolTime is the longest time for which the tools send. The lab ends them after the changes.
	toolTime = toolRounds * 10 * time.Minute
)

// externalTool is a load generator of another project.
type externalTool struct {
	name string
	// command returns the command line for a URL without a query.
	command func(url string, seconds int) []string
	// read returns the number of requests, and of those lost, from the tool's output.
	read func(output string) (requests, lost int, err error)
}

// wrkRate is the highest number of requests per second from wrk at the full rate. wrk has no limit of its own and used all CPU time of two cores
// (measured), so the server waits before it answers.
const wrkRate, wrkConnections = 2500, 20

// externalTools returns the tools. rate is a share of wrk's full rate.
func externalTools(rate float64) []externalTool {
	wrkWait := wrkConnections / (wrkRate * rate)
	return []externalTool{
		{name: "wrk, keep-alive", command: func(url string, seconds int) []string {
			return []string{"wrk", "-t1", fmt.Sprintf("-c%d", wrkConnections), fmt.Sprintf("-d%ds", seconds), "--timeout", "30s", fmt.Sprintf("%s?seconds=%.3f", url, wrkWait)}
		}, read: readWrk},
		{name: "ab, 1 s each", command: func(url string, seconds int) []string {
			return []string{"ab", "-q", "-r", "-l", "-c20", "-n1000000", "-s30", fmt.Sprintf("-t%d", seconds), url + "?seconds=1"}
		}, read: readAb},
		{name: "hey, keep-alive", command: func(url string, seconds int) []string {
			return []string{"hey", "-c", "20", "-q", "5", "-t", "30", "-z", fmt.Sprintf("%ds", seconds), url + "?seconds=0"}
		}, read: readHey},
	}
}

// toolRun is a tool that sends to a workload.
type toolRun struct {
	workload *workload
	tool     externalTool
	pod      *corev1.Pod
}

// runExternalTools lets the tools send requests while the workloads are scaled and rolled out.
func runExternalTools(ctx context.Context, r *round) error {
	var all []toolRun
	end := time.Now().Add(toolTime)
	for _, w := range r.lab.suite.workloads {
		if !w.drainAware && !w.control {
			continue
		}
		for _, t := range externalTools(r.lab.suite.pace) {
			pod := r.toolPod(t.command("http://"+net.JoinHostPort(r.lab.addresses.services[w.name], "80")+"/", int(toolTime.Seconds())))
			if err := r.lab.testbed.Create(ctx, pod); err != nil {
				return fmt.Errorf("starting %s: %w", t.name, err)
			}
			all = append(all, toolRun{workload: w, tool: t, pod: pod})
		}
	}
	defer func() {
		for _, a := range all {
			_ = r.lab.testbed.Delete(context.WithoutCancel(ctx), a.pod, client.GracePeriodSeconds(0)) // the next run deletes the namespace
		}
	}()
	if err := r.waitUnderLoad(ctx, steadyTime); err != nil {
		return err
	}
	for range toolRounds {
		if err := scaleAndRollOut(ctx, r); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("the tools send requests for %s only, and the changes took longer", toolTime)
		}
	}
	for _, a := range all {
		if err := r.endTool(ctx, a.pod); err != nil {
			return fmt.Errorf("ending %s on %s: %w", a.tool.name, a.workload.name, err)
		}
	}
	for _, a := range all {
		if err := r.readTool(ctx, a); err != nil {
			return fmt.Errorf("%s on %s: %w", a.tool.name, a.workload.name, err)
		}
	}
	return nil
}

// readTool adds the row of a tool that has ended.
func (r *round) readTool(ctx context.Context, t toolRun) error {
	output, err := r.output(ctx, t.pod)
	if err != nil {
		return err
	}
	requests, lost, err := t.tool.read(output)
	if err != nil {
		return fmt.Errorf("%w in the output:\n%s", err, output)
	}
	r.extraRows[t.workload.name] = append(r.extraRows[t.workload.name], report.Row{
		Client: t.tool.name, Promised: t.workload.drainAware, ClosedLoop: true,
		Count: load.Count{Requests: requests, Answered: requests - lost, Lost: lost},
	})
	return nil
}

// toolPod returns the pod of a tool. It has a CPU limit, because the tools send more requests the faster they are answered.
func (r *round) toolPod(command []string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "tool-" + command[0] + "-"},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, EnableServiceLinks: new(false),
			Containers: []corev1.Container{{
				Name: "tool", Image: r.lab.options.toolsImage, Command: command,
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(toolCPU)}},
			}},
		},
	}
}

// endTool has the kubelet end the pod. The image's stop signal is SIGINT, at which the tools print their results. A deletion would delete the log too.
func (r *round) endTool(ctx context.Context, pod *corev1.Pod) error {
	return r.lab.testbed.Patch(ctx, pod, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"activeDeadlineSeconds":1}}`)))
}

// output waits until the pod has ended and returns its log.
func (r *round) output(ctx context.Context, pod *corev1.Pod) (string, error) {
	err := r.waitFor(ctx, pod.Name+" to end", 2*time.Minute, func(ctx context.Context) (testbed.Pending, error) {
		err := r.lab.testbed.Get(ctx, client.ObjectKeyFromObject(pod), pod)
		if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
			return testbed.Done, nil
		}
		return testbed.Pending(pod.Name + " is " + string(pod.Status.Phase)), client.IgnoreNotFound(err)
	})
	if err != nil {
		return "", err
	}
	text, err := r.lab.testbed.Kube.CoreV1().Pods(r.lab.testbed.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(ctx)
	return string(text), err
}

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in`)
	wrkErrors   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	wrkStatus   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	abRequests  = regexp.MustCompile(`(?m)^Complete requests:\s+(\d+)`)
	abFailed    = regexp.MustCompile(`(?m)^Failed requests:\s+(\d+)`)
	abStatus    = regexp.MustCompile(`(?m)^Non-2xx responses:\s+(\d+)`)
	heyStatus   = regexp.MustCompile(`(?m)^\s*\[(\d{3})\]\s+(\d+) responses`)
	heyErrors   = regexp.MustCompile(`(?m)^\s*\[(\d+)\]\s+\w+ "`)
)

func readWrk(output string) (requests, lost int, err error) {
	m := wrkRequests.FindStringSubmatch(output)
	if m == nil {
		return 0, 0, fmt.Errorf("no number of requests")
	}
	requests = number(m[1])
	for _, e := range wrkErrors.FindStringSubmatch(output) {
		lost += number(e) // the first element, the whole match, counts as 0
	}
	if m := wrkStatus.FindStringSubmatch(output); m != nil {
		lost += number(m[1])
	}
	return requests + lost, lost, nil
}

// readAb returns an upper bound of the lost requests: ab counts one failed request up to three times, as connect, receive and length.
func readAb(output string) (requests, lost int, err error) {
	m, failed := abRequests.FindStringSubmatch(output), abFailed.FindStringSubmatch(output)
	if m == nil || failed == nil {
		return 0, 0, fmt.Errorf("no number of requests")
	}
	requests, lost = number(m[1]), number(failed[1])
	if m := abStatus.FindStringSubmatch(output); m != nil {
		lost += number(m[1])
	}
	return requests, min(lost, requests), nil
}

func readHey(output string) (requests, lost int, err error) {
	for _, m := range heyStatus.FindAllStringSubmatch(output, -1) {
		n := number(m[2])
		requests += n
		if !strings.HasPrefix(m[1], "2") {
			lost += n
		}
	}
	for _, m := range heyErrors.FindAllStringSubmatch(output, -1) {
		requests += number(m[1])
		lost += number(m[1])
	}
	if requests == 0 {
		return 0, 0, fmt.Errorf("no number of requests")
	}
	return requests, lost, nil
}

// number returns the number in a match, or 0.
func number(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}
