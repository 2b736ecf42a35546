package main

import (
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestFirstSentence(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"keeps a text of one sentence":  {"Host name to connect to.", "Host name to connect to."},
		"keeps a text without an end":   {"Added capabilities", "Added capabilities"},
		"joins lines":                   {"ContainerPort represents a port\nin a container. More.", "ContainerPort represents a port in a container."},
		"does not end in e.g.":          {"Describes rules (e.g. co-locate this pod, etc. as others). Second.", "Describes rules (e.g. co-locate this pod, etc. as others)."},
		"does not end in e.g. X":        {"Describes rules, e.g. POSIX capabilities. Second.", "Describes rules, e.g. POSIX capabilities."},
		"does not end in i.e.":          {"Matches no objects (i.e. is a no-op). Second.", "Matches no objects (i.e. is a no-op)."},
		"ends in etc. before a capital": {"Called before a failure, preemption, etc. The handler waits.", "Called before a failure, preemption, etc."},
		"does not end inside a URL":     {"The webhook (https://example.org/a.b/c.md) inlines it. Second.", "The webhook (https://example.org/a.b/c.md) inlines it."},
		"does not end inside a version": {"Requires v1.34.2 or later. Second.", "Requires v1.34.2 or later."},
		"does not end inside a path":    {"Supports metadata.name, spec.nodeName. Second.", "Supports metadata.name, spec.nodeName."},
		"ends before a reference":       {"Compute resources required\nMore info: https://kubernetes.io/", "Compute resources required"},
		"ends before a list":            {"A special group that owns the volume:\n\n1. The owning GID\n2. The bit", "A special group that owns the volume."},
		"ends before a list at once":    {"Must be one of these values:\n- A\n- B", "Must be one of these values."},
		"ends at an empty line":         {"ServicePort contains information\n\nAlpha.", "ServicePort contains information"},
		"takes a label's sentence too":  {"Deprecated. TCPSocket is NOT supported. Third.", "Deprecated. TCPSocket is NOT supported."},
		"ends in a quote":               {"Supports \"ClientIP\" and \"None.\" Used for affinity.", "Supports \"ClientIP\" and \"None.\""},
		"leaves nothing of nothing":     {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := firstSentence(test.text); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if again := firstSentence(test.want); again != test.want {
				t.Errorf("a second run makes %q of it", again)
			}
		})
	}
}

func TestShortensOnlyEmbeddedTypes(t *testing.T) {
	const text = "The first sentence. The second."
	described := func(children map[string]apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
		return apiextensionsv1.JSONSchemaProps{Type: "object", Description: text, Properties: children}
	}
	type properties = map[string]apiextensionsv1.JSONSchemaProps
	schema := described(properties{"spec": described(properties{
		"template": described(properties{"spec": described(nil)}),
		"service":  described(properties{"spec": described(properties{"type": described(nil)})}),
		"timing":   described(nil),
	})})

	shortenDescriptions(&schema)

	want := map[string]string{
		"": text, ".spec": text, ".spec.timing": text, ".spec.template": text, ".spec.service": text, ".spec.service.spec": text,
		".spec.template.spec": "The first sentence.", ".spec.service.spec.type": "The first sentence.",
	}
	walk("", &schema, func(path string, node *apiextensionsv1.JSONSchemaProps) {
		if node.Description != want[path] {
			t.Errorf("%q: got %q, want %q", path, node.Description, want[path])
		}
	})
}

func TestUnwrapJoinsTheLinesOfAParagraph(t *testing.T) {
	tests := map[string]string{
		"one\ntwo":              "one two",
		"one\n\ntwo\nthree":     "one\n\ntwo three",
		"list:\n- one\n- two":   "list:\n- one\n- two",
		"in order\n1. one":      "in order\n1. one",
		"at most\n86400. Not 9": "at most 86400. Not 9",
		"indented\n  as it is":  "indented\n  as it is",
	}
	for text, want := range tests {
		if got := unwrap(text); got != want {
			t.Errorf("unwrap(%q) = %q, want %q", text, got, want)
		}
	}
}
