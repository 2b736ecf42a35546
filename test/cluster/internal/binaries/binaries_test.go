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
	for _, target := range sets[Current].targets {
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
	one, err := sets[Current].key(first)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := sets[Current].key(second); err != nil || other != one {
		t.Errorf("another clone has another key: %s and %s, %v", one, other, err)
	}
	if err := os.WriteFile(filepath.Join(second, "etcd", "go.mod"), []byte("module y\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if changed, err := sets[Current].key(second); err != nil || changed == one {
		t.Errorf("another version has the same key, %v", err)
	}
}

// The texts of a set and `kubectl version` must have the versions that go.mod pins.
func TestVersionsArePinned(t *testing.T) {
	for kubernetes, pins := range map[string]map[string]string{
		Current: {
			"kubernetes": "k8s.io/kubernetes v1.37.2",
			"etcd":       "go.etcd.io/etcd/server/v3 v3.7.3",
			"containerd": "github.com/containerd/containerd/v2 v2.4.2",
			"coredns":    "github.com/coredns/coredns v1.15.0",
		},
		"1.34": {
			"kubernetes-1.34": "k8s.io/kubernetes v1.34.4",
			"etcd":            "go.etcd.io/etcd/server/v3 v3.7.3",
		},
	} {
		tested := sets[kubernetes]
		pinned := 0
		for _, target := range tested.targets {
			want, ok := pins[target.module]
			if !ok {
				continue // a program of ours
			}
			pinned++
			raw, err := os.ReadFile(filepath.Join("../../build", target.module, "go.mod"))
			if err != nil || !strings.Contains(string(raw), want) {
				t.Errorf("%s is not pinned to %s: %v", target.module, want, err)
			}
			number := strings.TrimPrefix(want[strings.LastIndex(want, " v")+1:], "v")
			if !strings.Contains(tested.versions, number) {
				t.Errorf("%s is not in %q", number, tested.versions)
			}
			if strings.HasPrefix(target.module, "kubernetes") && !strings.Contains(target.ldflags, "gitVersion=v"+number) {
				t.Errorf("%s is not in %q", number, target.ldflags)
			}
		}
		if pinned != len(pins) {
			t.Errorf("%s: %d modules are pinned, want %d", kubernetes, pinned, len(pins))
		}
	}
}

func TestAVersionWithoutABuildIsRefused(t *testing.T) {
	if _, err := Ensure(t.Context(), "1.33"); err == nil || !strings.Contains(err.Error(), "1.34, 1.37") {
		t.Errorf("got %v", err)
	}
}
