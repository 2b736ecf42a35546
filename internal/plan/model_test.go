package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

const model = "../../docs/timing-model.md"

var (
	quoted    = regexp.MustCompile("^`([^`]+)`")
	elsewhere = regexp.MustCompile(`^\[`)
)

// TestModelIsTrue reads the tables of the document that users read: each row's case must exist and show what the row says.
func TestModelIsTrue(t *testing.T) {
	data, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(data), "\n## ")
	for _, s := range []struct {
		title string
		least int
		check func(t *testing.T, row []string)
	}{
		{"What is derived", 15, func(t *testing.T, row []string) { t.Helper(); derives(t, row[0], row[3]) }},
		{"What is refused", 12, func(t *testing.T, row []string) { t.Helper(); says(t, row[2], row[3], "errors") }},
		{"What is warned about", 20, func(t *testing.T, row []string) { t.Helper(); says(t, row[1], row[2], "warnings") }},
	} {
		rows := 0
		for _, section := range sections {
			if !strings.HasPrefix(section, s.title) {
				continue
			}
			for _, row := range rowsOf(section) {
				rows++
				t.Run(s.title+"/"+row[0]+row[1], func(t *testing.T) { s.check(t, row) })
			}
		}
		if rows < s.least {
			t.Errorf("%q has %d rows, want at least %d", s.title, rows, s.least)
		}
	}
}

// rowsOf are a table's rows without its head.
func rowsOf(section string) [][]string {
	var rows [][]string
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || len(cells) < 3 {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows[1:]
}

// outcomeNamed is a case's stored outcome; nil where the row points elsewhere, at code that a link names.
func outcomeNamed(t *testing.T, cell string) map[string]any {
	t.Helper()
	if elsewhere.MatchString(cell) {
		return nil
	}
	name := quoted.FindStringSubmatch(cell)
	if name == nil {
		t.Fatalf("no case in %q", cell)
	}
	data, err := os.ReadFile(filepath.Join("testdata", name[1]+".out.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]any{}
	if err := yaml.Unmarshal(data, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func derives(t *testing.T, cell, example string) {
	t.Helper()
	at := outcomeNamed(t, example)["objects"]
	path := quoted.FindStringSubmatch(cell)
	if path == nil {
		t.Fatalf("no field in %q", cell)
	}
	for key := range strings.SplitSeq(path[1], ".") {
		switch node := at.(type) {
		case map[string]any:
			at = node[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(node) {
				t.Fatalf("%s is a list of %d", key, len(node))
			}
			at = node[i]
		}
		if at == nil {
			t.Fatalf("%s has no %s (at %s)", example, path[1], key)
		}
	}
}

func says(t *testing.T, cell, example, kind string) {
	t.Helper()
	found := outcomeNamed(t, example)
	if found == nil || cell == "" {
		return
	}
	phrase := quoted.FindStringSubmatch(cell)
	if phrase == nil {
		t.Fatalf("no words in %q", cell)
	}
	all, _ := found[kind].([]any)
	for _, text := range all {
		if strings.Contains(text.(string), phrase[1]) {
			return
		}
	}
	t.Errorf("no %s of %s says %q: %v", kind, example, phrase[1], all)
}

const refusals = "../../docs/refusals.md"

// The page of refusals is written from the checks, so that it cannot fall behind them; -update writes it.
func TestRefusalsPage(t *testing.T) {
	var table strings.Builder
	table.WriteString("| # | rule | why | instead |\n|---|---|---|---|\n")
	for _, r := range plan.Rules() {
		if r.CEL {
			r.Rule += " (*CEL*)"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", r.Number, r.Rule, r.Why, r.Instead)
	}
	data, err := os.ReadFile(refusals)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- from internal/plan/checks.go: go test ./internal/plan -update -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has not the comments %q and %q", refusals, begin, end)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(refusals, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(data), want); diff != "" {
		t.Errorf("%s is stale; go test ./internal/plan -update writes it (-is +should be):\n%s", refusals, diff)
	}
}
