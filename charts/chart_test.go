// Package charts_test renders the Helm chart with Helm, and compares it with the manifests of config, which kustomize builds.
package charts_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

const (
	release   = "gracefulapp"
	namespace = "gracefulapp-system"
	chart     = "gracefulapp"
)

func TestLint(t *testing.T) {
	if output, err := run(t, "HELM", "lint", "--strict", chart); err != nil {
		t.Error(err)
	} else if !strings.Contains(output, "1 chart(s) linted") {
		t.Error(output)
	}
}

// Both ways of installing the operator create the same objects, except for the Namespace, which Helm creates without labels.
func TestChartEqualsKustomize(t *testing.T) {
	for name, variant := range map[string]struct{ component, value string }{
		"default":        {},
		"cert-manager":   {component: "certmanager", value: "certManager.enabled=true"},
		"network policy": {component: "network-policy", value: "networkPolicy.enabled=true"},
		"prometheus":     {component: "prometheus", value: "serviceMonitor.enabled=true"},
		"one namespace":  {component: "namespaced", value: "watchNamespaces={apps}"},
	} {
		t.Run(name, func(t *testing.T) {
			want := byName(kustomized(t, variant.component))
			delete(want, "Namespace gracefulapp-system")
			got := byName(template(t, variant.value))
			for _, object := range got {
				removeHelmMetadata(object)
			}
			compare(t, want, got)
		})
	}
}

// The release's name and namespace appear in every place where the default ones do.
func TestOtherReleaseIsConsistent(t *testing.T) {
	for _, value := range []string{"", "certManager.enabled=true"} {
		want := renamed(t, template(t, value), "edge-gracefulapp", "team")
		got := objectsOf(t, helm(t, "template", "edge", chart, "--namespace=team", "--set="+value))
		for _, object := range got {
			removeHelmMetadata(object)
			if object.GetKind() != "Deployment" {
				continue
			}
			takeArguments(t, object,
				"--webhook-service=edge-gracefulapp-webhook-service",
				"--webhook-secret=edge-gracefulapp-webhook-server-cert",
				"--webhook-configuration=edge-gracefulapp-validating-webhook-configuration")
		}
		compare(t, byName(want), byName(got))
	}
}

// The API server accepts the names of every release whose name Helm accepts.
func TestNamesAreValid(t *testing.T) {
	for name, prefix := range map[string]string{
		"web2": "web2-gracefulapp-", "1st": "gracefulapp-1st-", "9x": "gracefulapp-9x-", "1." + strings.Repeat("a", 51): "gracefulapp-1-aaa",
		strings.Repeat("a", 53): "aaa", strings.Repeat("a", 43) + "-" + strings.Repeat("b", 9): "aaa",
	} {
		for _, object := range objectsOf(t, helm(t, "template", name, chart)) {
			valid := validation.IsDNS1123Subdomain
			switch object.GetKind() {
			case "Service":
				valid = validation.IsDNS1035Label
				if !strings.HasPrefix(object.GetName(), prefix) {
					t.Errorf("release %s: the name of the Service is %s, want the prefix %s", name, object.GetName(), prefix)
				}
			case "Deployment":
				valid = validation.IsDNS1123Label
			}
			if problems := valid(object.GetName()); len(problems) > 0 {
				t.Errorf("release %s: %s %s: %v", name, object.GetKind(), object.GetName(), problems)
			}
		}
	}
}

// A name that YAML reads as a number or a boolean stays a string.
func TestNamesAreStrings(t *testing.T) {
	for _, object := range objectsOf(t, helm(t, "template", "2024", chart, "--namespace=123",
		"--set=certManager.enabled=true,networkPolicy.enabled=true,serviceMonitor.enabled=true",
		"--set-json="+`nameOverride="1e3",serviceAccount.name="007",priorityClassName="on",watchNamespaces=["12","0x1"]`)) {
		checkNames(t, object.GetKind(), object.Object)
	}
}

// checkNames reports each name, namespace and label below value that is no string.
func checkNames(t *testing.T, path string, value any) {
	t.Helper()
	switch value := value.(type) {
	case map[string]any:
		for key, v := range value {
			_, isString := v.(string)
			switch key {
			case "name", "namespace", "serviceAccountName", "priorityClassName", "app.kubernetes.io/name", "app.kubernetes.io/instance":
				// In the schema of the CRD, the key is a field.
				if _, isMap := v.(map[string]any); !isString && !isMap {
					t.Errorf("%s.%s is %v, a %T, want a string", path, key, v, v)
				}
			}
			checkNames(t, path+"."+key, v)
		}
	case []any:
		for _, v := range value {
			checkNames(t, path, v)
		}
	}
}

func TestNameOverrideIsInEverySelector(t *testing.T) {
	manifests := helm(t, "template", release, chart, "--set=nameOverride=web,networkPolicy.enabled=true,serviceMonitor.enabled=true")
	if names := strings.Count(manifests, `app.kubernetes.io/name: "web"`); names != 11 || strings.Contains(manifests, `app.kubernetes.io/name: "gracefulapp"`) {
		t.Errorf("%d labels and selectors have the name, want all 11", names)
	}
}

// A parent chart passes the values global and enabled, which the schema must allow.
func TestChartAsDependency(t *testing.T) {
	parent := t.TempDir()
	if err := os.CopyFS(filepath.Join(parent, "charts", chart), os.DirFS(chart)); err != nil {
		t.Fatal(err)
	}
	metadata := "apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies: [{name: gracefulapp, version: '*', condition: gracefulapp.enabled}]\n"
	if err := os.WriteFile(filepath.Join(parent, "Chart.yaml"), []byte(metadata), 0o600); err != nil {
		t.Fatal(err)
	}
	objects := objectsOf(t, helm(t, "template", release, parent, "--namespace="+namespace, "--set=gracefulapp.enabled=true,global.region=a"))
	compare(t, byName(template(t)), byName(objects))
	if without := objectsOf(t, helm(t, "template", release, parent, "--set=gracefulapp.enabled=false")); len(without) > 0 {
		t.Errorf("the parent renders %d objects of a disabled dependency", len(without))
	}
}

// renamed returns the objects of the default release with another prefix of their names, and in another namespace. The CRD and the policies keep their names.
func renamed(t *testing.T, objects []unstructured.Unstructured, prefix, otherNamespace string) []unstructured.Unstructured {
	t.Helper()
	suffixes := []string{"webhook-server-cert"} // cert-manager creates this Secret
	for _, object := range objects {
		removeHelmMetadata(object)
		if suffix, found := strings.CutPrefix(object.GetName(), "gracefulapp-"); found && !strings.HasPrefix(object.GetKind(), "ValidatingAdmissionPolicy") {
			suffixes = append(suffixes, regexp.QuoteMeta(suffix))
		}
	}
	names := regexp.MustCompile(`\bgracefulapp-(` + strings.Join(suffixes, "|") + `)\b`)
	result := make([]unstructured.Unstructured, len(objects))
	for i, object := range objects {
		text, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		other := strings.ReplaceAll(names.ReplaceAllString(string(text), prefix+"-$1"), namespace, otherNamespace)
		if err := result[i].UnmarshalJSON([]byte(other)); err != nil {
			t.Fatal(err)
		}
	}
	return result
}

// takeArguments removes arguments of the operator's container, which must be there.
func takeArguments(t *testing.T, deployment unstructured.Unstructured, unwanted ...string) {
	t.Helper()
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	container := containers[0].(map[string]any)
	var rest []any
	taken := 0
	for _, argument := range container["args"].([]any) {
		if taken < len(unwanted) && argument == unwanted[taken] {
			taken++
			continue
		}
		rest = append(rest, argument)
	}
	if taken < len(unwanted) {
		t.Errorf("the operator has the arguments %v, want also %v", container["args"], unwanted)
	}
	container["args"] = rest
	if err := unstructured.SetNestedSlice(deployment.Object, containers, "spec", "template", "spec", "containers"); err != nil {
		t.Fatal(err)
	}
}

// kustomized returns the objects of config/default with a component.
func kustomized(t *testing.T, component string) []unstructured.Unstructured {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(filepath.Join(folder, "config"), os.DirFS("../config")); err != nil {
		t.Fatal(err)
	}
	overlay := "resources: [config/default]\n"
	if component != "" {
		overlay += "components: [config/" + component + "]\n"
	}
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := run(t, "KUSTOMIZE", "build", folder)
	if err != nil {
		t.Fatal(err)
	}
	return objectsOf(t, output)
}

// template returns the objects of the default release. A value is a flag of Helm's --set, or "".
func template(t *testing.T, values ...string) []unstructured.Unstructured {
	t.Helper()
	args := []string{"template", release, chart, "--namespace=" + namespace}
	for _, value := range values {
		args = append(args, "--set="+value)
	}
	return objectsOf(t, helm(t, args...))
}

func helm(t *testing.T, args ...string) string {
	t.Helper()
	output, err := run(t, "HELM", args...)
	if err != nil {
		t.Fatal(err)
	}
	return output
}

// run runs the program of an environment variable, and returns its output. The error contains the program's messages.
func run(t *testing.T, variable string, args ...string) (string, error) {
	t.Helper()
	program := os.Getenv(variable)
	if program == "" {
		t.Skipf("%s is not set; make test-go builds the program and sets it", variable)
	}
	command := exec.CommandContext(t.Context(), program, args...)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", filepath.Base(program), strings.Join(args, " "), err, stderr.String())
	}
	return string(output), err
}

func objectsOf(t *testing.T, manifests string) []unstructured.Unstructured {
	t.Helper()
	var objects []unstructured.Unstructured
	for document := range strings.SplitSeq("\n"+manifests, "\n---\n") {
		text, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			t.Fatalf("%v: %s", err, document)
		}
		if string(text) == "null" {
			continue
		}
		object := unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			t.Fatalf("%v: %s", err, document)
		}
		objects = append(objects, object)
	}
	return objects
}

func byName(objects []unstructured.Unstructured) map[string]unstructured.Unstructured {
	named := map[string]unstructured.Unstructured{}
	for _, object := range objects {
		named[object.GetKind()+" "+object.GetName()] = object
	}
	return named
}

// compare compares each object by itself, so that a message names the object and shows its difference only.
func compare(t *testing.T, want, got map[string]unstructured.Unstructured) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	for name, object := range got {
		if diff := cmp.Diff(want[name].Object, object.Object); diff != "" && want[name].Object != nil {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// removeHelmMetadata removes the labels that the chart sets on every object, and the annotation that Helm reads.
func removeHelmMetadata(object unstructured.Unstructured) {
	for _, key := range []string{"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"} {
		unstructured.RemoveNestedField(object.Object, "metadata", "labels", key)
	}
	unstructured.RemoveNestedField(object.Object, "metadata", "annotations", "helm.sh/resource-policy")
	metadata := object.Object["metadata"].(map[string]any)
	for _, field := range []string{"labels", "annotations"} {
		if entries, found := metadata[field].(map[string]any); found && len(entries) == 0 {
			delete(metadata, field)
		}
	}
}
