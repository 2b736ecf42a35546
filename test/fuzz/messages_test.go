package fuzz

import (
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// unprintable matches traces of a value that was printed by the wrong verb, or of a panic in a String method.
var unprintable = regexp.MustCompile(`%!|<nil>|0xc0|&\{|PANIC`)

// checkErrors: each error of the Go checks names a field that the GracefulApp has, in readable form.
func checkErrors(t rapid.TB, c trial, errs field.ErrorList) {
	for _, e := range errs {
		checkError(t, c, e, math.MaxInt)
	}
}

// checkRefusals: each error of the API server names such a field too, up to a depth like spec.template.spec.volumes. Below that depth the API
// server leaves elements out: volumes[0].projected.path is the path of volumes[0].projected.sources[0].serviceAccountToken.
func checkRefusals(t rapid.TB, c trial, errs field.ErrorList) {
	const depth = 4
	for _, e := range errs {
		if !strings.HasPrefix(e.Field, "spec") {
			t.Fatalf("%q does not name a field of the spec\n%s", e, printed(c))
		}
		checkError(t, c, e, depth)
	}
}

func checkError(t rapid.TB, c trial, e *field.Error, depth int) {
	if err := findField(reflect.TypeFor[v1alpha1.GracefulApp](), e.Field, depth); err != nil {
		t.Fatalf("%q names no field of the GracefulApp: %v\n%s", e, err, printed(c))
	}
	if unprintable.MatchString(e.Error()) {
		t.Fatalf("%q has a value in unreadable form\n%s", e, printed(c))
	}
}

// checkWarnings: the test's API server answers every dry run.
func checkWarnings(t rapid.TB, c trial, warnings []string) {
	for _, w := range warnings {
		if w == "" || strings.HasPrefix(w, "the dry run failed") || unprintable.MatchString(w) {
			t.Fatalf("%q\n%s", w, printed(c))
		}
	}
}

// checkPolicy: the policy of the namespace denies no object of an accepted app, and the user got its warning.
func checkPolicy(t rapid.TB, c trial, warnings []string) {
	p := policiesOfSpecs[c.Policy]
	if p.denies != nil && p.denies(c.App) {
		t.Fatalf("accepted, although the policy denies it: %q\n%s", warnings, printed(c))
	}
	if !strings.Contains(strings.Join(warnings, "\n"), p.warning) {
		t.Fatalf("no warning has %q: %q\n%s", p.warning, warnings, printed(c))
	}
}

var fieldToken = regexp.MustCompile(`\.?([^.\[\]]+)|\[([^\]]*)\]`)

// findField looks in a type for so many elements of a path like "spec.template.spec.containers[0].ports[1].name". The API server leaves some indices
// out, and may count an item that was derived.
func findField(t reflect.Type, path string, depth int) error {
	tokens := fieldToken.FindAllStringSubmatch(path, -1)
	for _, token := range tokens[:min(depth, len(tokens))] {
		name, isItem := token[1], token[1] == ""
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice && !isItem {
			t = t.Elem()
		}
		switch {
		case t.Kind() == reflect.Map, t.Kind() == reflect.Slice:
			t = t.Elem()
		case t.Kind() == reflect.Struct && fieldByName(t, name) != nil:
			t = fieldByName(t, name)
		default:
			return fmt.Errorf("%s has no %q", t, token[0])
		}
	}
	return nil
}

// fieldByName is the type of the field that has this name in JSON, or nil.
func fieldByName(t reflect.Type, name string) reflect.Type {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == name && name != "" {
			return f.Type
		}
		if tag == "" && f.Anonymous {
			if found := fieldByName(f.Type, name); found != nil {
				return found
			}
		}
	}
	return nil
}
