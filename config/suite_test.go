// Package config_test applies the manifests of this folder to a real API server, as `make install deploy` does. No nodes and no operator run:
// the tests check the manifests and how the API server handles them.
package config_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

const namespace = "gracefulapp-system"

var (
	scheme = runtime.NewScheme()
	api    client.Client
	user   *envtest.AuthenticatedUser
	// authority is a valid CA certificate.
	authority []byte
)

func TestMain(m *testing.M) {
	os.Exit(runWithAPIServer(m))
}

func runWithAPIServer(m *testing.M) int {
	log.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	environment := &envtest.Environment{
		CRDDirectoryPaths: []string{"crd/bases"}, ErrorIfCRDPathMissing: true,
		// A busy machine needs more than the defaults of 20 s and 10 s.
		ControlPlaneStartTimeout: 2 * time.Minute, CRDInstallOptions: envtest.CRDInstallOptions{MaxTime: time.Minute},
	}
	defer func() { // also after half a start, which leaves processes
		if err := environment.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the API server:", err)
		}
	}()
	if _, err := environment.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "make test sets KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl:", err)
		return 1
	}
	if err := connect(environment); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// connect creates the two clients, and installs CRD and operator with kubectl.
func connect(environment *envtest.Environment) error {
	var err error
	if user, err = environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil); err != nil {
		return err
	}
	authority = user.Config().CAData
	unthrottled := rest.CopyConfig(user.Config())
	unthrottled.QPS = -1 // the tests create hundreds of objects
	if api, err = client.New(unthrottled, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"apply", "-k", "crd"},
		{"apply", "-k", "default"},
	} {
		if output, err := kubectl(args...); err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, output)
		}
	}
	return nil
}

func kubectl(args ...string) (string, error) {
	command, err := user.Kubectl()
	if err != nil {
		return "", err
	}
	stdout, stderr, err := command.Run(args...)
	output, _ := io.ReadAll(io.MultiReader(stdout, stderr))
	return string(output), err
}

// built returns the objects of one kind that kustomize builds from a folder.
func built[T any](t *testing.T, folder, kind string) []T {
	t.Helper()
	output, err := kubectl("kustomize", folder)
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	var found []T
	for document := range bytes.SplitSeq([]byte(output), []byte("\n---\n")) {
		var meta struct {
			Kind string `json:"kind"`
		}
		if err := yaml.Unmarshal(document, &meta); err != nil {
			t.Fatal(err)
		}
		if meta.Kind != kind {
			continue
		}
		var object T
		if err := yaml.UnmarshalStrict(document, &object); err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		found = append(found, object)
	}
	if len(found) == 0 {
		t.Fatalf("%s has no %s", folder, kind)
	}
	return found
}
