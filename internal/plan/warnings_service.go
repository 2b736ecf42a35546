package plan

import (
	corev1 "k8s.io/api/core/v1"
)

// warnAffinityConfig: the API server removes such a configuration (SetDefaults_Service).
func warnAffinityConfig(in *input) []string {
	if !hasIdleAffinityConfig(in.service()) {
		return nil
	}
	return warning("spec.service.spec.sessionAffinityConfig has no effect without sessionAffinity ClientIP; set it, or leave the configuration out")
}

// hasIdleAffinityConfig reports whether there is a configuration of a session affinity that is off.
func hasIdleAffinityConfig(s corev1.ServiceSpec) bool {
	return s.SessionAffinityConfig != nil && (s.SessionAffinity == "" || s.SessionAffinity == corev1.ServiceAffinityNone)
}

// staysHeadless: the API server keeps the clusterIP of an update that leaves it out.
func (in *input) staysHeadless() bool {
	s := in.running.Service
	return s != nil && !in.adopts(s) && s.Spec.ClusterIP == corev1.ClusterIPNone && in.service().ClusterIP == ""
}

func warnKeptHeadless(in *input) []string {
	if !in.staysHeadless() {
		return nil
	}
	s := in.running.Service
	return warning("Service %s is headless and stays so, because its clusterIP cannot change; write clusterIP: None, or delete the Service (its "+
		"address then changes): %s && %s", s.Name, AllowDeletion(s.Namespace, s.Name), DeleteService(s.Namespace, s.Name))
}
