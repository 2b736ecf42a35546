package plan

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
)

var drainResourcesPath = drainPath.Child("sidecar", "resources")

// The API server's texts about the resources of a pod, in the words of k8s.io/kubernetes.
var (
	// quotaConstraint is in "must specify limits.cpu for: graceful-drain,hello; limits.memory for: hello" (podEvaluator.Constraints).
	quotaConstraint = regexp.MustCompile(`([a-z.]+) for: ([a-z0-9,-]+)`)
	// limitRangeConstraint names no container (minConstraint, maxConstraint, limitRequestRatioConstraint of the plugin LimitRanger).
	limitRangeConstraint = regexp.MustCompile(`(?:(?:minimum|maximum) \S+ usage|\S+ max limit to request ratio) per (?:Container|Pod) is `)
	// limitConstraint is about a request above its limit (validateResourceRequirements).
	limitConstraint   = regexp.MustCompile(`must be (?:less than or )?equal to (\S+) limit of `)
	containerResource = regexp.MustCompile(`^spec\.(containers|initContainers)\[(\d+)\]\.resources\b`)
)

// PodRejection explains a message with which the API server rejects a pod of the app. The source is the field of the GracefulApp to change. The advice
// is the end of a message: what the drain sidecar has to do with the rejection. It is empty for other rejections.
func (p Plan) PodRejection(message string) (source, advice string) {
	sidecar := p.drainSidecar()
	if sidecar == nil {
		return podPath.String(), ""
	}
	if missing, others := missingInSidecar(message); len(missing) > 0 {
		source = drainResourcesPath.String()
		if others {
			source = podPath.String()
		}
		return source, fmt.Sprintf("; %s is the drain sidecar: set its %s in %s", drainContainer, strings.Join(missing, ", "), drainResourcesPath)
	}
	if limitRangeConstraint.MatchString(message) {
		advice = fmt.Sprintf("; the pod includes the drain sidecar, container %s (%s), and %s changes its resources", drainContainer, resourcesText(*sidecar),
			drainResourcesPath)
	}
	return podPath.String(), advice
}

// missingInSidecar returns the resources that a quota requires and the drain sidecar lacks, and whether other containers lack some too.
func missingInSidecar(message string) (missing []string, others bool) {
	_, list, found := strings.Cut(message, "must specify ")
	if !found {
		return nil, false
	}
	for _, m := range quotaConstraint.FindAllStringSubmatch(list, -1) {
		containers := strings.Split(m[2], ",")
		if slices.Contains(containers, drainContainer) {
			missing = append(missing, m[1])
		}
		others = others || slices.ContainsFunc(containers, func(name string) bool { return name != drainContainer })
	}
	return missing, others
}

// DefaultedLimit returns the end of a message about a request above its limit, if the spec does not set that limit. The path is that of the pod's field.
// A LimitRange sets limits in pods only, so no dry run of a Deployment shows them.
func (p Plan) DefaultedLimit(path, message string) string {
	constraint, at := limitConstraint.FindStringSubmatch(message), containerResource.FindStringSubmatch(path)
	if constraint == nil || at == nil {
		return ""
	}
	index, err := strconv.Atoi(at[2])
	containers := p.podContainers(at[1])
	if err != nil || index >= len(containers) {
		return ""
	}
	if r := containers[index].Resources; r != nil && r.Limits != nil {
		if _, ok := (*r.Limits)[corev1.ResourceName(constraint[1])]; ok {
			return ""
		}
	}
	return fmt.Sprintf("; the spec sets no %s limit here, so it comes from a LimitRange of the namespace, or from a policy: set a limit, or decrease the request", constraint[1])
}

// podContainers returns the planned containers or initContainers.
func (p Plan) podContainers(list string) []corev1ac.ContainerApplyConfiguration {
	if p.Deployment == nil {
		return nil
	}
	pod := p.Deployment.Spec.Template.Spec
	if list == "initContainers" {
		return pod.InitContainers
	}
	return pod.Containers
}

// drainSidecar returns the planned drain sidecar, or nil.
func (p Plan) drainSidecar() *corev1ac.ContainerApplyConfiguration {
	if p.Drain == nil {
		return nil
	}
	all := p.podContainers("initContainers")
	i := slices.IndexFunc(all, func(c corev1ac.ContainerApplyConfiguration) bool { return *c.Name == drainContainer })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// resourcesText returns for example "requests: cpu=50m, memory=64Mi; limits: none".
func resourcesText(c corev1ac.ContainerApplyConfiguration) string {
	r := corev1ac.ResourceRequirements()
	if c.Resources != nil {
		r = c.Resources
	}
	return fmt.Sprintf("requests: %s; limits: %s", quantities(r.Requests), quantities(r.Limits))
}

func quantities(list *corev1.ResourceList) string {
	if list == nil || len(*list) == 0 {
		return "none"
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(*list)) {
		quantity := (*list)[name]
		all = append(all, string(name)+"="+quantity.String())
	}
	return strings.Join(all, ", ")
}
