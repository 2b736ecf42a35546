package main

import (
	"context"
	"errors"
	"flag"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/gracefulapp/gracefulapp/internal/children"
)

func TestFlagsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/how-to/kustomize.md")
	if err != nil {
		t.Fatal(err)
	}
	flags := flag.NewFlagSet("manager", flag.ContinueOnError)
	new(options).bind(flags)
	flags.VisitAll(func(f *flag.Flag) {
		if !strings.Contains(string(page), "`--"+f.Name+"`") {
			t.Errorf("docs/how-to/kustomize.md does not name the flag --%s", f.Name)
		}
	})
}

// Profiles have no authentication, so only this machine may reach them.
func TestProfilesAreServedOnLoopbackOnly(t *testing.T) {
	for value, want := range map[string]bool{
		"127.0.0.1:6060": true, "[::1]:6060": true, "": true, "0": true,
		":6060": false, "0.0.0.0:6060": false, "10.0.0.1:6060": false, "[::]:6060": false, "localhost:6060": false, "127.0.0.1": false,
	} {
		address := loopbackAddress("")
		if err := address.Set(value); (err == nil) != want {
			t.Errorf("%q: error %v, want accepted %t", value, err, want)
		}
	}
}

// Only this client gives the API server's warnings about a pod to its dry run.
func TestTheManagerCollectsWarnings(t *testing.T) {
	if got := managerOptions(options{}, nil).NewClient; reflect.ValueOf(got).Pointer() != reflect.ValueOf(children.NewClient).Pointer() {
		t.Error("the manager's client is not made by children.NewClient")
	}
}

func TestWatchNamespaces(t *testing.T) {
	for value, want := range map[string][]string{"": nil, "shop": {"shop"}, "shop,cart": {"shop", "cart"}} {
		var list namespaceList
		if err := list.Set(value); err != nil || !slices.Equal(list, want) {
			t.Errorf("%q: %q, %v", value, list, err)
		}
	}
	for _, value := range []string{"shop,", "shop, cart", "Shop", "*"} {
		if err := new(namespaceList).Set(value); err == nil {
			t.Errorf("%q is accepted", value)
		}
	}
}

func TestCacheHasTheNamespacesOfTheFlag(t *testing.T) {
	o := parse(t, "--watch-namespaces=shop,cart")
	if got := slices.Sorted(maps.Keys(managerOptions(o, nil).Cache.DefaultNamespaces)); !slices.Equal(got, []string{"cart", "shop"}) {
		t.Errorf("the cache has the namespaces %v", got)
	}
}

// A namespace may be deleted, and its RoleBinding with it. The operator must work in the others.
func TestNamespacesWithoutPermissionAreLeftOut(t *testing.T) {
	reader := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).Build(), interceptor.Funcs{
		List: func(_ context.Context, _ client.WithWatch, _ client.ObjectList, options ...client.ListOption) error {
			list := (&client.ListOptions{}).ApplyOptions(options)
			if list.Namespace == "deleted" {
				return apierrors.NewForbidden(schema.GroupResource{Resource: "gracefulapps"}, "", errors.New("no RoleBinding"))
			}
			return nil
		},
	})
	for _, test := range []struct{ given, want []string }{
		{},
		{given: []string{"shop", "deleted", "cart"}, want: []string{"shop", "cart"}},
	} {
		if got, err := permitted(t.Context(), reader, test.given); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%v: %v, %v", test.given, got, err)
		}
	}
	// No namespace would mean all of them.
	if got, err := permitted(t.Context(), reader, []string{"deleted"}); err == nil {
		t.Errorf("want an error, got %v", got)
	}
}
