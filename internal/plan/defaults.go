package plan

import corev1 "k8s.io/api/core/v1"

// defaultTokenSeconds is the API server's default for a projected service account token.
const defaultTokenSeconds = 3600

// defaultAtomicFields sets the defaults that the API server adds inside atomic structs and lists. Server-side apply owns such a struct or
// list as a whole, so without them the stored object would always differ from the applied one.
func defaultAtomicFields(pod *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			for j := range containers[i].Env {
				if from := containers[i].Env[j].ValueFrom; from != nil {
					defaultFieldRef(from.FieldRef)
				}
			}
		}
	}
	for i := range pod.Volumes {
		if v := pod.Volumes[i].DownwardAPI; v != nil {
			defaultDownwardItems(v.Items)
		}
		if v := pod.Volumes[i].Projected; v != nil {
			defaultProjections(v.Sources)
		}
	}
}

// setServiceAccountName moves the deprecated alias serviceAccount to serviceAccountName. The API server writes the alias itself, so another value of it would
// always differ from the stored one.
func setServiceAccountName(pod *corev1.PodSpec) {
	if pod.ServiceAccountName == "" {
		pod.ServiceAccountName = pod.DeprecatedServiceAccount
	}
	pod.DeprecatedServiceAccount = ""
}

func defaultProjections(sources []corev1.VolumeProjection) {
	for i := range sources {
		if d := sources[i].DownwardAPI; d != nil {
			defaultDownwardItems(d.Items)
		}
		if token := sources[i].ServiceAccountToken; token != nil && token.ExpirationSeconds == nil {
			seconds := int64(defaultTokenSeconds)
			token.ExpirationSeconds = &seconds
		}
	}
}

func defaultDownwardItems(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		defaultFieldRef(items[i].FieldRef)
	}
}

func defaultFieldRef(ref *corev1.ObjectFieldSelector) {
	if ref != nil && ref.APIVersion == "" {
		ref.APIVersion = "v1"
	}
}
