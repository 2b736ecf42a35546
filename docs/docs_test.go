// Package docs_test compares the documents with the repository: the targets of links and the commands exist, excerpts equal their source, and
// every GracefulApp in an example passes the checks of internal/plan.
package docs_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/plan"
)

const root = ".."

type page struct {
	path string // from the root
	text string
}

func pages(t *testing.T) []page {
	t.Helper()
	var all []page
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "node_modules", "bin", "dist"}, entry.Name()):
			return filepath.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		data, err := os.ReadFile(path)
		relative, _ := filepath.Rel(root, path)
		all = append(all, page{relative, string(data)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 8 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	fence   = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")
	inline  = regexp.MustCompile("`((?:make|bin/|bash|hack/|kubectl|go test)[^`]*)`")
	target  = regexp.MustCompile(`(?m)^([\w/.-]+):`)
)

func TestLinks(t *testing.T) {
	all := pages(t)
	checked := 0
	for _, p := range all {
		for _, m := range link.FindAllStringSubmatch(p.text, -1) {
			checked++
			address := m[1] + m[2]
			path, anchor, _ := strings.Cut(address, "#")
			if strings.Contains(path, "://") {
				if problem := problemOfOutside(address); problem != "" {
					t.Errorf("%s: %s: %s", p.path, address, problem)
				}
				continue
			}
			there := p.path
			if path != "" {
				there = filepath.Join(filepath.Dir(p.path), path)
			}
			if _, err := os.Stat(filepath.Join(root, there)); err != nil {
				t.Errorf("%s: %s leads nowhere", p.path, address)
				continue
			}
			if anchor != "" && !slices.Contains(anchorsOf(all, there), anchor) {
				t.Errorf("%s: %s has no heading %s", p.path, there, anchor)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d links were found", checked)
	}
}

// problemOfOutside judges the form of a link to another site. The tests have no network, so the target is not fetched.
func problemOfOutside(link string) string {
	switch address, err := url.Parse(link); {
	case err != nil:
		return err.Error()
	case address.Scheme != "https":
		return "the scheme is not https"
	case !strings.Contains(address.Host, "."), address.Path == "", address.RawQuery != "":
		return "want the address of a page, https://HOST/PATH"
	}
	return ""
}

func anchorsOf(all []page, path string) []string {
	var anchors []string
	for _, p := range all {
		if p.path != path {
			continue
		}
		for _, m := range heading.FindAllStringSubmatch(p.text, -1) {
			text := strings.ToLower(regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(m[1], ""))
			anchors = append(anchors, strings.ReplaceAll(text, " ", "-"))
		}
	}
	return anchors
}

// kubectlVerbs that documents may use.
var kubectlVerbs = []string{"apply", "patch", "scale", "wait", "get", "explain", "rollout", "delete", "drain", "edit", "annotate", "label", "replace", "logs"}

// TestCommands: a command in a shell block or in inline code exists. The README's own commands run in the end-to-end tests too.
func TestCommands(t *testing.T) {
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets = append(targets, m[1])
	}
	checked := 0
	for _, p := range pages(t) {
		for _, command := range commandsOf(p.text) {
			checked++
			if problem := problemOf(command, targets); problem != "" {
				t.Errorf("%s: %q: %s", p.path, command, problem)
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d commands were found", checked)
	}
}

func commandsOf(text string) []string {
	var commands []string
	add := func(line string) {
		for part := range strings.SplitSeq(line, "&&") {
			if part, _, _ = strings.Cut(part, " #"); strings.TrimSpace(part) != "" {
				commands = append(commands, strings.TrimSpace(part))
			}
		}
	}
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(m[2]) {
			line = strings.TrimSpace(line)
			switch {
			case m[1] == "sh" && line != "" && !strings.HasPrefix(line, "#"):
				add(line)
			case m[1] == "console" && strings.HasPrefix(line, "$ "):
				add(line[2:])
			}
		}
	}
	for _, m := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		add(strings.ReplaceAll(m[1], "\n", " "))
	}
	return commands
}

func problemOf(command string, targets []string) string {
	words := strings.Fields(quoted.ReplaceAllString(command, "QUOTED"))
	for len(words) > 1 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "-") {
		words = words[1:] // environment
	}
	switch program := words[0]; {
	case program == "make":
		for _, word := range words[1:] {
			if !strings.HasPrefix(word, "-") && !strings.Contains(word, "=") && !slices.Contains(targets, word) && isTarget(word) {
				return "the Makefile has no target " + word
			}
		}
	case program == "kubectl":
		if len(words) > 1 && !slices.Contains(kubectlVerbs, words[1]) {
			return "an unknown verb of kubectl"
		}
	case strings.HasPrefix(program, "bin/"):
		if !slices.Contains(targets, program) {
			return "the Makefile does not build " + program
		}
	case program == "bash", strings.HasPrefix(program, "hack/"):
		file := words[len(words)-1]
		if program != "bash" {
			file = program
		}
		if _, err := os.Stat(filepath.Join(root, file)); err != nil {
			return file + " does not exist"
		}
	}
	return ""
}

// quoted words may have spaces.
var quoted = regexp.MustCompile(`"[^"]*"|'[^']*'`)

var makeTarget = regexp.MustCompile(`^[a-z][a-z/-]*$`)

func isTarget(word string) bool { return makeTarget.MatchString(word) }

// TestExamples: a GracefulApp that people copy is accepted.
func TestExamples(t *testing.T) {
	checked := 0
	for _, p := range pages(t) {
		for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
			if m[1] == "yaml" && strings.Contains(m[2], "kind: GracefulApp\n") {
				checked++
				accepted(t, p.path, m[2])
			}
		}
	}
	if checked < 2 {
		t.Errorf("only %d examples were found", checked)
	}
}

func TestRecipesAreAccepted(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "config/samples/recipes/*.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d recipes were found: %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		accepted(t, file, string(text))
	}
}

func accepted(t *testing.T, where, text string) {
	t.Helper()
	app := &v1alpha1.GracefulApp{}
	if err := yaml.UnmarshalStrict([]byte(text), app); err != nil {
		t.Errorf("%s: %v\n%s", where, err, text)
		return
	}
	if _, errs, _ := plan.For(app, plan.Running{}); len(errs) > 0 {
		t.Errorf("%s: %v\n%s", where, errs, text)
	}
}

var excerpt = regexp.MustCompile("(?ms)^<!-- from (\\S+) -->\n```\\w*\n(.*?)^```")

// TestExcerpts: an excerpt of code in a document equals its source file.
func TestExcerpts(t *testing.T) {
	checked := 0
	for _, p := range pages(t) {
		for _, m := range excerpt.FindAllStringSubmatch(p.text, -1) {
			checked++
			source, err := os.ReadFile(filepath.Join(root, m[1]))
			if err != nil {
				t.Errorf("%s: %v", p.path, err)
			} else if !strings.Contains(string(source), m[2]) {
				t.Errorf("%s shows an excerpt that %s does not have:\n%s", p.path, m[1], m[2])
			}
		}
	}
	if checked < 6 {
		t.Errorf("only %d excerpts were found", checked)
	}
}

var result = regexp.MustCompile(`(?m)^\| [^|]*(?:GracefulApp|Deployment)[^|]* \| \**([\d,]+)\** \| \**([\d,]+)(?: \(\+\d+\))?\** \|$`)

// TestResultsAreTheLabs: the README repeats the sums of the lab's run.
func TestResultsAreTheLabs(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	lab, err := os.ReadFile(filepath.Join(root, "docs/lab.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := result.FindAllStringSubmatch(string(readme), -1)
	if len(rows) != 4 {
		t.Errorf("%d workloads were found, want 4", len(rows))
	}
	for _, row := range rows {
		requests, lost := row[1], row[2]
		if !regexp.MustCompile(`\b` + lost + `(?: \(\+\d+\))? of ` + requests + `\b`).Match(lab) {
			t.Errorf("docs/lab.md does not say %s of %s", lost, requests)
		}
	}
}

var lossInPicture = regexp.MustCompile(`([\d,]+ of [\d,]+) requests lost`)

// TestPictureShowsTheLabsRun: the README's picture and its alternative text repeat sums of the lab's run.
func TestPictureShowsTheLabsRun(t *testing.T) {
	lab, err := os.ReadFile(filepath.Join(root, "docs/lab.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"README.md", "docs/images/lab-scale-light.svg", "docs/images/lab-scale-dark.svg"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		sums := lossInPicture.FindAllStringSubmatch(string(text), -1)
		if len(sums) < 2 {
			t.Errorf("%s: %d sums were found, want one for each workload", file, len(sums))
		}
		for _, sum := range sums {
			if !strings.Contains(string(lab), "| "+sum[1]+" |") {
				t.Errorf("%s says %q, and docs/lab.md does not", file, sum[0])
			}
		}
	}
}
