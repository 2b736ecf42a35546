package lab

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/test/lab/report"
)

func TestScenariosWithTheirOwnWorkloadsRunByNameOnly(t *testing.T) {
	all, err := choose(nil, true, true)
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(all, func(s scenario) bool { return s.suite != nil }) {
		t.Error("chose a scenario with its own workloads that was not named")
	}
	chosen, err := choose([]string{"adopt-hpa", "scale"}, true, true)
	if err != nil || len(chosen) != 2 || chosen[0].suite == nil {
		t.Errorf("named: %v, %v", chosen, err)
	}
}

func TestBatches(t *testing.T) {
	chosen, err := choose([]string{"scale", "rollout", "adopt", "adopt", "scale"}, true, true)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]string
	var progress []string
	before := 0
	for _, b := range batches(chosen, helloSuite()) {
		names := []string{b.suite.workloads[0].name}
		found := report.Run{}
		for next := b.schedule(before, len(chosen)); ; {
			s, text, ok := next(found)
			if !ok {
				break
			}
			names, progress = append(names, s.name), append(progress, text)
			found.Scenarios = append(found.Scenarios, report.Scenario{})
		}
		got, before = append(got, names), before+len(b.scenarios)
	}
	want := [][]string{{"aware", "scale", "rollout"}, {"named", "adopt"}, {"named", "adopt"}, {"aware", "scale"}}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("first workload and scenarios of each batch (-want +got):\n%s", diff)
	}
	if want := []string{"1 of 5", "2 of 5", "3 of 5", "4 of 5", "5 of 5"}; !slices.Equal(want, progress) {
		t.Errorf("progress %v", progress)
	}
}

// A scenario that proves nothing runs again at half the rate. The others keep that rate, but it does not fall below the lowest.
func TestTheRestOfABatch(t *testing.T) {
	b := batch{scenarios: []scenario{{name: "a"}, {name: "b"}, {name: "c"}}, repeats: 1}
	busy := []string{"late"}
	for name, tt := range map[string]struct {
		results []report.Scenario
		rest    string
		rate    float64
		again   bool
	}{
		"all passed":             {results: []report.Scenario{{Rate: 0.4}, {Rate: 0.4}, {Rate: 0.4}}, rate: 0.4},
		"the second is too busy": {results: []report.Scenario{{Rate: 0.4}, {Rate: 0.4, TooBusy: busy}}, rest: "bc", rate: 0.2, again: true},
		"at the lowest rate":     {results: []report.Scenario{{Rate: 0.05, TooBusy: busy}}, rest: "bc", rate: 0.05},
		"the second failed":      {results: []report.Scenario{{Rate: 0.4}, {Rate: 0.4, Faults: busy}}, rest: "c", rate: 0.4},
	} {
		t.Run(name, func(t *testing.T) {
			rest, again := b.rest(tt.results, lowestRate(0.4))
			if again && rest.repeats != 0 {
				t.Errorf("%d repetitions are left", rest.repeats)
			}
			names := ""
			for _, s := range rest.scenarios {
				names += s.name
			}
			if names != tt.rest || rest.suite.pace != tt.rate || again != tt.again {
				t.Errorf("%q at rate %v, again %t; want %q, %v, %t", names, rest.suite.pace, again, tt.rest, tt.rate, tt.again)
			}
			next := b.schedule(0, 3)
			if _, _, ok := next(report.Run{Scenarios: tt.results}); ok && tt.again {
				t.Error("the batch goes on after a scenario that must be repeated")
			}
		})
	}
}

// The rollout must not change the number of a port. The Service must target a port of the old pods, and the GracefulApp a port of the new ones.
func TestAdopteesKeepTheirPorts(t *testing.T) {
	for _, a := range append(portAdoptees(), controlAdoptee("control")) {
		w := a.workload()
		objects := w.build(w, short, "hello:0.1.0")
		before := portsOf(objects[0].(*appsv1.Deployment).Spec.Template.Spec)
		app := w.app(w, short, "hello:0.1.0")
		after := portsOf(app.Spec.Template.Spec)
		for i := range before {
			if before[i].ContainerPort != after[i].ContainerPort {
				t.Errorf("%s: port %d becomes %d", a.name, before[i].ContainerPort, after[i].ContainerPort)
			}
		}
		for _, p := range objects[1].(*corev1.Service).Spec.Ports {
			if !targetsOneOf(p, before) {
				t.Errorf("%s: its Service targets %s, which no old pod has", a.name, p.TargetPort.String())
			}
		}
		for _, p := range app.Spec.Service.Spec.Ports {
			if !targetsOneOf(p, after) {
				t.Errorf("%s: its GracefulApp targets %s, which no new pod has", a.name, p.TargetPort.String())
			}
		}
		if len(w.targets) != len(after) {
			t.Errorf("%s: %d targets for %d ports", a.name, len(w.targets), len(after))
		}
	}
}

func portsOf(pod corev1.PodSpec) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	for _, c := range pod.Containers {
		ports = append(ports, c.Ports...)
	}
	return ports
}

// targetsOneOf reports whether a Service port targets one of the container ports. Without a targetPort it targets the port of the same number.
func targetsOneOf(p corev1.ServicePort, ports []corev1.ContainerPort) bool {
	return slices.ContainsFunc(ports, func(c corev1.ContainerPort) bool {
		if p.TargetPort.Type == intstr.String {
			return p.TargetPort.StrVal == c.Name
		}
		return cmp.Or(p.TargetPort.IntVal, p.Port) == c.ContainerPort
	})
}

func TestClientsThatReachAnAdoptee(t *testing.T) {
	s := portSuite()
	a := addresses{services: map[string]string{}, nodePorts: map[string]int32{}, secondPorts: map[string]int32{}}
	for _, w := range s.workloads {
		a.services[w.name] = "198.18.0.1"
	}
	a.services["headless"] = corev1.ClusterIPNone
	a.nodePorts["unnamed"], a.secondPorts["two-ports"] = 30080, 81
	got := map[string][]string{}
	for _, from := range []place{{name: "n", node: "n"}, {name: "outside-n", outside: true, entry: "192.0.2.1"}} {
		for _, target := range s.targets(a, short, from, "1") {
			w, client := parseTarget(target.Name)
			address, _, _ := strings.Cut(strings.TrimPrefix(target.URL, "http://"), "/")
			got[w] = append(got[w], client+" "+address)
		}
	}
	inside := func(address string) []string {
		return []string{"new " + address, "slow " + address, "keep-alive " + address}
	}
	for name, want := range map[string][]string{
		"named":     inside("198.18.0.1:80"),
		"unnamed":   append(inside("198.18.0.1:80"), "from outside 192.0.2.1:30080"),
		"headless":  inside("headless.graceful-lab.svc.cluster.local.:8080"),
		"two-ports": append(inside("198.18.0.1:80"), "second port 198.18.0.1:81"),
	} {
		if diff := gocmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAControlIsPromisedNothingWhenItIsAdopted(t *testing.T) {
	w := controlAdoptee("control").workload()
	w.managed = true
	if adoptClients[0].promised(w) {
		t.Error("GracefulApp promises the control something")
	}
}

func TestScaleWatch(t *testing.T) {
	pod := func(name string, terminating bool) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if terminating {
			p.DeletionTimestamp = new(metav1.Now())
		}
		return p
	}
	deployment := func(n int32) *appsv1.Deployment {
		return &appsv1.Deployment{Spec: appsv1.DeploymentSpec{Replicas: new(n)}}
	}
	watch := func() *scaleWatch {
		s := &scaleWatch{want: 2, pods: map[string]bool{}, stop: func() error { return nil }}
		s.observe(deployment(2))
		s.observe(pod("a", false))
		s.observe(pod("b", false))
		return s
	}
	rollout := watch()
	rollout.observe(pod("c", false))
	rollout.observe(pod("a", true))
	rollout.observe(pod("a", true))
	if err := rollout.end(); err != nil {
		t.Errorf("a rollout: %v", err)
	}
	killed := watch()
	killed.observe(pod("a", true))
	if err := killed.end(); err == nil || !strings.Contains(err.Error(), "1 pods were left") {
		t.Errorf("a killed pod: %v", err)
	}
	scaled := watch()
	scaled.observe(deployment(1))
	scaled.observe(deployment(2))
	if err := scaled.end(); err == nil || !strings.Contains(err.Error(), "got 1 replicas") {
		t.Errorf("scaled: %v", err)
	}
}

// A pod with two containers writes two ledgers.
func TestAPodsRecordIsCompleteWhenEachContainerHasEnded(t *testing.T) {
	r := recorder{pods: map[string]*podRecord{"p": {
		Pod:     report.Pod{Name: "p", Incomplete: true},
		logs:    map[string]bool{"id-1": false, "id-2": false},
		running: map[string]string{"hello": "id-1", "second": "id-2"},
		ledger:  serverLedger{requests: map[string]*requests{}},
	}}, read: make(chan struct{}, 1)}
	end := []byte(`{"ledger":1,"finished":{"w/new@n#1":[0]},"end":true}`)
	r.line("p", "id-1", end)
	if !r.pods["p"].Incomplete || !r.logEnded("p", "hello", "id-1") || r.logEnded("p", "second", "id-2") {
		t.Error("one container has ended: the record is not complete")
	}
	r.line("p", "id-2", end)
	if r.pods["p"].Incomplete {
		t.Error("both have ended")
	}
	// The API server has the log of the current container only: the one before it, which was killed, stays incomplete.
	r.pods["p"].logs["id-3"], r.pods["p"].running["hello"] = false, "id-3"
	if !r.logEnded("p", "hello", "id-1") || r.logEnded("p", "hello", "id-3") {
		t.Error("a restarted container has a log of its own")
	}
}
