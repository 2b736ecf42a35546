package charts_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the table of values in the chart's README.md")

// schema is a part of values.schema.json. A value is a leaf: a part without properties.
type schema struct {
	Description string            `json:"description"`
	Properties  map[string]schema `json:"properties"`
}

// value is a value that a user can set.
type value struct {
	path, description string
	byDefault         any
}

// parentOnly are the values that only a parent chart sets.
var parentOnly = []string{"enabled", "global"}

// values returns the values of the schema with their defaults, sorted by path.
func values(t *testing.T) []value {
	t.Helper()
	var root schema
	if err := json.Unmarshal([]byte(read(t, "values.schema.json")), &root); err != nil {
		t.Fatal(err)
	}
	var defaults map[string]any
	if err := yaml.UnmarshalStrict([]byte(read(t, "values.yaml")), &defaults); err != nil {
		t.Fatal(err)
	}
	found := leaves(root, "", defaults)
	found = slices.DeleteFunc(found, func(v value) bool { return slices.Contains(parentOnly, v.path) })
	slices.SortFunc(found, func(a, b value) int { return cmp.Compare(a.path, b.path) })
	return found
}

func leaves(s schema, path string, byDefault any) []value {
	if len(s.Properties) == 0 {
		return []value{{path: path, description: s.Description, byDefault: byDefault}}
	}
	var found []value
	for name, property := range s.Properties {
		defaults, _ := byDefault.(map[string]any)
		found = append(found, leaves(property, strings.TrimPrefix(path+"."+name, "."), defaults[name])...)
	}
	return found
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The schema rejects a default without a description, because it allows no other properties.
func TestValuesFileRepeatsTheDescriptions(t *testing.T) {
	text := read(t, "values.yaml")
	for _, v := range values(t) {
		name := v.path[strings.LastIndex(v.path, ".")+1:]
		comment := regexp.MustCompile(`(?m)^( *)# ` + regexp.QuoteMeta(v.description) + `\n *` + name + `:`)
		if v.description == "" || v.byDefault == nil || !comment.MatchString(text) {
			t.Errorf("values.yaml has no default for %s with the comment %q", v.path, v.description)
		}
	}
}

func TestReadmeListsTheValues(t *testing.T) {
	var table strings.Builder
	table.WriteString("| value | default | effect |\n|---|---|---|\n")
	for _, v := range values(t) {
		byDefault, err := json.Marshal(v.byDefault)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&table, "| `%s` | `%s` | %s |\n", v.path, byDefault, v.description)
	}
	readme := read(t, "README.md")
	want := regexp.MustCompile(`(?m)^\| value \|.*\n(\|.*\n)*`).ReplaceAllLiteralString(readme, table.String())
	if *update {
		if err := os.WriteFile(filepath.Join(chart, "README.md"), []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if readme != want || !strings.Contains(readme, table.String()) {
		t.Error("the table of values in README.md is stale: run go test ./charts -run Readme -update")
	}
}
