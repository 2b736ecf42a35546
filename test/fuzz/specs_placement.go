package fuzz

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// placement draws fields that limit the nodes on which a pod fits, one kind at a time.
func placement(t draw, p *corev1.PodSpec) {
	switch rapid.IntRange(0, 9).Draw(t.T, "placement") {
	case 0:
		p.HostNetwork = true
	case 1:
		hostPorts(t, p)
	case 2:
		p.Affinity = &corev1.Affinity{PodAntiAffinity: antiAffinity(t)}
	case 3, 4:
		volumes(t, p)
	}
}

func hostPorts(t draw, p *corev1.PodSpec) {
	for i := range p.Containers {
		for j := range p.Containers[i].Ports {
			port := &p.Containers[i].Ports[j]
			port.HostPort = seldomInt(t, "host port", port.ContainerPort, 0, 8080, 65_536, -1)
		}
	}
}

func antiAffinity(t draw) *corev1.PodAntiAffinity {
	term := corev1.PodAffinityTerm{
		TopologyKey:   seldom(t, "topology key", corev1.LabelHostname, corev1.LabelTopologyZone, "", "bad key"),
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": seldom(t, "repelled", "hello", "other", "bad value")}},
	}
	terms := []corev1.PodAffinityTerm{term, term}[:1+rapid.IntRange(0, 3).Draw(t.T, "terms")/3]
	if rapid.IntRange(0, 3).Draw(t.T, "preferred") > 0 {
		return &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}
	}
	weight := seldomInt(t, "weight", 100, 0, 101)
	return &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: weight, PodAffinityTerm: term}}}
}

// volumes draws volumes and mounts them. One volume may have two mounts, which share its name.
func volumes(t draw, p *corev1.PodSpec) {
	for i := range 1 + rapid.IntRange(0, 2).Draw(t.T, "volumes")/2 {
		name := seldom(t, "volume", fmt.Sprintf("v%d", i), "v0", "Bad_Name")
		p.Volumes = append(p.Volumes, corev1.Volume{Name: name, VolumeSource: volumeSource(t)})
		c := &p.Containers[rapid.IntRange(0, len(p.Containers)-1).Draw(t.T, "mounted in")]
		for j := range rapid.IntRange(0, 2).Draw(t.T, "mounts") {
			c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{
				Name: seldom(t, "mounted", name, "nowhere"), MountPath: seldom(t, "path", fmt.Sprintf("/%s/%d", name, j), "/v0/0", "a:b", ""),
				SubPath: seldom(t, "sub path", "", "part", "../part"),
			})
		}
	}
}

func volumeSource(t draw) corev1.VolumeSource {
	switch rapid.IntRange(0, 4).Draw(t.T, "volume source") {
	case 0, 1:
		claim := seldom(t, "claim", "data", "Bad_Name", "")
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}
	case 2:
		medium := seldomOf(t, "medium", corev1.StorageMediumDefault, corev1.StorageMediumMemory, "Other")
		return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: medium}}
	case 3:
		return corev1.VolumeSource{Projected: projected(t)}
	default:
		return corev1.VolumeSource{} // an emptyDir, by default
	}
}

func projected(t draw) *corev1.ProjectedVolumeSource {
	expiration := int64(seldomInt(t, "expiration", 3600, 0, 599))
	sources := []corev1.VolumeProjection{
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
		{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: corev1.LocalObjectReference{Name: "more"}}},
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: seldom(t, "token", "token", "", "../token"), ExpirationSeconds: &expiration}},
		{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
			Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: seldom(t, "field path", "metadata.labels", "status.podIP", "metadata.nothing")},
		}}}},
	}
	return &corev1.ProjectedVolumeSource{Sources: sources[:rapid.IntRange(0, len(sources)).Draw(t.T, "sources")]}
}
