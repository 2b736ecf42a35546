package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// rolls sets the strategy; "" leaves a field out.
func rolls(maxSurge, maxUnavailable string) testapp.Modifier {
	parse := func(text string) *intstr.IntOrString {
		if text == "" {
			return nil
		}
		return new(intstr.Parse(text))
	}
	return func(app *v1alpha1.GracefulApp) {
		app.Spec.Strategy.RollingUpdate = v1alpha1.RollingUpdate{MaxSurge: parse(maxSurge), MaxUnavailable: parse(maxUnavailable)}
	}
}

func preStop(t2 int32) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Spec.Timing.PreStopSeconds = &t2 }
}

func deadline(seconds int32) testapp.Modifier {
	return func(app *v1alpha1.GracefulApp) { app.Spec.ProgressDeadlineSeconds = &seconds }
}

// repels requires that the app's pods keep a distance from pods that have the labels.
func repels(topologyKey string, labels map[string]string, modify ...func(*corev1.PodAffinityTerm)) testapp.Modifier {
	term := corev1.PodAffinityTerm{TopologyKey: topologyKey, LabelSelector: &metav1.LabelSelector{MatchLabels: labels}}
	for _, m := range modify {
		m(&term)
	}
	return func(app *v1alpha1.GracefulApp) {
		app.Spec.Template.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{term},
		}}
	}
}

func hostPort(app *v1alpha1.GracefulApp) { testapp.Container(app).Ports[0].HostPort = 8080 }

func hostNetwork(app *v1alpha1.GracefulApp) { app.Spec.Template.Spec.HostNetwork = true }

func claim(app *v1alpha1.GracefulApp) {
	app.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "grafana-pvc"},
	}}}
}

// TestRolloutsThatCannotEnd checks the warnings about rollouts in which the new pod never leaves Pending, as in public bug reports.
func TestRolloutsThatCannotEnd(t *testing.T) {
	const hostname, zone = corev1.LabelHostname, corev1.LabelTopologyZone
	own := map[string]string{"apps.gracefulapp.dev/name": "hello"}
	hash := []string{appsv1.DefaultDeploymentUniqueLabelKey}
	tests := []struct {
		name   string
		modify []testapp.Modifier
		want   []string
	}{
		{name: "anti-affinity on as many nodes as pods", modify: []testapp.Modifier{repels(hostname, own)}, want: []string{"share a node, and maxUnavailable is 0"}},
		{name: "anti-affinity by zone", modify: []testapp.Modifier{repels(zone, own)}, want: []string{"share a zone, and"}},
		{name: "anti-affinity by another label", modify: []testapp.Modifier{repels("rack", own)}, want: []string{"share a value of the node label rack, and"}},
		{name: "anti-affinity to other pods", modify: []testapp.Modifier{repels(hostname, map[string]string{"app": "cache"})}},
		{name: "anti-affinity within a revision", modify: []testapp.Modifier{repels(hostname, own, func(t *corev1.PodAffinityTerm) { t.MatchLabelKeys = hash })}},
		{name: "anti-affinity to other revisions", modify: []testapp.Modifier{repels(hostname, own, func(t *corev1.PodAffinityTerm) { t.MismatchLabelKeys = hash })},
			want: []string{"share a node"}},
		{name: "anti-affinity to other tenants", modify: []testapp.Modifier{repels(hostname, own, func(t *corev1.PodAffinityTerm) {
			t.MismatchLabelKeys = []string{"apps.gracefulapp.dev/name"}
		})}},
		{name: "anti-affinity in another namespace", modify: []testapp.Modifier{repels(hostname, own, func(t *corev1.PodAffinityTerm) { t.Namespaces = []string{"other"} })}},
		{name: "anti-affinity in all namespaces", modify: []testapp.Modifier{repels(hostname, own, func(t *corev1.PodAffinityTerm) {
			t.NamespaceSelector = &metav1.LabelSelector{}
		})}, want: []string{"share a node"}},
		{name: "a host port with anti-affinity", modify: []testapp.Modifier{repels(hostname, own), hostPort}, want: []string{"share a node", "port 8080 of the node"}},
		{name: "a host port", modify: []testapp.Modifier{hostPort}, want: []string{"port 8080 of the node (hostPort or hostNetwork) is taken by one pod, and maxUnavailable is 0"}},
		{name: "the host's network", modify: []testapp.Modifier{hostNetwork}, want: []string{"port 8080 of the node"}},
		{name: "one pod with a claim", modify: []testapp.Modifier{testapp.Replicas(1), rolls("", "0"), claim}, want: []string{"draining its node",
			"PersistentVolumeClaim grafana-pvc: if its access mode is ReadWriteOnce or ReadWriteOncePod"}},
		{name: "a way out", modify: []testapp.Modifier{repels(hostname, own), hostPort, claim, rolls("0", "1")}, want: []string{"up to 1 of 2 replicas are missing"}},
		{name: "a way out with a surge", modify: []testapp.Modifier{hostPort, rolls("", "1")}, want: []string{"up to 1 of 2 replicas are missing"}},
		{name: "the only pod ends first", modify: []testapp.Modifier{testapp.Replicas(1), rolls("0", "1")}, want: []string{"draining its node",
			"up to 1 of 1 replicas are missing, and requests are lost for about 20 s"}},
		{name: "the only pod ends first and has a volume", modify: []testapp.Modifier{testapp.Replicas(1), rolls("0", "1"), claim}, want: []string{"draining its node",
			"up to 1 of 1 replicas are missing, and requests are lost for about 40 s (t3 20 - t2 5 + startupSeconds 25)"}},
		{name: "the only pod ends first, and the hook bridges the start", modify: []testapp.Modifier{testapp.Replicas(1), rolls("0", "1"), preStop(26)}, want: []string{
			"if a start takes longer than preStopSeconds 26; use 2 replicas", "if a start takes longer than preStopSeconds 26; preStopSeconds 35 leaves room"}},
		{name: "a deadline that ends before an old pod does", modify: []testapp.Modifier{hostPort, rolls("0", "1"), deadline(75)}, want: []string{
			"up to 1 of 2 replicas are missing", "spec.progressDeadlineSeconds 75 is not more than the startup budget 50 + minReadySeconds 5 + terminationGracePeriodSeconds (t3) 20 = 75: a new pod " +
				"may have to wait for the end of an old one, and then the rollout counts as failed; set it to at least 76"}},
		{name: "a deadline with room", modify: []testapp.Modifier{hostPort, rolls("0", "1"), deadline(76)}, want: []string{"up to 1 of 2 replicas are missing"}},
		{name: "a percentage that comes to nothing", modify: []testapp.Modifier{hostPort, rolls("", "25%")}, want: []string{"maxUnavailable 25% comes to 0 of 2 replicas"}},
		{name: "a percentage that must come to one pod", modify: []testapp.Modifier{hostPort, rolls("0", "25%")}, want: []string{"up to 1 of 2 replicas are missing"}},
		{name: "no pod yet", modify: []testapp.Modifier{hostPort, testapp.Replicas(0)}, want: []string{"spec.replicas is 0", "port 8080 of the node"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errs, warnings := plan.For(testapp.New(tt.modify...), plan.Running{})
			if len(errs) > 0 || len(warnings) != len(tt.want) {
				t.Fatalf("errors %v, warnings %q, want %q", errs, warnings, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(warnings[i], want) {
					t.Errorf("warning %q, want %q", warnings[i], want)
				}
			}
		})
	}
}

// TestProgressDeadline: hello's startup budget is 50 and minReadySeconds 5.
func TestProgressDeadline(t *testing.T) {
	for given, refused := range map[int32]bool{1: true, 54: true, 55: true, 56: false, 2_147_483_647: false} {
		p, errs, _ := plan.For(testapp.New(func(app *v1alpha1.GracefulApp) { app.Spec.ProgressDeadlineSeconds = &given }), plan.Running{})
		if (len(errs) > 0) != refused {
			t.Errorf("%d: %v, want refused %t", given, errs, refused)
		}
		if !refused && (*p.Deployment.Spec.ProgressDeadlineSeconds != given || p.Timing.ProgressDeadlineSeconds != given) {
			t.Errorf("%d: the Deployment has %d, the status %d", given, *p.Deployment.Spec.ProgressDeadlineSeconds, p.Timing.ProgressDeadlineSeconds)
		}
		if refused && !strings.Contains(errs[0].Detail, "set it to at least 56") {
			t.Errorf("%d: %v does not say the least number", given, errs)
		}
	}
}

// TestStrategyChangesNoPod: a change of the strategy must not restart pods.
func TestStrategyChangesNoPod(t *testing.T) {
	before, _, _ := plan.For(testapp.New(), plan.Running{})
	after, errs, _ := plan.For(testapp.New(rolls("0", "1"), func(app *v1alpha1.GracefulApp) { app.Spec.ProgressDeadlineSeconds = new(int32(900)) }), plan.Running{})
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if diff := cmp.Diff(before.Deployment.Spec.Template, after.Deployment.Spec.Template); diff != "" {
		t.Errorf("the pod template (-before +after):\n%s", diff)
	}
	if before.Derivation != after.Derivation {
		t.Errorf("derivation %v, want %v", after.Derivation, before.Derivation)
	}
	if diff := cmp.Diff(before.PodDisruptionBudget, after.PodDisruptionBudget); diff != "" {
		t.Errorf("the disruption budget still lets pods go one by one (-before +after):\n%s", diff)
	}
}

// TestAdoptedStrategy warns where the old strategy may have been needed, until the owner has decided.
func TestAdoptedStrategy(t *testing.T) {
	rolling := func(surge, unavailable int32) appsv1.DeploymentStrategy {
		return appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxSurge: new(intstr.FromInt32(surge)), MaxUnavailable: new(intstr.FromInt32(unavailable)),
		}}
	}
	for name, test := range map[string]struct {
		live   appsv1.DeploymentStrategy
		modify testapp.Modifier
		warned string
	}{
		"Recreate":                      {live: appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}, modify: rolls("", ""), warned: "has strategy Recreate"},
		"maxSurge 0":                    {live: rolling(0, 1), modify: rolls("", ""), warned: "has maxSurge 0"},
		"maxSurge 0, and it is written": {live: rolling(0, 1), modify: rolls("0", "1")},
		"another rolling update":        {live: rolling(1, 1), modify: rolls("", "")},
	} {
		t.Run(name, func(t *testing.T) {
			app := testapp.New(test.modify)
			app.UID = "of-hello"
			live := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "hello"}, Spec: appsv1.DeploymentSpec{
				Replicas: app.Spec.Replicas, Strategy: test.live, Selector: &metav1.LabelSelector{MatchLabels: plan.SelectorLabels(app)},
			}}
			_, errs, warnings := plan.For(app, plan.Running{Deployment: live})
			got := strings.Join(warnings, "\n")
			if len(errs) > 0 || strings.Contains(got, "its old pods end first") != (test.warned != "") || !strings.Contains(got, test.warned) {
				t.Errorf("errors %v, warnings %q, want %q", errs, warnings, test.warned)
			}
		})
	}
}

// TestAntiAffinityOfTheTemplate: only a term that separates the app's own pods takes the place of the derived one.
func TestAntiAffinityOfTheTemplate(t *testing.T) {
	own, other := map[string]string{"apps.gracefulapp.dev/name": "hello"}, map[string]string{"app": "cache"}
	tests := []struct {
		name     string
		affinity *corev1.Affinity
		derived  bool
	}{
		{name: "none", derived: true},
		{name: "empty", affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{}}, derived: true},
		{name: "of nodes", affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}}, derived: true},
		{name: "from other pods", affinity: antiAffinity(other), derived: true},
		{name: "from its own pods", affinity: antiAffinity(own)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, errs, _ := plan.For(testapp.New(func(app *v1alpha1.GracefulApp) { app.Spec.Template.Spec.Affinity = tt.affinity }), plan.Running{})
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			derived := 0
			if a := p.Deployment.Spec.Template.Spec.Affinity; a != nil && a.PodAntiAffinity != nil {
				derived = len(a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
			}
			if (derived == 1) != tt.derived {
				t.Errorf("%d preferred terms, want one: %t", derived, tt.derived)
			}
		})
	}
}

func antiAffinity(labels map[string]string) *corev1.Affinity {
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
		TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: labels},
	}}}}
}

func TestAdoptedDeadline(t *testing.T) {
	for live, warned := range map[int32]bool{600: false, 3600: true} {
		app := testapp.New()
		app.UID = "of-hello"
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "hello"}, Spec: appsv1.DeploymentSpec{
			Replicas: app.Spec.Replicas, ProgressDeadlineSeconds: &live, Selector: &metav1.LabelSelector{MatchLabels: plan.SelectorLabels(app)},
		}}
		_, errs, warnings := plan.For(app, plan.Running{Deployment: d})
		const want = "a rollout with long init containers counts as failed earlier than before"
		if len(errs) > 0 || strings.Contains(strings.Join(warnings, "\n"), want) != warned {
			t.Errorf("%d: errors %v, warnings %q, want one that says %q: %t", live, errs, warnings, want, warned)
		}
	}
}
