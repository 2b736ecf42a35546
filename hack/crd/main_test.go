package main

import (
	"bytes"
	"os"
	"reflect"
	"testing"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// The CRD of the repository is finished: doing it again changes nothing, and it has lost nothing on the way.
func TestFinishIsIdempotent(t *testing.T) {
	raw, err := os.ReadFile("../../config/crd/bases/apps.gracefulapp.dev_gracefulapps.yaml")
	if err != nil {
		t.Fatal(err)
	}
	again, err := finish(raw, reflect.TypeFor[v1alpha1.GracefulApp]())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(raw, again) {
		t.Error("config/crd/bases is not what hack/crd writes; run make manifests")
	}
}

func TestFinishRefusesWhatItDoesNotKnow(t *testing.T) {
	if _, err := finish([]byte("kind: CustomResourceDefinition\nnonsense: true\n"), reflect.TypeFor[v1alpha1.GracefulApp]()); err == nil {
		t.Error("an unknown field would be dropped without a word")
	}
}
