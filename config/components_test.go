package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// withComponent returns a copy of config/default in which the line of the component is uncommented.
func withComponent(t *testing.T, component string) string {
	t.Helper()
	folder := filepath.Join(copied(t), "default")
	file := filepath.Join(folder, "kustomization.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for _, wanted := range []string{"# components:", "# - ../" + component} {
		i := slices.Index(lines, wanted)
		if i < 0 {
			t.Fatalf("config/default/kustomization.yaml has no line %q", wanted)
		}
		lines[i] = strings.TrimPrefix(wanted, "# ")
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// The API server checks the built-in kinds. It does not have the kinds of cert-manager and of the Prometheus operator.
func TestComponentsAreAccepted(t *testing.T) {
	// The namespace of the component namespaced. It is not deleted, because a repetition of the test could not create it again.
	if err := api.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "apps"}}); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	for _, component := range []string{"prometheus", "network-policy", "certmanager", "namespaced"} {
		t.Run(component, func(t *testing.T) {
			objects := rendered(t, withComponent(t, component))
			for _, object := range objects {
				if group := object.GroupVersionKind().Group; group == "cert-manager.io" || group == "monitoring.coreos.com" {
					continue
				}
				configuration := client.ApplyConfigurationFromUnstructured(&object)
				if err := api.Apply(t.Context(), configuration, client.DryRunAll, client.ForceOwnership, client.FieldOwner("component")); err != nil {
					t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
				}
			}
			if without := rendered(t, "default"); slices.EqualFunc(objects, without, func(a, b unstructured.Unstructured) bool {
				return a.GetKind() == b.GetKind() && a.GetName() == b.GetName()
			}) {
				t.Error("the component changes nothing")
			}
		})
	}
}

func TestServiceMonitorSelectsTheMetricsService(t *testing.T) {
	folder := withComponent(t, "prometheus")
	monitor := only(t, folder, "ServiceMonitor")
	selector, _, _ := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	endpoints, _, _ := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
	if len(selector) == 0 || len(endpoints) != 1 {
		t.Fatalf("want a selector and one endpoint: %v", monitor.Object)
	}
	port := endpoints[0].(map[string]any)["port"]
	matches := 0
	for _, service := range built[corev1.Service](t, folder, "Service") {
		if service.Namespace == monitor.GetNamespace() && labels.SelectorFromSet(selector).Matches(labels.Set(service.Labels)) && service.Spec.Ports[0].Name == port {
			matches++
		}
	}
	if matches != 1 {
		t.Errorf("the ServiceMonitor matches %d Services with the port %v, want 1", matches, port)
	}
}

// The kubelet's probes need no rule: NetworkPolicies admit the traffic from the pod's own node.
func TestNetworkPoliciesAdmitEveryPortButTheProbes(t *testing.T) {
	folder := withComponent(t, "network-policy")
	deployment := built[appsv1.Deployment](t, folder, "Deployment")[0]
	admitted := []string{"health"}
	for _, policy := range built[networkingv1.NetworkPolicy](t, folder, "NetworkPolicy") {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err != nil || !selector.Matches(labels.Set(deployment.Spec.Template.Labels)) || policy.Namespace != deployment.Namespace {
			t.Errorf("NetworkPolicy %s does not select the manager (%v)", policy.Name, err)
		}
		for _, rule := range policy.Spec.Ingress {
			for _, port := range rule.Ports {
				admitted = append(admitted, port.Port.StrVal)
			}
		}
	}
	var ports []string
	for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
		ports = append(ports, port.Name)
	}
	slices.Sort(ports)
	slices.Sort(admitted)
	if !slices.Equal(ports, admitted) {
		t.Errorf("the policies and the probes use the ports %v, the manager has %v", admitted, ports)
	}
}

func TestCertManagerReplacesTheRotation(t *testing.T) {
	folder := withComponent(t, "certmanager")
	var serving unstructured.Unstructured
	issuers := map[string]bool{}
	for _, object := range rendered(t, folder) {
		switch {
		case object.GetKind() == "Secret":
			t.Errorf("cert-manager creates the Secret, so %s must not be in the manifests", object.GetName())
		case object.GetKind() == "Role" && strings.Contains(object.GetName(), "certificates"):
			t.Errorf("the operator needs no Secret, but has the Role %s", object.GetName())
		case object.GetKind() == "Issuer":
			issuers[object.GetName()] = true
		case object.GetKind() == "Certificate" && !strings.HasSuffix(object.GetName(), "-ca"):
			serving = object
		}
	}
	deployment := built[appsv1.Deployment](t, folder, "Deployment")[0]
	if args := deployment.Spec.Template.Spec.Containers[0].Args; !slices.Contains(args, "--webhook-cert-rotation=false") {
		t.Errorf("the operator still creates certificates: %v", args)
	}
	if secret := text(serving, "spec", "secretName"); secret != deployment.Spec.Template.Spec.Volumes[0].Secret.SecretName {
		t.Errorf("cert-manager writes the Secret %s, the Deployment mounts %s", secret, deployment.Spec.Template.Spec.Volumes[0].Secret.SecretName)
	}
	configuration := built[admissionregistrationv1.ValidatingWebhookConfiguration](t, folder, "ValidatingWebhookConfiguration")[0]
	if from := configuration.Annotations["cert-manager.io/inject-ca-from"]; from != serving.GetNamespace()+"/"+serving.GetName() {
		t.Errorf("the CA comes from the Certificate %s", from)
	}
	service := configuration.Webhooks[0].ClientConfig.Service
	if hosts, _, _ := unstructured.NestedStringSlice(serving.Object, "spec", "dnsNames"); !slices.Equal(hosts, []string{service.Name + "." + service.Namespace + ".svc"}) {
		t.Errorf("the Certificate is for %v", hosts)
	}
	if issuer := text(serving, "spec", "issuerRef", "name"); !issuers[issuer] {
		t.Errorf("no Issuer is named %s", issuer)
	}
}

// Each namespace of the operator must be in its flag, in the webhook's selector and in a RoleBinding, and no permission may apply to other namespaces.
func TestNamespacedOperatorHasNoPermissionElsewhere(t *testing.T) {
	folder := withComponent(t, "namespaced")
	var bound []string
	for _, binding := range built[rbacv1.RoleBinding](t, folder, "RoleBinding") {
		if binding.RoleRef.Kind == "ClusterRole" && binding.RoleRef.Name == "gracefulapp-manager-role" {
			bound = append(bound, binding.Namespace)
		}
	}
	args := built[appsv1.Deployment](t, folder, "Deployment")[0].Spec.Template.Spec.Containers[0].Args
	if flag := "--watch-namespaces=" + strings.Join(bound, ","); len(bound) == 0 || !slices.Contains(args, flag) {
		t.Errorf("the manager has the arguments %v, want %s", args, flag)
	}
	selector := built[admissionregistrationv1.ValidatingWebhookConfiguration](t, folder, "ValidatingWebhookConfiguration")[0].Webhooks[0].NamespaceSelector
	if selector == nil || len(selector.MatchExpressions) != 1 || !slices.Equal(selector.MatchExpressions[0].Values, bound) {
		t.Errorf("the webhook selects %v, want the namespaces %v", selector, bound)
	}
	for _, binding := range built[rbacv1.ClusterRoleBinding](t, folder, "ClusterRoleBinding") {
		if binding.RoleRef.Name == "gracefulapp-manager-role" {
			t.Errorf("the ClusterRoleBinding %s grants the operator's role in all namespaces", binding.Name)
		}
	}
}

// only returns the one object of a kind.
func only(t *testing.T, folder, kind string) unstructured.Unstructured {
	t.Helper()
	objects := slices.DeleteFunc(rendered(t, folder), func(object unstructured.Unstructured) bool { return object.GetKind() != kind })
	if len(objects) != 1 {
		t.Fatalf("want one %s, got %d", kind, len(objects))
	}
	return objects[0]
}

func text(object unstructured.Unstructured, path ...string) string {
	value, _, _ := unstructured.NestedString(object.Object, path...)
	return value
}
