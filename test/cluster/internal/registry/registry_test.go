package registry

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/image"
)

func archive(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "hello")
	if err := os.WriteFile(binary, []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(dir, "hello.tar"))
	if err != nil {
		t.Fatal(err)
	}
	if err := image.Archive(f, name, binary); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New())
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	for given, want := range map[string]string{
		"ghcr.io/gracefulapp/hello:0.1.0": "ghcr.io/gracefulapp/hello:0.1.0",
		"example.org:80/a/b/hello:1":      "example.org:80/a/b/hello:1",
		"localhost/hello:1":               "docker.io/library/hello:1", // buildah's name; a pod has the image hello:1
	} {
		names, err := Push(t.Context(), address, archive(t, given))
		if err != nil || !reflect.DeepEqual(names, []string{want}) {
			t.Fatalf("%s: %v, %v", given, names, err)
		}
		_, path, _ := strings.Cut(want, "/")
		reference, err := name.ParseReference(address + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		pulled, err := remote.Image(reference)
		if err != nil {
			t.Fatalf("%s: %v", given, err)
		}
		if config, err := pulled.ConfigFile(); err != nil || !reflect.DeepEqual(config.Config.Entrypoint, []string{"/hello"}) {
			t.Errorf("%s: %v, %v", given, config, err)
		}
	}
}

func TestPushReturnsAnErrorForAnotherFile(t *testing.T) {
	text := filepath.Join(t.TempDir(), "x.tar")
	if err := os.WriteFile(text, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		text:           "unpacking",
		archive(t, ""): "without a name",
	} {
		if _, err := Push(t.Context(), "127.0.0.1:1", file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
