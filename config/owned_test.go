package config_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// protected builds an object of each kind that the policy protects.
var protected = map[string]func(metav1.ObjectMeta) client.Object{
	"Deployment": func(meta metav1.ObjectMeta) client.Object {
		labels := map[string]string{"app": "owned"}
		return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "hello:0.1.0"}}},
			},
		}}
	},
	"Service": func(meta metav1.ObjectMeta) client.Object {
		return &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	},
	"PodDisruptionBudget": func(meta metav1.ObjectMeta) client.Object {
		return &policyv1.PodDisruptionBudget{ObjectMeta: meta}
	},
}

// ownedObjects is the name of the policy and of its binding.
const ownedObjects = "gracefulapp-owned-objects"

// ownedMeta returns the metadata of an object that the GracefulApp "shop" controls. No garbage collector runs here, so the owner need not
// exist.
func ownedMeta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, OwnerReferences: []metav1.OwnerReference{controller("GracefulApp", v1alpha1.GroupVersion.String())}}
}

func controller(kind, apiVersion string) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: "shop", UID: "8b0e5c1a-0000-4000-8000-000000000003", Controller: new(true)}
}

// impersonating returns a client of an administrator with the given user name. RBAC allows all requests, so only the policy can deny one.
func impersonating(tb testing.TB, name string) client.Client {
	tb.Helper()
	configuration := rest.CopyConfig(user.Config())
	configuration.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: []string{"system:masters"}}
	configuration.QPS = -1
	as, err := client.New(configuration, client.Options{Scheme: scheme})
	if err != nil {
		tb.Fatal(err)
	}
	return as
}

func isDenied(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), ownedObjects)
}

// create creates the object and deletes it at the end of the test, with the annotation that the policy requires.
func create(tb testing.TB, object client.Object) client.Object {
	tb.Helper()
	if err := api.Create(tb.Context(), object); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		body := `{"metadata":{"finalizers":null,"annotations":{"` + v1alpha1.AnnotationAllowDeletion + `":"true"}}}`
		err := api.Patch(context.Background(), object, client.RawPatch(types.MergePatchType, []byte(body)))
		if err == nil {
			err = api.Delete(context.Background(), object, client.PropagationPolicy(metav1.DeletePropagationBackground))
		}
		if client.IgnoreNotFound(err) != nil {
			tb.Error(err)
		}
	})
	return object
}

// createNamespace creates a namespace with a name of its own: without a controller manager, a deleted namespace keeps its name.
func createNamespace(tb testing.TB, labels map[string]string) *corev1.Namespace {
	tb.Helper()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels}}
	create(tb, space)
	return space
}

// awaitOwnedObjectsPolicy waits until the API server enforces the policy.
func awaitOwnedObjectsPolicy(tb testing.TB) {
	tb.Helper()
	probe := create(tb, protected["Service"](ownedMeta("default", "probe")))
	until(tb, func() error {
		if err := api.Delete(tb.Context(), probe, client.DryRunAll); !isDenied(err) {
			return fmt.Errorf("want a denial, got %s", said(err))
		}
		return nil
	})
}

func TestOwnedObjectsAreDeletedOnlyOnPurpose(t *testing.T) {
	awaitOwnedObjectsPolicy(t)
	for kind, build := range protected {
		t.Run(kind, func(t *testing.T) {
			for _, test := range []struct {
				name   string
				as     string
				change func(*metav1.ObjectMeta)
				denied bool
			}{
				{name: "an administrator", as: "admin", denied: true},
				{name: "a Git tool", as: "system:serviceaccount:flux-system:kustomize-controller", denied: true},
				{name: "another controller of Kubernetes", as: "system:serviceaccount:kube-system:deployment-controller", denied: true},
				{name: "a user with the name of the operator's service account", as: "mallory:gracefulapp-controller-manager", denied: true},
				{name: "the operator", as: "system:serviceaccount:gracefulapp-system:gracefulapp-controller-manager"},
				{name: "the operator in another namespace", as: "system:serviceaccount:platform:gracefulapp-controller-manager"},
				{name: "the garbage collector", as: "system:serviceaccount:kube-system:generic-garbage-collector"},
				{name: "the namespace controller", as: "system:serviceaccount:kube-system:namespace-controller"},
				{name: "the controller manager", as: "system:kube-controller-manager"},
				{name: "with the annotation", as: "admin", change: annotated("true")},
				{name: "with another value of the annotation", as: "admin", change: annotated("false"), denied: true},
				{name: "without an owner", as: "admin", change: ownedBy()},
				{name: "of a GracefulApp that does not control it", as: "admin", change: ownedBy(notController(controller("GracefulApp", v1alpha1.GroupVersion.String())))},
				{name: "of another kind", as: "admin", change: ownedBy(controller("Rollout", v1alpha1.GroupVersion.String()))},
				{name: "of another group's GracefulApp", as: "admin", change: ownedBy(controller("GracefulApp", "example.com/v1"))},
				{name: "of a later version", as: "admin", change: ownedBy(controller("GracefulApp", "apps.gracefulapp.dev/v2")), denied: true},
				{
					name: "with another owner too", as: "admin", denied: true,
					change: ownedBy(notController(controller("Rollout", "example.com/v1")), controller("GracefulApp", v1alpha1.GroupVersion.String())),
				},
			} {
				t.Run(test.name, func(t *testing.T) {
					meta := ownedMeta("default", "owned")
					if test.change != nil {
						test.change(&meta)
					}
					object := create(t, build(meta))
					as := impersonating(t, test.as)
					for _, options := range [][]client.DeleteOption{
						{client.DryRunAll},
						{client.DryRunAll, client.PropagationPolicy(metav1.DeletePropagationForeground)},
						{client.DryRunAll, client.PropagationPolicy(metav1.DeletePropagationOrphan)},
						{client.PropagationPolicy(metav1.DeletePropagationBackground)},
					} {
						err := as.Delete(t.Context(), object, options...)
						if isDenied(err) != test.denied || err != nil && !test.denied {
							t.Errorf("want denied %t, got %v", test.denied, err)
						}
					}
				})
			}
		})
	}
}

func annotated(value string) func(*metav1.ObjectMeta) {
	return func(meta *metav1.ObjectMeta) {
		meta.Annotations = map[string]string{v1alpha1.AnnotationAllowDeletion: value}
	}
}

func ownedBy(owners ...metav1.OwnerReference) func(*metav1.ObjectMeta) {
	return func(meta *metav1.ObjectMeta) { meta.OwnerReferences = owners }
}

func notController(owner metav1.OwnerReference) metav1.OwnerReference {
	owner.Controller = nil
	return owner
}

func TestDenialNamesTheCommandThatAllowsDeletion(t *testing.T) {
	awaitOwnedObjectsPolicy(t)
	for kind, consequence := range map[string]string{
		"Deployment":          "would create it again, but only after an outage",
		"Service":             "would create it again, but only after an outage",
		"PodDisruptionBudget": "would create it again, but until then a node drain may evict all pods at once",
	} {
		object := create(t, protected[kind](ownedMeta("default", "web")))
		command := "kubectl annotate " + strings.ToLower(kind) + " web -n default apps.gracefulapp.dev/allow-deletion=true"
		want := "denied request: " + kind + " web is controlled by GracefulApp shop, which " + consequence +
			"; delete the GracefulApp instead, or, to delete this object only, annotate it first: " + command +
			". If a tool prunes objects that were removed from Git, exclude this object from pruning: see docs/how-to/adopt.md of GracefulApp"
		if err := api.Delete(t.Context(), object); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("want a denial that ends with\n%s\ngot\n%s", want, said(err))
		}
		if output, err := kubectl(strings.Fields(command)[1:]...); err != nil {
			t.Errorf("the command of the message fails: %v: %s", err, output)
		}
		if err := api.Delete(t.Context(), object, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
			t.Errorf("the command of the message does not allow the deletion: %v", err)
		}
	}
}

// The API server deletes a collection object by object. The policy denies the deletion of owned objects only.
func TestDeletingACollectionSparesOwnedObjects(t *testing.T) {
	awaitOwnedObjectsPolicy(t)
	collection := createNamespace(t, nil).Name
	for kind, build := range protected {
		t.Run(kind, func(t *testing.T) {
			owned := create(t, build(ownedMeta(collection, "owned")))
			err := api.DeleteAllOf(t.Context(), owned, client.InNamespace(collection))
			if !isDenied(err) || !strings.Contains(err.Error(), kind+" owned is controlled by GracefulApp shop") {
				t.Errorf("want a denial that names the object, got %s", said(err))
			}
			if err := api.Get(t.Context(), client.ObjectKeyFromObject(owned), owned); err != nil {
				t.Errorf("the owned object: %v", err)
			}
			free := create(t, build(metav1.ObjectMeta{Namespace: collection, Name: "free"}))
			if err := api.DeleteAllOf(t.Context(), free, client.InNamespace(collection), client.MatchingFields{"metadata.name": "free"}); err != nil {
				t.Errorf("an object without an owner: %v", err)
			}
		})
	}
}

// The API server has already accepted the first deletion, so the policy allows another one.
func TestObjectThatIsBeingDeletedMayBeDeletedAgain(t *testing.T) {
	awaitOwnedObjectsPolicy(t)
	for kind, build := range protected {
		meta := ownedMeta("default", "terminating")
		meta.Finalizers = []string{"example.com/wait"}
		annotated("true")(&meta)
		object := create(t, build(meta))
		if err := api.Delete(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		body := `{"metadata":{"annotations":{"` + v1alpha1.AnnotationAllowDeletion + `":null}}}`
		if err := api.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(body))); err != nil {
			t.Fatal(err)
		}
		if err := api.Delete(t.Context(), object); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// A namespace must not stay terminating if the controller manager has another user name than the policy knows.
func TestTerminatingNamespaceIsEmptied(t *testing.T) {
	awaitOwnedObjectsPolicy(t)
	space := createNamespace(t, nil)
	var owned []client.Object
	for _, build := range protected {
		owned = append(owned, create(t, build(ownedMeta(space.Name, "owned"))))
	}
	if err := api.Delete(t.Context(), space); err != nil {
		t.Fatal(err)
	}
	for _, object := range owned {
		until(t, func() error {
			return api.Delete(t.Context(), object, client.PropagationPolicy(metav1.DeletePropagationBackground))
		})
	}
}
