package main

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// embedded are the places where Kubernetes' own types hang in our schema. Their documentation is published elsewhere;
// with all of it the CRD would not fit into the annotation (262,144 bytes) that plain `kubectl apply` writes.
var embedded = []string{".spec.template.", ".spec.service.spec."}

// shortenDescriptions keeps the first sentence of every description beneath the embedded types and all of our own.
func shortenDescriptions(schema *apiextensionsv1.JSONSchemaProps) {
	walk("", schema, func(path string, node *apiextensionsv1.JSONSchemaProps) {
		for _, prefix := range embedded {
			if strings.HasPrefix(path, prefix) {
				node.Description = firstSentence(node.Description)
			}
		}
		node.Description = unwrap(node.Description)
	})
}

// ownLine matches a line that stays one: it is empty, indented, or a list's item.
var ownLine = regexp.MustCompile(`^($|\s|[-*]\s|\d{1,2}[.)]\s)`)

// unwrap joins the lines of a paragraph, for kubectl explain breaks lines itself, and would break each of ours once more.
func unwrap(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if last := len(lines) - 1; last >= 0 && lines[last] != "" && !ownLine.MatchString(line) {
			lines[last] += " " + line
		} else {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

var (
	// paragraphEnd is where a text breaks off without a full stop: an empty line, a list, or one of the phrases with
	// which Kubernetes' comments begin a line of their own.
	paragraphEnd = regexp.MustCompile(`\n\s*\n|\n\s*([-*]|\d+[.)])\s|\n\s*(More info:|Defaults to|Default is|Deprecated:|Optional:|Valid values|Possible values)`)

	// sentenceEnd is a full stop, perhaps inside a closing bracket or quote, and the space after it.
	sentenceEnd = regexp.MustCompile("[.!?][)\"'`]*\\s")

	// abbreviation is what a full stop belongs to without ending a sentence.
	abbreviation = regexp.MustCompile(`(?i)(^|[\s(])(e\.g|i\.e|vs|cf|resp|approx|incl)\.$`)
)

// minSentence is the length under which a sentence is taken for a label ("Deprecated.") that needs the next one.
const minSentence = 15

// firstSentence returns the first sentence of a description as one line.
func firstSentence(text string) string {
	text = strings.TrimSpace(text)
	if end := paragraphEnd.FindStringIndex(text); end != nil && end[0] >= minSentence {
		text = text[:end[0]]
	}
	text = strings.Join(strings.Fields(text), " ")
	for _, end := range sentenceEnd.FindAllStringIndex(text, -1) {
		if end[0] >= minSentence && endsSentence(text, end[0], end[1]) {
			return strings.TrimSpace(text[:end[1]])
		}
	}
	// What introduced a list that was cut off no longer introduces anything.
	if cut, found := strings.CutSuffix(text, ":"); found {
		return cut + "."
	}
	return text
}

// endsSentence tells whether the full stop at stop ends a sentence; next is where the following word begins.
func endsSentence(text string, stop, next int) bool {
	following, _ := utf8.DecodeRuneInString(text[next:])
	return !unicode.IsLower(following) && !abbreviation.MatchString(text[:stop+1])
}
