package plan

import (
	"fmt"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// AllowDeletion is the command after which a Service that a GracefulApp owns may be deleted.
func AllowDeletion(namespace, service string) string {
	return fmt.Sprintf("kubectl annotate service %s -n %s %s=true", service, namespace, v1alpha1.AnnotationAllowDeletion)
}

// DeleteService is the command that deletes it. The operator creates it again, with another address.
func DeleteService(namespace, service string) string {
	return fmt.Sprintf("kubectl delete service %s -n %s", service, namespace)
}
