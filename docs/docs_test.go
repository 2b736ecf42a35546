// Package docs_test compares the documents with the repository: the targets of links and the commands exist, excerpts equal their source, the
// reasons and versions are those of the code, and every GracefulApp in an example passes the checks of internal/plan.
package docs_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = ".."

type page struct {
	path string // from the root
	text string
}

func pages(t *testing.T) []page {
	t.Helper()
	all := filesWith(t, ".md")
	if len(all) < 8 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

// filesWith returns the repository's files whose names have one of the extensions. Generated folders do not count.
func filesWith(t *testing.T, extensions ...string) []page {
	t.Helper()
	var all []page
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "node_modules", "bin", "dist"}, entry.Name()):
			return filepath.SkipDir
		case !entry.Type().IsRegular() || !slices.Contains(extensions, filepath.Ext(path)):
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
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset)="([^"]+)"`)
	heading = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	fence   = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")
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
	if len(rows) != 5 {
		t.Errorf("%d workloads were found, want 5", len(rows))
	}
	for _, row := range rows {
		requests, lost := row[1], row[2]
		if !regexp.MustCompile(`\b` + lost + `(?: \(\+\d+\))? of ` + requests + `\b`).Match(lab) {
			t.Errorf("docs/lab.md does not say %s of %s", lost, requests)
		}
	}
}

var lossInPicture = regexp.MustCompile(`([\d,]+) of ([\d,]+) requests lost`)

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
		sums := lossInPicture.FindAllStringSubmatch(string(text), -1) // of the promised requests
		if len(sums) < 2 {
			t.Errorf("%s: %d sums were found, want one for each workload", file, len(sums))
		}
		for _, sum := range sums {
			if !regexp.MustCompile(`\| ` + sum[1] + `(?: \(\+\d+\))? of ` + sum[2] + ` \|`).Match(lab) {
				t.Errorf("%s says %q, and docs/lab.md does not", file, sum[0])
			}
		}
	}
}
