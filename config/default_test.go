package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// The suite applies config/default only. The API server must have all that an installation needs afterwards.
func TestDefaultIsACompleteInstallation(t *testing.T) {
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := api.Get(t.Context(), client.ObjectKey{Name: definition}, crd); err != nil {
		t.Errorf("config/default does not install the CRD: %v", err)
	}
	for _, folder := range []string{"crd", "policy", "operator"} {
		for _, object := range rendered(t, folder) {
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(&object), object.DeepCopy()); err != nil {
				t.Errorf("config/default does not install config/%s: %v", folder, err)
			}
		}
	}
	deployment := &appsv1.Deployment{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "gracefulapp-controller-manager"}, deployment); err != nil {
		t.Fatal(err)
	}
	var manager kustomization
	readKustomization(t, "manager", &manager)
	released := map[string]string{}
	for _, image := range manager.Images {
		released[image.Name] = image.NewName + ":" + image.NewTag
	}
	operator, sidecar := imagesOf(*deployment)
	installed := map[string]string{"controller": operator, "drain-proxy": sidecar}
	if diff := cmp.Diff(released, installed); diff != "" {
		t.Errorf("images of config/manager and of config/default (-want +got):\n%s", diff)
	}
}

// make undeploy deletes config/operator. It must contain no object whose deletion removes an app or its protection.
func TestOperatorHasNoCRDAndNoPolicy(t *testing.T) {
	for _, object := range rendered(t, "operator") {
		if slices.Contains([]string{"CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}, object.GetKind()) {
			t.Errorf("make undeploy would delete %s %s", object.GetKind(), object.GetName())
		}
	}
}

func TestSamplesKustomizationListsEverySample(t *testing.T) {
	files, err := filepath.Glob("samples/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var samples kustomization
	readKustomization(t, "samples", &samples)
	for _, file := range files {
		if name := filepath.Base(file); name != "kustomization.yaml" && !slices.Contains(samples.Resources, name) {
			t.Errorf("config/samples/kustomization.yaml does not list %s", name)
		}
	}
}

// kustomization has the fields of a kustomization.yaml that the tests read.
type kustomization struct {
	Resources []string `json:"resources"`
	Images    []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

func readKustomization(t *testing.T, folder string, k *kustomization) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "kustomization.yaml"))
	if err == nil {
		err = yaml.Unmarshal(text, k)
	}
	if err != nil {
		t.Fatal(err)
	}
}
