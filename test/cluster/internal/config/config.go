// Package config renders the components' configuration files into the instance's folder. The paths in them are those inside a node.
package config

import (
	"bytes"
	"embed"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"text/template"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/image"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
	"github.com/gracefulapp/gracefulapp/test/cluster/internal/pki"
)

//go:embed templates
var templates embed.FS

// values are the variables of the templates.
type values struct {
	Node                               int
	PKI, Config, CNIPlugins            string
	DNS, PodsCIDR, PodCIDR, PodsCgroup string
	ProxyMode                          string
	PauseImage, CoreDNSImage           string
	Registry                           netip.AddrPort
}

// proxyModes are the modes of kube-proxy by node. They differ because users have both, and the time in which they apply a change differs.
var proxyModes = map[int]string{1: "nftables", 2: "iptables"}

// Bootstrap returns the file with the objects that are applied first.
func Bootstrap(i *instance.Instance) string { return filepath.Join(i.Config(), "bootstrap.yaml") }

// Write renders all files, also those of an existing instance: it gets the settings of an updated program at its next start.
func Write(i *instance.Instance, cniPlugins string) error {
	if err := writeShared(i); err != nil {
		return fmt.Errorf("writing the configuration of %q: %w", i.Name, err)
	}
	for n := 1; n <= instance.Nodes; n++ {
		if err := writeNode(i, n, cniPlugins); err != nil {
			return fmt.Errorf("writing the configuration of %s: %w", i.NodeName(n), err)
		}
	}
	return nil
}

func writeShared(i *instance.Instance) error {
	v := values{DNS: instance.DNSService, CoreDNSImage: image.CoreDNS}
	if err := render("bootstrap.yaml", Bootstrap(i), v); err != nil {
		return err
	}
	if err := render("audit.yaml", filepath.Join(i.Config(), "audit.yaml"), v); err != nil {
		return err
	}
	for _, user := range []string{"controller-manager", "scheduler"} {
		if err := kubeconfig(i, user, insideURL(i), filepath.Join(i.Config(), user+".kubeconfig")); err != nil {
			return err
		}
	}
	return kubeconfig(i, "admin", i.APIServer(), i.Kubeconfig())
}

func writeNode(i *instance.Instance, n int, cniPlugins string) error {
	dir, inside := instance.NodeConfig(i.Dir(), n), instance.NodeConfig(instance.InsideState, n)
	v := values{
		Node: n, PKI: filepath.Join(instance.InsideState, "pki"), Config: inside, CNIPlugins: cniPlugins,
		DNS: instance.DNSService, PodsCIDR: instance.PodsCIDR, PodCIDR: instance.PodCIDR(n),
		ProxyMode: proxyModes[n], PauseImage: image.Pause, Registry: netip.AddrPortFrom(i.NodeAddress(1), instance.RegistryPort),
	}
	files := map[string]string{
		"kubelet.yaml": "kubelet.yaml", "proxy.yaml": "proxy.yaml", "containerd.toml": "containerd.toml",
		"resolv.conf": "resolv.conf", "cni.conflist": "cni/10-pods.conflist", "hosts.toml": "certs.d/_default/hosts.toml",
	}
	for from, to := range files {
		if err := render(from, filepath.Join(dir, to), v); err != nil {
			return err
		}
	}
	if err := kubeconfig(i, fmt.Sprintf("kubelet%d", n), insideURL(i), filepath.Join(dir, "kubelet.kubeconfig")); err != nil {
		return err
	}
	return kubeconfig(i, "proxy", insideURL(i), filepath.Join(dir, "proxy.kubeconfig"))
}

// insideURL returns the API server's URL for the nodes.
func insideURL(i *instance.Instance) string {
	return fmt.Sprintf("https://%s:%d", i.NodeAddress(1), instance.APIServerPort)
}

// kubeconfig writes a kubeconfig that includes its certificates, so that it can be copied anywhere.
func kubeconfig(i *instance.Instance, user, server, file string) error {
	encoded := map[string]string{}
	for key, name := range map[string]string{"CA": pki.CA + ".crt", "Certificate": user + ".crt", "Key": user + ".key"} {
		raw, err := os.ReadFile(filepath.Join(i.PKI(), name))
		if err != nil {
			return err
		}
		encoded[key] = base64.StdEncoding.EncodeToString(raw)
	}
	encoded["Context"], encoded["User"], encoded["Server"] = "gracefulapp-"+i.Name, user, server
	return render("kubeconfig.yaml", file, encoded)
}

// render writes a template's result unless the file has it already: kube-proxy exits when its configuration file is written. Only root may
// read the file, because a kubeconfig includes a private key.
func render(name, file string, data any) error {
	t, err := template.New(name).Option("missingkey=error").ParseFS(templates, "templates/"+name)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return err
	}
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, out.Bytes()) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, out.Bytes(), 0o600)
}
