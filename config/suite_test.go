// Package config_test applies the manifests of this folder to a real API server, as kubectl apply -k does. No nodes and no operator run:
// the tests check the manifests and how the API server handles them.
package config_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
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
	// A busy machine needs more than the default of 20 s.
	environment := &envtest.Environment{ControlPlaneStartTimeout: 2 * time.Minute}
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

// connect creates the two clients, and installs config/default with kubectl. Client-side apply stores the CRD in an annotation. If the CRD becomes too large
// for an annotation, the API server rejects it here.
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
	if output, err := kubectl("apply", "-k", "default"); err != nil {
		return fmt.Errorf("kubectl apply -k default: %w: %s", err, output)
	}
	// kubectl wait fails if the CRD has no conditions yet.
	err = wait.PollUntilContextTimeout(context.Background(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return api.List(ctx, &v1alpha1.GracefulAppList{}) == nil, nil
	})
	if err != nil {
		return fmt.Errorf("config/default installs no GracefulApp API: %w", err)
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
	var found []T
	for _, object := range rendered(t, folder) {
		if object.GetKind() != kind {
			continue
		}
		found = append(found, decoded[T](t, object))
	}
	if len(found) == 0 {
		t.Fatalf("%s has no %s", folder, kind)
	}
	return found
}

// rendered returns all objects that kustomize builds from a folder.
func rendered(t *testing.T, folder string) []unstructured.Unstructured {
	t.Helper()
	output, err := kubectl("kustomize", folder)
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	return objectsOf(t, output)
}

func objectsOf(t *testing.T, manifests string) []unstructured.Unstructured {
	t.Helper()
	var objects []unstructured.Unstructured
	for document := range strings.SplitSeq(manifests, "\n---\n") {
		object := unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, object)
	}
	return objects
}

// decoded decodes an object and fails if it has an unknown field.
func decoded[T any](t *testing.T, object unstructured.Unstructured) T {
	t.Helper()
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &typed, true); err != nil {
		t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return typed
}
