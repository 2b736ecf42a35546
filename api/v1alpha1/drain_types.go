package v1alpha1

import corev1 "k8s.io/api/core/v1"

// DrainMode says which program keeps SIGTERM from the app until its requests have ended.
// +kubebuilder:validation:Enum=Hook;Sidecar
type DrainMode string

const (
	// DrainModeHook delays SIGTERM by t2, and the app itself finishes its requests after SIGTERM.
	DrainModeHook DrainMode = "Hook"
	// DrainModeSidecar adds a reverse proxy to the pod, and SIGTERM reaches the app when no request is in flight.
	DrainModeSidecar DrainMode = "Sidecar"
)

// DrainSpec says how the requests of a terminating pod are drained.
// +union
type DrainSpec struct {
	// Hook: the preStop hook delays SIGTERM by t2, and the app finishes its requests after SIGTERM. Sidecar: a reverse proxy in
	// the pod finishes them, and the app gets SIGTERM when none is in flight, so the app needs no change. Required. A change
	// restarts the pods.
	// +unionDiscriminator
	// +required
	Mode DrainMode `json:"mode,omitempty"`

	// Settings of the drain sidecar. Only with mode Sidecar.
	// +optional
	Sidecar *DrainSidecar `json:"sidecar,omitempty"`
}

// DrainSidecar has the settings of the drain sidecar.
type DrainSidecar struct {
	// CPU and memory of the sidecar. Default: requests of 50m CPU and 64Mi memory, and no limits.
	// +optional
	Resources *DrainResources `json:"resources,omitempty"`
}

// DrainResources are the compute resources of the drain sidecar.
type DrainResources struct {
	// What the scheduler reserves for the sidecar. Default: 50m CPU and 64Mi memory, each unless it has a limit.
	// +optional
	Requests corev1.ResourceList `json:"requests,omitempty"`

	// What the sidecar may use at most. A CPU limit slows down every request of the pod. Default: no limits.
	// +optional
	Limits corev1.ResourceList `json:"limits,omitempty"`
}

// DrainStatus is the state of the drain sidecar.
type DrainStatus struct {
	// How the requests of a terminating pod are drained: Sidecar.
	// +optional
	Mode DrainMode `json:"mode,omitempty"`

	// Image of the drain sidecar in the pod template.
	// +optional
	Image string `json:"image,omitempty"`

	// Image of the operator, if it differs from that of the pod template. The operator rolls it out only when the annotation
	// apps.gracefulapp.dev/drain-image names it.
	// +optional
	AvailableImage string `json:"availableImage,omitempty"`

	// How many pods have no drain sidecar yet. A rollout replaces them.
	// +optional
	PodsWithoutSidecar int32 `json:"podsWithoutSidecar,omitempty"`

	// What the owner can do.
	// +optional
	Message string `json:"message,omitempty"`
}
