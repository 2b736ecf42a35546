package plan

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// mesh is a service mesh: its proxy, how a pod asks for it, and how a pod declines it.
type mesh struct {
	// proxy is the name of the container that the mesh injects.
	proxy string
	// key is the annotation or label by which a pod asks for the proxy, with one of the values.
	key    string
	values []string
	// revisionLabel is a label by which a pod asks for the proxy too, with any value.
	revisionLabel string
	// declines is the value of the key by which a pod declines the proxy, also if it asks for it in another way; "" if there is none.
	declines string
	// exclusion is the label or annotation that excludes a pod from the mesh.
	exclusion string
}

// meshes are the service meshes that the rules and warnings of the drain sidecar know.
var meshes = []mesh{
	{
		proxy: "istio-proxy", key: "sidecar.istio.io/inject", values: []string{"true"}, revisionLabel: "istio.io/rev", declines: "false",
		exclusion: `label sidecar.istio.io/inject: "false"`,
	},
	{proxy: "linkerd-proxy", key: "linkerd.io/inject", values: []string{"enabled", "ingress"}, exclusion: "annotation linkerd.io/inject: disabled"},
	{proxy: "kuma-sidecar", key: "kuma.io/sidecar-injection", values: []string{"enabled", "true"}, exclusion: "label kuma.io/sidecar-injection: disabled"},
	{
		proxy: "consul-dataplane", key: "consul.hashicorp.com/connect-inject", values: []string{"true"},
		exclusion: `annotation consul.hashicorp.com/connect-inject: "false"`,
	},
}

// requests returns the paths of the annotations and labels by which the pods ask for the mesh's proxy.
func (m mesh) requests(pods metav1.ObjectMeta) []*field.Path {
	var paths []*field.Path
	path := templatePath.Child("metadata")
	if m.isRequestedBy(pods.Annotations) && !m.isDeclinedBy(pods.Labels) {
		paths = append(paths, path.Child("annotations").Key(m.key))
	}
	if m.isRequestedBy(pods.Labels) {
		paths = append(paths, path.Child("labels").Key(m.key))
	}
	if m.revisionLabel != "" && pods.Labels[m.revisionLabel] != "" && !m.isDeclinedBy(pods.Labels) && !m.isDeclinedBy(pods.Annotations) {
		paths = append(paths, path.Child("labels").Key(m.revisionLabel))
	}
	return paths
}

func (m mesh) isRequestedBy(values map[string]string) bool {
	return slices.Contains(m.values, strings.ToLower(values[m.key]))
}

func (m mesh) isDeclinedBy(values map[string]string) bool {
	return m.declines != "" && strings.EqualFold(values[m.key], m.declines)
}

// remedy returns the end of a message about the mesh's proxy.
func (m mesh) remedy() string {
	return fmt.Sprintf("exclude the pods from the mesh with the %s, or use drain mode Hook", m.exclusion)
}

// meshOf returns the mesh whose proxy has the container's name.
func meshOf(container string) (mesh, bool) {
	i := slices.IndexFunc(meshes, func(m mesh) bool { return m.proxy == container })
	if i < 0 {
		return mesh{}, false
	}
	return meshes[i], true
}

func checkNoMesh(in *input) field.ErrorList {
	const why = "the proxy of a service mesh gets SIGTERM before the drain sidecar has finished the requests; "
	var errs field.ErrorList
	for _, m := range meshes {
		for _, path := range m.requests(in.spec().Template.ObjectMeta) {
			errs = append(errs, field.Forbidden(path, why+m.remedy()))
		}
	}
	for _, c := range writtenContainers(in.spec().Template.Spec) {
		if _, ok := meshOf(c.container.Name); ok {
			errs = append(errs, invalid(c.path.Child("name"), c.container.Name, why+"leave the container out, or use drain mode Hook")...)
		}
	}
	return errs
}

// writtenContainer is a container or init container of the user's template.
type writtenContainer struct {
	path      *field.Path
	container corev1.Container
}

func writtenContainers(pod corev1.PodSpec) []writtenContainer {
	var all []writtenContainer
	for i, c := range pod.Containers {
		all = append(all, writtenContainer{path: containerPath.Index(i), container: c})
	}
	for i, c := range pod.InitContainers {
		all = append(all, writtenContainer{path: initContainerPath.Index(i), container: c})
	}
	return all
}
