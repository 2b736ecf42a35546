package config_test

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// fakeKubectl stores the applied manifests in the file APPLIED, and answers the other commands of hack/deploy.sh as a cluster in which the operator runs.
const fakeKubectl = `#!/bin/sh
case "$*" in
*/version*) echo '"minor": "37",' ;;
apply*) cat >"$APPLIED" ;;
create*) cat >/dev/null; echo "it is derived" ;;
*path*) echo /path ;;
esac
`

var images = map[string]string{
	"a tag":                       "registry.example.com:5000/team/gracefulapp:1.2.3",
	"a tag that YAML would parse": "example.com/x:1",
	"a digest":                    "example.com/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
}

func TestKustomizeEditSetImage(t *testing.T) {
	program := kustomizeProgram(t)
	for name, image := range images {
		t.Run(name, func(t *testing.T) {
			folder := copied(t)
			edit := exec.CommandContext(t.Context(), program, "edit", "set", "image", "controller="+image, "drain-proxy="+image)
			edit.Dir = filepath.Join(folder, "manager")
			if output, err := edit.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			hasImages(t, rendered(t, filepath.Join(folder, "default")), image)
		})
	}
}

func TestDeploySetsTheImageWithoutChangingFiles(t *testing.T) {
	program := kustomizeProgram(t)
	before := contents(t)
	for name, image := range images {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			kubectl, applied := filepath.Join(folder, "kubectl"), filepath.Join(folder, "applied.yaml")
			if err := os.WriteFile(kubectl, []byte(fakeKubectl), 0o700); err != nil {
				t.Fatal(err)
			}
			deploy := exec.CommandContext(t.Context(), "../hack/deploy.sh")
			deploy.Env = append(os.Environ(), "IMG="+image, "DRAIN_PROXY_IMG="+image, "KUSTOMIZE="+program, "KUBECTL="+kubectl, "APPLIED="+applied)
			if output, err := deploy.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			manifests, err := os.ReadFile(applied)
			if err != nil {
				t.Fatal(err)
			}
			objects := objectsOf(t, string(manifests))
			hasImages(t, objects, image)
			if want := len(rendered(t, "default")); len(objects) != want {
				t.Errorf("hack/deploy.sh applies %d objects, config/default has %d", len(objects), want)
			}
		})
	}
	if !maps.Equal(before, contents(t)) {
		t.Error("hack/deploy.sh has changed a file in config")
	}
}

// kustomizeProgram returns the path of kustomize. kubectl kustomize has no edit command.
func kustomizeProgram(t *testing.T) string {
	t.Helper()
	program := os.Getenv("KUSTOMIZE")
	if program == "" {
		t.Skip("KUSTOMIZE is not set; make test builds kustomize and sets it")
	}
	return program
}

// copied copies config into a temporary folder.
func copied(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	return folder
}

func contents(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func hasImages(t *testing.T, objects []unstructured.Unstructured, image string) {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		if operator, sidecar := imagesOf(decoded[appsv1.Deployment](t, object)); operator != image || sidecar != image {
			t.Errorf("the operator has the image %s and passes on %s for the drain sidecar, want %s", operator, sidecar, image)
		}
		return
	}
	t.Error("no Deployment")
}

// imagesOf returns the operator's image, and the one that it uses for new drain sidecars.
func imagesOf(d appsv1.Deployment) (operator, sidecar string) {
	container := d.Spec.Template.Spec.Containers[0]
	for _, e := range container.Env {
		if e.Name == "DRAIN_PROXY_IMAGE" {
			sidecar = e.Value
		}
	}
	return container.Image, sidecar
}
