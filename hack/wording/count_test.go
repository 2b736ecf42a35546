package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestCount(t *testing.T) {
	rules, err := readRules([]byte(`[{name: test, pattern: '\bplum\b', perThousandGoLines: 250, perThousandMarkdownWords: 0}]`))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.go":              "package plum\n\n// Plum or plum.\nvar plum = \"a plum\"\n",
		"zz_generated.go":   "// plum\n",
		"testdata/a.go":     "// plum\n",
		"a.md":              "A plum, no\nplums.\n",
		"a.txt":             "plum\n",
		"node_modules/a.md": "plum\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	goText, markdown, err := count(dir, rules)
	if err != nil {
		t.Fatal(err)
	}
	if goText.size != 4 || !slices.Equal(goText.matches, []int{3}) || len(goText.places[0]) != 2 {
		t.Errorf("Go: got %+v, want 3 matches on 2 of 4 lines", goText)
	}
	if markdown.size != 4 || !slices.Equal(markdown.matches, []int{1}) {
		t.Errorf("Markdown: got %+v, want 1 match in 4 words", markdown)
	}
}

func TestReportComparesWithTheLimit(t *testing.T) {
	half := tally{size: 2000, matches: []int{1}, places: [][]string{{"a.go:1: text"}}}
	for limit, want := range map[float64]bool{0.4: true, 0.5: false} {
		var out bytes.Buffer
		if got := report(&out, "test", "Go lines", half, 0, limit, false); got != want {
			t.Errorf("limit %.1f: exceeded %v, want %v (%s)", limit, got, want, out.String())
		}
	}
}

func TestRulesAreValid(t *testing.T) {
	if rules, err := readRules(rulesFile); err != nil || len(rules) == 0 {
		t.Errorf("%d rules, %v", len(rules), err)
	}
}
