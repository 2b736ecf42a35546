package docs_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var glossaryRow = regexp.MustCompile(`(?m)^\| ([^|]+?) \| [^|]+ \| (.*?) ?\|$`)

// TestGlossary: the terms are in alphabetical order, another page uses each of them, and each links to the page that says more.
func TestGlossary(t *testing.T) {
	all := pages(t)
	i := slices.IndexFunc(all, func(p page) bool { return p.path == "docs/glossary.md" })
	if i < 0 {
		t.Fatal("there is no glossary")
	}
	_, rows, _ := strings.Cut(all[i].text, "|---|---|---|\n")
	terms := []string{}
	for _, row := range glossaryRow.FindAllStringSubmatch(rows, -1) {
		term, more := row[1], row[2]
		terms = append(terms, strings.ToLower(term))
		word := regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(term) + `s?\b`)
		if !slices.ContainsFunc(slices.Delete(slices.Clone(all), i, i+1), func(p page) bool { return word.MatchString(p.text) }) {
			t.Errorf("no other page uses the term %q", term)
		}
		if more == "" && !strings.Contains(row[0], "see *") {
			t.Errorf("the term %q links to no page", term)
		}
	}
	if len(terms) < 20 {
		t.Errorf("only %d terms were found", len(terms))
	}
	if !slices.IsSorted(terms) {
		t.Errorf("the terms are not in alphabetical order: %q", terms)
	}
}
