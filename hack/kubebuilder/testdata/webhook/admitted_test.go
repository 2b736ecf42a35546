package v1alpha1

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	appsv1alpha1 "github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// The API server rejects the object if a webhook does not answer.
var _ = It("answers admission reviews of the second kind", func() {
	backup := &appsv1alpha1.Backup{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "admitted"}}
	Expect(k8sClient.Create(ctx, backup)).To(Succeed())
})
