package webhook

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// tried are the warnings of a dry run of the app.
func tried(app *v1alpha1.GracefulApp) func() []string {
	return func() []string {
		Expect(api.Create(ctx, app.DeepCopy(), client.DryRunAll)).To(Succeed())
		return warned.take()
	}
}

func describeAdmittedPod() {
	AfterEach(cleanUp)

	It("warns of a missing CPU request, unless a limit range sets one", func() {
		n := namespace(nil)
		app := hello(in(n), func(app *v1alpha1.GracefulApp) {
			app.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
		})
		Expect(tried(app)()).To(ConsistOf(HavePrefix(`container "hello" serves requests and has no CPU request`)))
		Expect(api.Create(ctx, &corev1.LimitRange{
			ObjectMeta: metav1.ObjectMeta{Name: "requests", Namespace: n},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
				Type: corev1.LimitTypeContainer, DefaultRequest: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")},
			}}},
		})).To(Succeed())
		Eventually(tried(app)).Should(BeEmpty())
	})
}
