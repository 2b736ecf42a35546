package main

import (
	"reflect"
	"slices"
	"testing"

	"github.com/gracefulapp/gracefulapp/internal/children"
)

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
