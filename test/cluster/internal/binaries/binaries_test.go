package binaries

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, target := range targets {
		if err := os.MkdirAll(filepath.Join(dir, target.module), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, target.module, "go.mod"), []byte("module x\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKeyDependsOnTheSourcesAndNotOnTheirFolder(t *testing.T) {
	first, second := sources(t), sources(t)
	one, err := key(first)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := key(second); err != nil || other != one {
		t.Errorf("another clone has another key: %s and %s, %v", one, other, err)
	}
	if err := os.WriteFile(filepath.Join(second, "etcd", "go.mod"), []byte("module y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if changed, err := key(second); err != nil || changed == one {
		t.Errorf("another version has the same key, %v", err)
	}
}

// The versions in Versions and in `kubectl version` must be those that go.mod pins.
func TestVersionsArePinned(t *testing.T) {
	for module, want := range map[string]string{
		"kubernetes": "k8s.io/kubernetes v1.37.2",
		"etcd":       "go.etcd.io/etcd/server/v3 v3.7.3",
		"containerd": "github.com/containerd/containerd/v2 v2.4.2",
		"coredns":    "github.com/coredns/coredns v1.15.0",
	} {
		raw, err := os.ReadFile(filepath.Join("../../build", module, "go.mod"))
		if err != nil || !strings.Contains(string(raw), want) {
			t.Errorf("%s is not pinned to %s: %v", module, want, err)
		}
		number := strings.TrimPrefix(want[strings.LastIndex(want, " v")+1:], "v")
		if !strings.Contains(Versions, number) {
			t.Errorf("%s is not in %q", number, Versions)
		}
		if module == "kubernetes" && !strings.Contains(version, "gitVersion=v"+number) {
			t.Errorf("%s is not in %q", number, version)
		}
	}
}
