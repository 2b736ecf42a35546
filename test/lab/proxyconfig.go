package main

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"

	corev1 "k8s.io/api/core/v1"
)

//go:embed proxyconf
var proxyTemplates embed.FS

// proxyFiles are where the proxies look for their configuration, in /etc/NAME.
var proxyFiles = map[string]string{"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}

// proxyConfig is a proxy's configuration for the workloads, as a ConfigMap of its name: a proxy serves only when it has found all that its
// configuration names. Pure.
func proxyConfig(proxy string, workloads []*workload) (*corev1.ConfigMap, error) {
	file := proxyFiles[proxy]
	t, err := template.New(file).Option("missingkey=error").ParseFS(proxyTemplates, "proxyconf/"+file)
	if err != nil {
		return nil, fmt.Errorf("the configuration of %s: %w", proxy, err)
	}
	type entry struct {
		Name string
		Port int32
	}
	values := struct {
		Workloads                 []entry
		StatusPort                int
		Namespace, HeadlessSuffix string
	}{StatusPort: proxyStatusPort, Namespace: namespace, HeadlessSuffix: headlessSuffix}
	for _, w := range workloads {
		values.Workloads = append(values.Workloads, entry{Name: w.name, Port: w.port})
	}
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("the configuration of %s: %w", proxy, err)
	}
	return &corev1.ConfigMap{ObjectMeta: proxyMeta(proxy), Data: map[string]string{file: text.String()}}, nil
}
