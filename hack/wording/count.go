package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// skipped are folders without texts of this project.
var skipped = []string{".git", "node_modules", "bin", "dist", "testdata"}

// goTexts matches the comments and strings in a line of Go.
var goTexts = regexp.MustCompile("//.*|\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`")

// tally has the size of a kind of text, in lines or words, and the matches of each rule.
type tally struct {
	size    int
	matches []int
	places  [][]string
}

func newTally(rules []rule) tally {
	return tally{matches: make([]int, len(rules)), places: make([][]string, len(rules))}
}

// count counts the matches of the rules in the Go files, except generated ones, and in the Markdown files of a folder.
func count(dir string, rules []rule) (goText, markdown tally, err error) {
	goText, markdown = newTally(rules), newTally(rules)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipped, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		switch {
		case strings.HasSuffix(path, ".go") && !strings.HasPrefix(d.Name(), "zz_generated"):
			return goText.add(path, rules, func(string) int { return 1 }, func(line string) string {
				return strings.Join(goTexts.FindAllString(line, -1), " ")
			})
		case strings.HasSuffix(path, ".md"):
			return markdown.add(path, rules, func(line string) int { return len(strings.Fields(line)) }, func(line string) string { return line })
		}
		return nil
	})
	return goText, markdown, err
}

// add counts the matches in a file. size returns the size of a line, text the part of a line that the rules apply to.
func (t *tally) add(path string, rules []rule, size func(line string) int, text func(line string) string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		t.size += size(line)
		for i, r := range rules {
			if matches := len(r.regexp.FindAllString(text(line), -1)); matches > 0 {
				t.matches[i] += matches
				t.places[i] = append(t.places[i], fmt.Sprintf("%s:%d: %s", path, n, strings.TrimSpace(line)))
			}
		}
	}
	return nil
}
