package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestNormalise(t *testing.T) {
	for given, want := range map[string]string{
		"hello:0.1.0":                    "docker.io/library/hello:0.1.0",
		"localhost/hello:0.1.0":          "docker.io/library/hello:0.1.0", // as buildah names it
		"docker.io/library/hello:0.1.0":  "docker.io/library/hello:0.1.0",
		"team/hello:0.1.0":               "docker.io/team/hello:0.1.0",
		"localhost/team/hello:0.1.0":     "docker.io/team/hello:0.1.0",
		"example.org/hello":              "example.org/hello:latest",
		"localhost:5000/hello:1":         "localhost:5000/hello:1", // a registry, not buildah's prefix
		"index.docker.io/library/hello":  "docker.io/library/hello:latest",
		"hello":                          "docker.io/library/hello:latest",
		"example.org/h@sha256:00112233":  "example.org/h@sha256:00112233",
		"example.org:80/a/b/hello:1.2-3": "example.org:80/a/b/hello:1.2-3",
	} {
		if got := normalise(given); got != want {
			t.Errorf("%s: got %s, want %s", given, got, want)
		}
	}
}

func archiveOf(t *testing.T, files map[string]string) *bytes.Buffer {
	t.Helper()
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	for name, content := range files {
		if err := writeFile(out, name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func readArchive(t *testing.T, from io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	in := tar.NewReader(from)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(content)
	}
}

func TestRename(t *testing.T) {
	for _, test := range []struct {
		name, file, content string
		want                []string
	}{
		{
			"OCI archive of buildah", "index.json",
			`{"schemaVersion":2,"manifests":[{"digest":"sha256:1","size":503,"annotations":{"org.opencontainers.image.ref.name":"localhost/hello:0.1.0"}}]}`,
			[]string{"docker.io/library/hello:0.1.0"},
		},
		{
			"OCI archive with containerd's name, which wins over a bare tag", "index.json",
			`{"manifests":[{"annotations":{"io.containerd.image.name":"example.org/a:1","org.opencontainers.image.ref.name":"1"}}]}`,
			[]string{"example.org/a:1"},
		},
		{
			"docker archive with two names for one image", "manifest.json",
			`[{"Config":"c.json","RepoTags":["localhost/hello:0.1.0","docker.io/library/hello:0.1.0"]}]`,
			[]string{"docker.io/library/hello:0.1.0"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var renamed bytes.Buffer
			names, err := Rename(&renamed, archiveOf(t, map[string]string{test.file: test.content, "blobs/x": "content"}))
			if err != nil || !reflect.DeepEqual(names, test.want) {
				t.Fatalf("got %v, %v", names, err)
			}
			files := readArchive(t, &renamed)
			if files["blobs/x"] != "content" {
				t.Error("other files must stay as they are")
			}
			if strings.Contains(files[test.file], "localhost/") || !strings.Contains(files[test.file], test.want[0]) {
				t.Errorf("got %s", files[test.file])
			}
		})
	}
}

func TestRenameRefusesAnArchiveWithoutNames(t *testing.T) {
	files := map[string]string{"index.json": `{"manifests":[{"digest":"sha256:1"}]}`}
	if _, err := Rename(io.Discard, archiveOf(t, files)); err == nil {
		t.Error("no error")
	}
}

func TestArchiveIsCompleteAndRepeatable(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "pause")
	if err := os.WriteFile(binary, []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, to := range []*bytes.Buffer{&first, &second} {
		if err := Archive(to, Pause, binary); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of one binary differ")
	}
	files := readArchive(t, &first)
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal([]byte(files["index.json"]), &index); err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	if err := json.Unmarshal([]byte(files[path(index.Manifests[0].Digest)]), &manifest); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{manifest.Config.Digest, manifest.Layers[0].Digest} {
		if content, ok := files[path(d)]; !ok || digest([]byte(content)) != d {
			t.Errorf("%s is missing or has another content", d)
		}
	}
}

func path(digest string) string { return "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:") }
