package charts_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// cluster is an API server without nodes and controllers. Helm and kubectl use it.
type cluster struct {
	client.Client
	user *envtest.AuthenticatedUser
}

func startCluster(t *testing.T) cluster {
	t.Helper()
	if os.Getenv("HELM") == "" || os.Getenv("KUSTOMIZE") == "" {
		t.Skip("HELM or KUSTOMIZE is not set; make test-go builds the programs and sets them")
	}
	log.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	// A busy machine needs more than the default of 20 s.
	environment := &envtest.Environment{ControlPlaneStartTimeout: 2 * time.Minute}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := environment.Start(); err != nil {
		t.Fatalf("make test-go sets KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl: %v", err)
	}
	user, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	api, err := client.New(user.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	config, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "config"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", filepath.Join(home, "config"))
	t.Setenv("HELM_CACHE_HOME", home)
	t.Setenv("HELM_CONFIG_HOME", home)
	t.Setenv("HELM_DATA_HOME", home)
	return cluster{api, user}
}

// TestInstallation follows docs/how-to/helm.md: Helm takes over the objects that make deploy has applied, upgrades them, removes the operator and installs it again.
func TestInstallation(t *testing.T) {
	c := startCluster(t)
	c.deploy(t)
	app := c.createApp(t)

	if _, err := run(t, "HELM", "install", release, chart, "--namespace="+namespace); err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Errorf("want an error that names the foreign objects, got %v", err)
	}
	notes := helm(t, "upgrade", "--install", release, chart, "--namespace="+namespace, "--take-ownership", "--force-conflicts", "--set=image.tag=v2")
	if !strings.Contains(notes, "rollout status -n gracefulapp-system deployment/gracefulapp-controller-manager\n") || !strings.Contains(notes, "\nkind: GracefulApp\n") {
		t.Errorf("the notes are incomplete:\n%s", notes)
	}
	operator := &appsv1.Deployment{}
	c.get(t, operator, "gracefulapp-controller-manager")
	if image := operator.Spec.Template.Spec.Containers[0].Image; image != "ghcr.io/gracefulapp/gracefulapp:v2" {
		t.Errorf("Helm has taken over the Deployment, which has the image %s", image)
	}

	// The manager of make deploy still owns the fields that both set.
	if _, err := run(t, "HELM", "upgrade", release, chart, "--namespace="+namespace, "--set=replicas=3"); err == nil || !strings.Contains(err.Error(), "gracefulapp-deploy") {
		t.Errorf("want a conflict with the field manager of make deploy, got %v", err)
	}
	c.upgrade(t, 3, "--force-conflicts")

	helm(t, "uninstall", release, "--namespace="+namespace)
	for _, object := range []client.Object{operator, &corev1.Secret{}, &admissionregistrationv1.ValidatingWebhookConfiguration{}, &rbacv1.ClusterRole{}} {
		remaining := &metav1.PartialObjectMetadataList{}
		kind, err := c.GroupVersionKindFor(object)
		if err != nil {
			t.Fatal(err)
		}
		remaining.SetGroupVersionKind(kind)
		if err := c.List(t.Context(), remaining, client.MatchingLabels{"app.kubernetes.io/managed-by": "Helm"}); err != nil || len(remaining.Items) > 0 {
			t.Errorf("helm uninstall leaves %s: %v (%v)", kind.Kind, remaining.Items, err)
		}
	}
	kept := slices.DeleteFunc(template(t), func(object unstructured.Unstructured) bool {
		return object.GetAnnotations()["helm.sh/resource-policy"] != "keep"
	})
	if len(kept) != 7 {
		t.Errorf("helm uninstall keeps %d objects, want the CRD, three policies and their bindings", len(kept))
	}
	for _, object := range kept {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(&object), &object); err != nil {
			t.Errorf("helm uninstall has deleted it: %v", err)
		}
	}
	c.get(t, app, app.Name)

	helm(t, "install", release, chart, "--namespace="+namespace)
	c.upgrade(t, 4)
	helm(t, "uninstall", release, "--namespace="+namespace)
	helm(t, "install", "edge", chart, "--namespace=team", "--create-namespace", "--take-ownership", "--force-conflicts")
	t.Run("values", c.testValues)

	// Each uninstall deletes the policies before the CRD. Their finalizer must keep the guard in force for the next one.
	helm(t, "upgrade", "edge", chart, "--namespace=team", "--set=crds.keep=false", "--force-conflicts")
	for range 2 {
		if output, err := run(t, "HELM", "uninstall", "edge", "--namespace=team"); err == nil {
			t.Errorf("helm uninstall has deleted the CRD without its annotation: %s", output)
		}
	}
	c.get(t, &apiextensionsv1.CustomResourceDefinition{}, "gracefulapps.apps.gracefulapp.dev")
	c.get(t, app, app.Name)
}

// testValues checks that the API server accepts the objects of the chart with every value set, those with cert-manager too. It does not have the kinds of
// cert-manager and of the Prometheus operator.
func (c cluster) testValues(t *testing.T) {
	args := []string{"template", release, chart, "--namespace=" + namespace}
	set := map[string]bool{}
	for _, test := range valueTests {
		if test.path != "" && !set[test.value] {
			args = append(args, "--set-json="+test.value+"="+test.json)
			set[test.value] = true
		}
	}
	for _, objects := range [][]unstructured.Unstructured{template(t), template(t, "certManager.enabled=true"), objectsOf(t, helm(t, args...))} {
		for _, object := range objects {
			if group := object.GroupVersionKind().Group; group == "cert-manager.io" || group == "monitoring.coreos.com" {
				continue
			}
			configuration := client.ApplyConfigurationFromUnstructured(&object)
			if err := c.Apply(t.Context(), configuration, client.DryRunAll, client.ForceOwnership, client.FieldOwner("values")); err != nil {
				t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
			}
		}
	}
}

// deploy applies config/default as make deploy does.
func (c cluster) deploy(t *testing.T) {
	t.Helper()
	command, err := c.user.Kubectl()
	if err != nil {
		t.Fatal(err)
	}
	if _, stderr, err := command.Run("apply", "--server-side", "--field-manager=gracefulapp-deploy", "-k", "../config/default"); err != nil {
		message, _ := io.ReadAll(stderr)
		t.Fatalf("%v: %s", err, message)
	}
}

// createApp creates a GracefulApp. No webhook runs here, so the API server must not call it.
func (c cluster) createApp(t *testing.T) *v1alpha1.GracefulApp {
	t.Helper()
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{}
	c.get(t, configuration, "gracefulapp-validating-webhook-configuration")
	if err := c.Delete(t.Context(), configuration); err != nil {
		t.Fatal(err)
	}
	app := testapp.New()
	app.Namespace = namespace
	var err error
	ready := func(ctx context.Context) (bool, error) {
		err = c.Create(ctx, app) // until the API server serves the CRD, and has noticed the deletion
		return err == nil, nil
	}
	if wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, ready) != nil {
		t.Fatal(err)
	}
	c.deploy(t)
	return app
}

// upgrade changes the number of replicas by Helm. The upgrade must keep the certificates, the CA and the path that the operator has written.
func (c cluster) upgrade(t *testing.T, replicas int32, flags ...string) {
	t.Helper()
	configuration, secret := &admissionregistrationv1.ValidatingWebhookConfiguration{}, &corev1.Secret{}
	c.get(t, configuration, "gracefulapp-validating-webhook-configuration")
	c.get(t, secret, "gracefulapp-webhook-server-cert")
	call := &configuration.Webhooks[0].ClientConfig
	call.CABundle, call.Service.Path = c.user.Config().CAData, new("/secret")
	secret.Data = map[string][]byte{"ca.crt": call.CABundle}
	want := []any{*call.DeepCopy(), secret.Data}
	for _, object := range []client.Object{configuration, secret} {
		if err := c.Update(t.Context(), object, client.FieldOwner("gracefulapp-certificates")); err != nil {
			t.Fatal(err)
		}
	}

	helm(t, append([]string{"upgrade", release, chart, "--namespace=" + namespace, fmt.Sprintf("--set=replicas=%d", replicas)}, flags...)...)
	operator := &appsv1.Deployment{}
	if c.get(t, operator, "gracefulapp-controller-manager"); *operator.Spec.Replicas != replicas {
		t.Errorf("the upgrade has left %d replicas, want %d", *operator.Spec.Replicas, replicas)
	}
	configuration, secret = &admissionregistrationv1.ValidatingWebhookConfiguration{}, &corev1.Secret{}
	c.get(t, configuration, "gracefulapp-validating-webhook-configuration")
	c.get(t, secret, "gracefulapp-webhook-server-cert")
	if diff := cmp.Diff(want, []any{configuration.Webhooks[0].ClientConfig, secret.Data}); diff != "" {
		t.Errorf("the upgrade has changed what the operator wrote (-want +got):\n%s", diff)
	}
}

func (c cluster) get(t *testing.T, object client.Object, name string) {
	t.Helper()
	key := client.ObjectKey{Name: name}
	if namespaced, err := c.IsObjectNamespaced(object); err != nil {
		t.Fatal(err)
	} else if namespaced {
		key.Namespace = namespace
	}
	if err := c.Get(t.Context(), key, object); err != nil {
		t.Fatal(err)
	}
}
