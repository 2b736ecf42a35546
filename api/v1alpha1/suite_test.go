package v1alpha1_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"
)

const (
	crdFile = "../../config/crd/bases/apps.gracefulapp.dev_gracefulapps.yaml"
	crdPath = "/apis/apps.gracefulapp.dev/v1alpha1/namespaces/default/gracefulapps"
)

var (
	environment *envtest.Environment
	// config reaches a real API server that knows the CRD.
	config *rest.Config
)

func TestMain(m *testing.M) {
	os.Exit(runWithAPIServer(m))
}

func runWithAPIServer(m *testing.M) int {
	environment = &envtest.Environment{
		CRDDirectoryPaths: []string{crdFile}, ErrorIfCRDPathMissing: true,
		// A busy machine needs more than the defaults of 20 s and 10 s.
		ControlPlaneStartTimeout: 2 * time.Minute, CRDInstallOptions: envtest.CRDInstallOptions{MaxTime: time.Minute},
	}
	defer func() { // also after half a start, which leaves processes
		if err := environment.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the API server:", err)
		}
	}()
	var err error
	if config, err = environment.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "make test sets KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl:", err)
		return 1
	}
	return m.Run()
}

func readCRD(t *testing.T) *apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	raw, err := os.ReadFile(crdFile)
	if err != nil {
		t.Fatal(err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(raw, crd); err != nil {
		t.Fatalf("reading %s: %v", crdFile, err)
	}
	return crd
}
