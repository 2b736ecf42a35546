package plan_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/internal/plan"
)

const model = "../../docs/timing-model.md"

var (
	quoted     = regexp.MustCompile("^`([^`]+)`")
	otherRules = regexp.MustCompile(`^\[.*\]\((.*)\)`)
	// warns finds the warnings in the code of dry run and webhook.
	warns = regexp.MustCompile(`(?:\.warn\(|admission\.Warnings\{)"([^"]*)"`)
)

// TestModelIsTrue checks the tables of docs/timing-model.md: each row's case must exist and must contain the row's field or words.
func TestModelIsTrue(t *testing.T) {
	for _, s := range []struct {
		title string
		least int
		check func(t *testing.T, row []string)
	}{
		{title: "Derived fields", least: 15, check: func(t *testing.T, row []string) { t.Helper(); derives(t, row[0], row[3]) }},
		{title: "With a drain sidecar", least: 4, check: func(t *testing.T, row []string) { t.Helper(); derives(t, row[0], row[3]) }},
		{title: "Rejected values", least: 12, check: func(t *testing.T, row []string) { t.Helper(); says(t, row[2], row[3], "errors") }},
		{title: "What is warned about", least: len(plan.Warnings()), check: func(t *testing.T, row []string) { t.Helper(); says(t, row[1], row[2], "warnings") }},
	} {
		rows := rowsOf(section(t, s.title))
		for _, row := range rows {
			t.Run(s.title+"/"+row[0]+row[1], func(t *testing.T) { s.check(t, row) })
		}
		if len(rows) < s.least {
			t.Errorf("%q has %d rows, want at least %d", s.title, len(rows), s.least)
		}
	}
}

// section returns the model's section with this title.
func section(t *testing.T, title string) string {
	t.Helper()
	data, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(data), "\n## "+title+"\n")
	if !found {
		t.Fatalf("%s has no section about %q", model, title)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// rowsOf returns a table's rows without its header.
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

// TestModelKnowsEveryWarning: the model's table has the same warnings as docs/refusals.md, by the same names, and those of webhook and dry run.
func TestModelKnowsEveryWarning(t *testing.T) {
	var known, words, want []string
	for _, row := range rowsOf(section(t, "What is warned about")) {
		known, words = append(known, row[0]), append(words, strings.Trim(row[1], "`"))
	}
	for _, w := range plan.Warnings() {
		want = append(want, w.When)
	}
	if diff := cmp.Diff(want, known); diff != "" {
		t.Errorf("warnings of internal/plan/warnings.go and of %s (-code +model):\n%s", model, diff)
	}
	for _, file := range []string{"../children/dryrun.go", "../webhook/validator.go"} {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all := warns.FindAllStringSubmatch(string(code), -1)
		if len(all) < 2 {
			t.Errorf("only %d warnings were found in %s", len(all), file)
		}
		for _, m := range all {
			if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(m[1], w) }) {
				t.Errorf("%s warns %q, which stands neither in %s nor in internal/plan/warnings.go", file, m[1], model)
			}
		}
	}
}

// outcomeNamed returns the stored outcome of the case that the cell names.
func outcomeNamed(t *testing.T, cell string) map[string]any {
	t.Helper()
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

// says checks that the example contains the words: a case in its outcome, a linked source file in its text.
func says(t *testing.T, cell, example, kind string) {
	t.Helper()
	if cell == "" {
		return
	}
	phrase := quoted.FindStringSubmatch(cell)
	if phrase == nil {
		t.Fatalf("no words in %q", cell)
	}
	if code := otherRules.FindStringSubmatch(example); code != nil {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(model), code[1]))
		if err != nil || !strings.Contains(string(data), phrase[1]) {
			t.Errorf("%s does not say %q (%v)", code[1], phrase[1], err)
		}
		return
	}
	all, _ := outcomeNamed(t, example)[kind].([]any)
	for _, text := range all {
		if strings.Contains(text.(string), phrase[1]) {
			return
		}
	}
	t.Errorf("no %s of %s says %q: %v", kind, example, phrase[1], all)
}

const refusals = "../../docs/refusals.md"

// TestRefusalsPage compares the tables of docs/refusals.md with the checks and the warnings; -update writes them.
func TestRefusalsPage(t *testing.T) {
	var rules, warnings strings.Builder
	rules.WriteString("| # | rule | why | instead |\n|---|---|---|---|\n")
	for _, r := range plan.Rules() {
		if r.CEL {
			r.Rule += " (*CEL*)"
		}
		fmt.Fprintf(&rules, "| %s | %s | %s | %s |\n", r.Number, r.Rule, r.Why, r.Instead)
	}
	warnings.WriteString("| warning | why | instead |\n|---|---|---|\n")
	for _, w := range plan.Warnings() {
		fmt.Fprintf(&warnings, "| %s | %s | %s |\n", w.When, w.Why, w.Instead)
	}
	data, err := os.ReadFile(refusals)
	if err != nil {
		t.Fatal(err)
	}
	want := replaceTable(t, string(data), "internal/plan/checks.go", rules.String())
	want = replaceTable(t, want, "internal/plan/warnings.go", warnings.String())
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

// replaceTable puts a table between the comment that names its source and the next end.
func replaceTable(t *testing.T, page, source, table string) string {
	t.Helper()
	begin, end := "<!-- from "+source+": go test ./internal/plan -update -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(page, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has not the comments %q and %q", refusals, begin, end)
	}
	return before + begin + table + end + after
}
