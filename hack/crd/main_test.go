package main

import (
	"bytes"
	"os"
	"testing"
)

// The CRD of the repository is complete, so completing it again changes nothing.
func TestCompleteIsIdempotent(t *testing.T) {
	raw, err := os.ReadFile("../../config/crd/bases/apps.gracefulapp.dev_gracefulapps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	again, err := complete(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, again) {
		t.Error("config/crd/bases differs from the output of hack/crd; run make manifests")
	}
}

func TestCompleteRefusesUnknownFields(t *testing.T) {
	if _, err := complete([]byte("kind: CustomResourceDefinition\nnonsense: true\n")); err == nil {
		t.Error("want an error, not a CRD without the unknown field")
	}
}
