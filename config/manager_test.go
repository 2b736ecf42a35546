package config_test

import (
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// manager returns the operator's Deployment and its container.
func manager(t *testing.T) (appsv1.Deployment, corev1.Container) {
	t.Helper()
	deployment := built[appsv1.Deployment](t, "default", "Deployment")[0]
	containers := deployment.Spec.Template.Spec.Containers
	if len(containers) != 1 || containers[0].Name != "manager" {
		t.Fatalf("want one container named manager, got %v", containers)
	}
	return deployment, containers[0]
}

// The operator follows its own rules: t3 > t1 + t2, and t1 covers its longest request.
func TestManagerKeepsTheInvariant(t *testing.T) {
	deployment, container := manager(t)
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	t1 := flags.Duration("graceful-shutdown-timeout", 0, "")
	flags.Bool("leader-elect", false, "")
	flags.String("health-probe-bind-address", "", "")
	flags.String("metrics-bind-address", "", "")
	if err := flags.Parse(container.Args); err != nil {
		t.Fatal(err)
	}
	t2 := time.Duration(container.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	t3 := time.Duration(*deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
	if t3 <= *t1+t2 {
		t.Errorf("t3 %s is not more than t1 %s + t2 %s", t3, *t1, t2)
	}
	for _, webhook := range built[admissionregistrationv1.ValidatingWebhookConfiguration](t, "default", "ValidatingWebhookConfiguration")[0].Webhooks {
		if request := time.Duration(*webhook.TimeoutSeconds) * time.Second; *t1 < request {
			t.Errorf("t1 %s is less than the longest admission request, %s", *t1, request)
		}
	}
	if minReady := time.Duration(deployment.Spec.MinReadySeconds) * time.Second; minReady != t2 {
		t.Errorf("minReadySeconds %s, want t2, %s", minReady, t2)
	}
	// A restart would begin again to fill the caches, and without end if they need longer.
	const progressDeadline = 600 // seconds, the default of a Deployment
	if start := container.StartupProbe.FailureThreshold * container.StartupProbe.PeriodSeconds; start < progressDeadline {
		t.Errorf("the container is restarted after %d s without certificates; its rollout may take %d s", start, progressDeadline)
	}
	if strategy := deployment.Spec.Strategy.RollingUpdate; strategy.MaxUnavailable.IntValue() != 0 {
		t.Errorf("a rollout may make %s of the webhook's pods unavailable", strategy.MaxUnavailable)
	}
	if *deployment.Spec.Replicas < 2 {
		t.Error("with one replica, no GracefulApp can be created while the operator's node is drained")
	}
}

func TestBudgetAndServicesSelectTheManager(t *testing.T) {
	deployment, _ := manager(t)
	pod := labels.Set(deployment.Spec.Template.Labels)
	for _, budget := range built[policyv1.PodDisruptionBudget](t, "default", "PodDisruptionBudget") {
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err != nil || !selector.Matches(pod) {
			t.Errorf("PodDisruptionBudget %s does not select the manager (%v)", budget.Name, err)
		}
	}
	for _, service := range built[corev1.Service](t, "default", "Service") {
		if !labels.SelectorFromSet(service.Spec.Selector).Matches(pod) {
			t.Errorf("Service %s does not select the manager", service.Name)
		}
	}
}

// The API server's Pod Security admission checks a pod of the Deployment in the operator's namespace.
func TestManagerIsRestricted(t *testing.T) {
	deployment, _ := manager(t)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: deployment.Namespace, Name: "manager", Labels: deployment.Spec.Template.Labels},
		Spec:       deployment.Spec.Template.Spec,
	}
	if err := api.Create(t.Context(), pod.DeepCopy(), client.DryRunAll); err != nil {
		t.Errorf("the API server rejects the manager's pod: %v", err)
	}
	pod.Spec.SecurityContext.RunAsNonRoot = new(false)
	if err := api.Create(t.Context(), pod, client.DryRunAll); err == nil || !strings.Contains(err.Error(), "PodSecurity") {
		t.Errorf("the namespace does not enforce the restricted standard: %v", err)
	}
}

// A user who may write a GracefulApp may run pods, so only edit and admin get verbs that write. No role allows to write the status.
func TestRolesForUsers(t *testing.T) {
	const prefix = "rbac.authorization.k8s.io/aggregate-to-"
	aggregated := map[string]bool{}
	for _, role := range built[rbacv1.ClusterRole](t, "default", "ClusterRole") {
		for label := range role.Labels {
			target, found := strings.CutPrefix(label, prefix)
			if !found {
				continue
			}
			aggregated[target] = true
			for _, rule := range role.Rules {
				reads := !slices.ContainsFunc(rule.Verbs, func(verb string) bool { return !slices.Contains([]string{"get", "list", "watch"}, verb) })
				if !reads && (target == "view" || slices.Contains(rule.Resources, "gracefulapps/status")) {
					t.Errorf("%s lets %s %v %v", role.Name, target, rule.Verbs, rule.Resources)
				}
			}
		}
	}
	for _, target := range []string{"view", "edit", "admin"} {
		if !aggregated[target] {
			t.Errorf("no role aggregates to %s", target)
		}
	}
}

func TestSamplesAreAccepted(t *testing.T) {
	// No webhook runs here. The API server checks schema and CEL rules.
	setWebhook(t, admissionregistrationv1.Ignore)
	for _, files := range []string{"--kustomize=samples", "--filename=samples/autoscaling", "--filename=samples/tutorial", "--filename=samples/sidecar"} {
		if output, err := kubectl("apply", "--dry-run=server", "-n", "default", files); err != nil {
			t.Errorf("%s: %v: %s", files, err, output)
		}
	}
}
