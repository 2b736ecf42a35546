package fuzz

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// compareWithFresh applies the app's spec in another namespace. Each field that results must be in the live objects, with the same value.
func (e *testEnv) compareWithFresh() error {
	fresh, err := newTestEnv(e.ctx, e.api)
	if err != nil {
		return err
	}
	defer fresh.close()
	a, err := copyOfApp(e.seen.app, fresh.key.Namespace)
	if err != nil {
		return err
	}
	create := func(f *testEnv, _ int) error { return f.api.Create(f.ctx, a, user) }
	if err := fresh.perform(create, 0, settleTime); err != nil {
		return fmt.Errorf("a fresh apply: %w", err)
	}
	var found []string
	for _, kind := range []string{kindDeployment, kindService, kindBudget} {
		want, err := fresh.tree(kind)
		if err != nil {
			return err
		}
		live, err := e.tree(kind)
		if err != nil {
			return err
		}
		if (want == nil) != (live == nil) {
			found = append(found, fmt.Sprintf("%s exists: %t, want %t", kind, live != nil, want != nil))
			continue
		}
		found = append(found, differences(kind, want, live)...)
	}
	if live, want := conditionsOf(e.seen.app), conditionsOf(fresh.seen.app); !slices.Equal(live, want) {
		found = append(found, fmt.Sprintf("conditions are %v, want %v", live, want))
	}
	if len(found) > 0 {
		return errors.New("fresh: " + strings.Join(found, "; "))
	}
	return nil
}

// close deletes the Services, because each holds a cluster IP of the API server's range.
func (e *testEnv) close() {
	_ = e.api.DeleteAllOf(e.ctx, &corev1.Service{}, client.InNamespace(e.key.Namespace))
}

// conditionsOf are the app's, without the scale conflict, which is shown for a while after its end.
func conditionsOf(a *v1alpha1.GracefulApp) []string {
	var all []string
	for _, c := range a.Status.Conditions {
		if c.Type != v1alpha1.ConditionScaleConflict {
			all = append(all, fmt.Sprintf("%s=%s %s", c.Type, c.Status, c.Reason))
		}
	}
	return all
}

// tree is an object without the fields that the API server and other controllers set, or nil if it does not exist.
func (e *testEnv) tree(kind string) (map[string]any, error) {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(map[string]string{kindDeployment: "apps/v1", kindService: "v1", kindBudget: "policy/v1"}[kind])
	object.SetKind(kind)
	if err := e.api.Get(e.ctx, e.key, object); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, err
	}
	owners := object.GetOwnerReferences()
	for i := range owners {
		if e.seen.app != nil && owners[i].UID == e.seen.app.UID {
			owners[i].UID = "the app's"
		}
	}
	object.SetOwnerReferences(owners)
	for _, key := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "namespace"} {
		unstructured.RemoveNestedField(object.Object, "metadata", key)
	}
	for _, path := range [][]string{{"status"}, {"spec", "clusterIP"}, {"spec", "clusterIPs"}} {
		unstructured.RemoveNestedField(object.Object, path...)
	}
	return object.Object, nil
}

// differences are the fields of want that live lacks or has otherwise. A node port is the API server's choice.
func differences(path string, want, live any) []string {
	var found []string
	switch w := want.(type) {
	case map[string]any:
		l, _ := live.(map[string]any)
		for key, value := range w {
			if key != "nodePort" {
				found = append(found, differences(path+"."+key, value, l[key])...)
			}
		}
	case []any:
		l, _ := live.([]any)
		for i, item := range w {
			same := counterparts(item, i, l)
			if len(same) != 1 {
				found = append(found, fmt.Sprintf("%s[%d] occurs %d times, want once", path, i, len(same)))
				continue
			}
			found = append(found, differences(fmt.Sprintf("%s[%d]", path, i), item, same[0])...)
		}
	default:
		if want != live {
			found = append(found, fmt.Sprintf("%s is %v, want %v", path, live, want))
		}
	}
	return found
}

// counterparts are the items of a list with the same key; where an item has none, the one at its place.
func counterparts(item any, i int, list []any) []any {
	wanted, isMap := item.(map[string]any)
	for _, key := range []string{"containerPort", "port", "name", "uid", "topologyKey"} {
		if !isMap || wanted[key] == nil {
			continue
		}
		var same []any
		for _, candidate := range list {
			if c, ok := candidate.(map[string]any); ok && c[key] == wanted[key] && c["protocol"] == wanted["protocol"] {
				same = append(same, c)
			}
		}
		return same
	}
	if i < len(list) {
		return list[i : i+1]
	}
	return nil
}
