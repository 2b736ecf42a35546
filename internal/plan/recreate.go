package plan

import (
	"fmt"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// AllowDeletion returns the command after which a client may delete a Service that a GracefulApp owns.
func AllowDeletion(namespace, service string) string {
	return fmt.Sprintf("kubectl annotate service %s -n %s %s=true", service, namespace, v1alpha1.AnnotationAllowDeletion)
}

// DeleteService returns the command that deletes the Service. The operator creates it again, with another address.
func DeleteService(namespace, service string) string {
	return fmt.Sprintf("kubectl delete service %s -n %s", service, namespace)
}
