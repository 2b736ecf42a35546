package config

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/image"
)

// all sets every variable of the templates, so that a misspelt variable fails in this test and not in a running node.
var all = values{
	Node: 2, PKI: "/pki", Config: "/config", CNIPlugins: "/cni", DNS: "198.19.0.10", PodsCIDR: "198.18.128.0/17",
	PodCIDR: "198.18.129.0/24", ProxyMode: "iptables", PauseImage: image.Pause, CoreDNSImage: image.CoreDNS,
	Registry: netip.MustParseAddrPort("198.18.3.1:5000"),
}

func TestTemplates(t *testing.T) {
	for name, want := range map[string]string{
		"kubelet.yaml":    "tlsCertFile: /pki/kubelet2-server.crt",
		"proxy.yaml":      "mode: iptables",
		"containerd.toml": "sandbox = '" + image.Pause + "'",
		"cni.conflist":    `"subnet": "198.18.129.0/24"`,
		"hosts.toml":      `[host."http://198.18.3.1:5000"]`,
		"resolv.conf":     "nameserver 198.19.0.10",
		"bootstrap.yaml":  "image: " + image.CoreDNS,
		"audit.yaml":      "group: apps.gracefulapp.dev",
	} {
		file := filepath.Join(t.TempDir(), name)
		if err := render(name, file, all); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if raw, err := os.ReadFile(file); err != nil || !strings.Contains(string(raw), want) {
			t.Errorf("%s: no %q in\n%s", name, want, raw)
		}
	}
}

func TestRenderDoesNotRewriteAnEqualFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "proxy.yaml")
	if err := render("proxy.yaml", file, all); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o400); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := render("proxy.yaml", file, all); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(file); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Error("the file was written again: kube-proxy would exit")
	}
}
