// Package pki creates the certificates of a cluster, with the same names and groups as kubeadm.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

// Names of the three CAs, as in kubeadm. A client certificate of the cluster must not give access to etcd or to the front proxy.
const (
	CA           = "ca"
	EtcdCA       = "etcd-ca"
	FrontProxyCA = "front-proxy-ca"
)

// ServiceAccount is the name of the key pair that signs and verifies service account tokens.
const ServiceAccount = "service-account"

// certificate describes a certificate to create.
type certificate struct {
	name         string
	authority    string
	commonName   string
	organization string
	// hosts are the names and addresses of a server certificate. Without them it is no server certificate.
	hosts []string
	// client is true for a client certificate.
	client bool
}

// Ensure writes all certificates of an instance unless they exist. It creates the folder by a rename, so that an interrupted run does not
// leave an incomplete folder.
func Ensure(i *instance.Instance) error {
	if _, err := os.Stat(i.PKI()); err == nil {
		return nil
	}
	dir := i.PKI() + ".new"
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := writeAll(dir, certificates(i)); err != nil {
		return fmt.Errorf("creating certificates: %w", err)
	}
	return os.Rename(dir, i.PKI())
}

func writeAll(dir string, all []certificate) error {
	authorities := map[string]*authority{}
	for _, name := range []string{CA, EtcdCA, FrontProxyCA} {
		a, err := newAuthority(dir, name)
		if err != nil {
			return err
		}
		authorities[name] = a
	}
	for _, c := range all {
		subject := pkix.Name{CommonName: c.commonName}
		if c.organization != "" {
			subject.Organization = []string{c.organization}
		}
		var usage []x509.ExtKeyUsage
		if len(c.hosts) > 0 {
			usage = append(usage, x509.ExtKeyUsageServerAuth)
		}
		if c.client {
			usage = append(usage, x509.ExtKeyUsageClientAuth)
		}
		if err := authorities[c.authority].issue(dir, c.name, subject, c.hosts, usage...); err != nil {
			return err
		}
	}
	return writeServiceAccountKeys(dir)
}

func writeServiceAccountKeys(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, ServiceAccount+".pub"), "PUBLIC KEY", public, 0o644); err != nil {
		return err
	}
	return writeKey(filepath.Join(dir, ServiceAccount+".key"), key)
}

// certificates returns all certificates of an instance. Kubernetes binds its built-in roles to these users and groups
// (kubernetes.io/docs/setup/best-practices/certificates).
func certificates(i *instance.Instance) []certificate {
	_, link := i.HostLink()
	apiHosts := []string{
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"localhost", "127.0.0.1", instance.APIService, i.NodeAddress(1).String(), link.Addr().String(), i.NodeName(1),
	}
	local := []string{"localhost", "127.0.0.1"}
	all := []certificate{
		{name: "etcd", authority: EtcdCA, commonName: "etcd", hosts: local, client: true},
		{name: "apiserver-etcd", authority: EtcdCA, commonName: "kube-apiserver-etcd-client", client: true},
		{name: "apiserver", authority: CA, commonName: "kube-apiserver", hosts: apiHosts},
		{name: "apiserver-kubelet", authority: CA, commonName: "kube-apiserver-kubelet-client", client: true},
		{name: "front-proxy", authority: FrontProxyCA, commonName: "front-proxy-client", client: true},
		{name: "controller-manager", authority: CA, commonName: "system:kube-controller-manager", client: true},
		{name: "scheduler", authority: CA, commonName: "system:kube-scheduler", client: true},
		{name: "proxy", authority: CA, commonName: "system:kube-proxy", client: true},
		{name: "admin", authority: CA, commonName: "admin", organization: "system:masters", client: true},
	}
	for node := 1; node <= instance.Nodes; node++ {
		name, address := i.NodeName(node), i.NodeAddress(node).String()
		all = append(all,
			certificate{name: fmt.Sprintf("kubelet%d", node), authority: CA, commonName: "system:node:" + name, organization: "system:nodes", client: true},
			certificate{name: fmt.Sprintf("kubelet%d-server", node), authority: CA, commonName: name, hosts: []string{name, address, "127.0.0.1"}})
	}
	return all
}
