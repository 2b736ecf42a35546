package children

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

// A status and an event have more readers than a Deployment.
func TestAlteredSecretsAreNotShown(t *testing.T) {
	container := corev1ac.Container().WithName("web").WithImage("web:1").WithEnv(corev1ac.EnvVar().WithName("TOKEN").WithValue("secret"))
	want := appsv1ac.Deployment("web", "default").WithSpec(appsv1ac.DeploymentSpec().WithTemplate(corev1ac.PodTemplateSpec().WithSpec(
		corev1ac.PodSpec().WithContainers(container))))
	answer := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "web", "namespace": "default"},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{
			"name": "web", "image": "web:2", "env": []any{map[string]any{"name": "TOKEN", "value": "other"}},
		}}}}},
	}}
	found, err := differences(want, answer)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{
		"spec.template.spec.containers[0].env[0].value has another value", `spec.template.spec.containers[0].image is "web:2" instead of "web:1"`,
	}; !slices.Equal(found, want) {
		t.Errorf("got %q, want %q", found, want)
	}
}
