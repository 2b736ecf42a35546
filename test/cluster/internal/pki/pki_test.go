package pki

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/gracefulapp/gracefulapp/test/cluster/internal/instance"
)

func TestEveryCertificateIsValidForItsUse(t *testing.T) {
	dir := t.TempDir()
	i := &instance.Instance{Name: "dev", Index: 2}
	all := certificates(i)
	if err := writeAll(dir, all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		roots := x509.NewCertPool()
		roots.AddCert(read(t, dir, c.authority))
		leaf := read(t, dir, c.name)
		if c.client {
			verify(t, leaf, x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		}
		for _, host := range c.hosts {
			verify(t, leaf, x509.VerifyOptions{Roots: roots, DNSName: host})
		}
		if leaf.Subject.CommonName != c.commonName {
			t.Errorf("%s: common name %q", c.name, leaf.Subject.CommonName)
		}
	}
}

func TestAPIServerCertificateHasTheHostLinkAddress(t *testing.T) {
	dir := t.TempDir()
	i := &instance.Instance{Name: "dev", Index: 2}
	if err := writeAll(dir, certificates(i)); err != nil {
		t.Fatal(err)
	}
	if err := read(t, dir, "apiserver").VerifyHostname("198.18.2.130"); err != nil {
		t.Error(err)
	}
}

func TestEtcdRejectsClientCertificatesOfTheCluster(t *testing.T) {
	dir := t.TempDir()
	if err := writeAll(dir, certificates(&instance.Instance{Name: "dev"})); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(read(t, dir, EtcdCA))
	_, err := read(t, dir, "admin").Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err == nil {
		t.Error("etcd's authority accepts the administrator's certificate")
	}
}

func verify(t *testing.T, leaf *x509.Certificate, options x509.VerifyOptions) {
	t.Helper()
	if _, err := leaf.Verify(options); err != nil {
		t.Errorf("%s: %v", leaf.Subject.CommonName, err)
	}
}

func read(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name+".crt"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
