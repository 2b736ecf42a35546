package main

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// embedded are the paths of Kubernetes' own types in the schema. kubernetes.io has their documentation. With all of it the CRD would
// not fit into the annotation (262,144 bytes) that client-side `kubectl apply` writes.
var embedded = []string{".spec.template.", ".spec.service.spec."}

// shortenDescriptions keeps the first sentence of every description of an embedded type, and all of GracefulApp's own descriptions.
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

// ownLine matches a line that unwrap must not join to the line before: it is empty, indented, or a list item.
var ownLine = regexp.MustCompile(`^($|\s|[-*]\s|\d{1,2}[.)]\s)`)

// unwrap joins the lines of each paragraph: kubectl explain wraps the text again, which would break each line a second time.
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
	// paragraphEnd matches the end of a paragraph without a full stop: an empty line, a list, or one of the phrases that start
	// a new line in Kubernetes' comments.
	paragraphEnd = regexp.MustCompile(`\n\s*\n|\n\s*([-*]|\d+[.)])\s|\n\s*(More info:|Defaults to|Default is|Deprecated:|Optional:|Valid values|Possible values)`)

	// sentenceEnd matches a full stop, optional closing brackets and quotes, and the space after it.
	sentenceEnd = regexp.MustCompile("[.!?][)\"'`]*\\s")

	// abbreviation matches a text that ends with an abbreviation, so its last full stop does not end the sentence.
	abbreviation = regexp.MustCompile(`(?i)(^|[\s(])(e\.g|i\.e|vs|cf|resp|approx|incl)\.$`)
)

// minSentence is the shortest first sentence. A shorter one is a label ("Deprecated."), and firstSentence keeps the next sentence too.
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
	// The colon introduced a list that was cut off.
	if cut, found := strings.CutSuffix(text, ":"); found {
		return cut + "."
	}
	return text
}

// endsSentence reports whether the full stop at index stop ends a sentence. The following word starts at index next.
func endsSentence(text string, stop, next int) bool {
	following, _ := utf8.DecodeRuneInString(text[next:])
	return !unicode.IsLower(following) && !abbreviation.MatchString(text[:stop+1])
}
