// Wording counts hard-to-read words in Go comments, Go strings and Markdown, and fails if a rate exceeds its limit in wording.yaml.
//
// Usage: wording [--places] [DIR]
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"

	"sigs.k8s.io/yaml"
)

//go:embed wording.yaml
var rulesFile []byte

// rule limits how often a pattern may match.
type rule struct {
	Name                     string  `json:"name"`
	Pattern                  string  `json:"pattern"`
	PerThousandGoLines       float64 `json:"perThousandGoLines"`
	PerThousandMarkdownWords float64 `json:"perThousandMarkdownWords"`

	regexp *regexp.Regexp
}

func main() {
	places := flag.Bool("places", false, "print the file and line of each match")
	flag.Parse()
	dir := "."
	if flag.NArg() > 0 {
		dir = flag.Arg(0)
	}
	if err := run(os.Stdout, dir, *places); err != nil {
		fmt.Fprintln(os.Stderr, "wording:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, dir string, places bool) error {
	rules, err := readRules(rulesFile)
	if err != nil {
		return err
	}
	goText, markdown, err := count(dir, rules)
	if err != nil {
		return err
	}
	exceeded := false
	for i, r := range rules {
		exceeded = report(w, r.Name, "Go lines", goText, i, r.PerThousandGoLines, places) || exceeded
		exceeded = report(w, r.Name, "words of Markdown", markdown, i, r.PerThousandMarkdownWords, places) || exceeded
	}
	if exceeded {
		return fmt.Errorf("a rate exceeds its limit in hack/wording/wording.yaml; rewrite the sentences that `go run ./hack/wording --places` lists")
	}
	return nil
}

func readRules(raw []byte) ([]rule, error) {
	var rules []rule
	if err := yaml.UnmarshalStrict(raw, &rules); err != nil {
		return nil, err
	}
	for i := range rules {
		var err error
		if rules[i].regexp, err = regexp.Compile("(?i)" + rules[i].Pattern); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// report prints the rate of a rule's matches and reports whether it exceeds the limit.
func report(w io.Writer, name, unit string, t tally, i int, limit float64, places bool) (exceeded bool) {
	if places {
		for _, place := range t.places[i] {
			fmt.Fprintln(w, place)
		}
	}
	rate := 1000 * float64(t.matches[i]) / float64(max(1, t.size))
	fmt.Fprintf(w, "%s: %.2f per 1,000 %s, limit %.2f\n", name, rate, unit, limit)
	return rate > limit
}
