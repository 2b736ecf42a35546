package lab

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

//go:embed proxyconf
var proxyTemplates embed.FS

// proxyFiles are the names of the proxies' configuration files in /etc/NAME.
var proxyFiles = map[string]string{"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}

// proxyConfig returns a ConfigMap with the proxy's configuration for the workloads. A proxy becomes ready only when it has found all of them. Pure.
func proxyConfig(proxy string, workloads []*workload) (*corev1.ConfigMap, error) {
	file := proxyFiles[proxy]
	t, err := template.New(file).Option("missingkey=error").ParseFS(proxyTemplates, "proxyconf/"+file)
	if err != nil {
		return nil, fmt.Errorf("the configuration of %s: %w", proxy, err)
	}
	type entry struct {
		Name          string
		Port, PodPort int32
	}
	values := struct {
		Workloads                 []entry
		StatusPort                int
		Namespace, HeadlessSuffix string
	}{StatusPort: proxyStatusPort, Namespace: namespace, HeadlessSuffix: headlessSuffix}
	for _, w := range workloads {
		values.Workloads = append(values.Workloads, entry{Name: w.name, Port: w.port, PodPort: w.podPort()})
	}
	var text bytes.Buffer
	if err := t.Execute(&text, values); err != nil {
		return nil, fmt.Errorf("the configuration of %s: %w", proxy, err)
	}
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: proxy}, Data: map[string]string{file: text.String()}}, nil
}
