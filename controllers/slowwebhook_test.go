package controllers

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
	"github.com/gracefulapp/gracefulapp/internal/testapp"
)

// silentWebhook is a webhook for Services that does not answer until release is called.
type silentWebhook struct {
	waiting atomic.Int32
	release chan struct{}
}

func (s *silentWebhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if json.NewDecoder(r.Body).Decode(&review) != nil || review.Request == nil {
		http.Error(w, "not an AdmissionReview", http.StatusBadRequest)
		return
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	select {
	case <-s.release:
	case <-r.Context().Done():
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // the API server may have hung up
}

// silence registers a silentWebhook for the Services of a namespace until the test ends.
func silence(namespace string) *silentWebhook {
	GinkgoHelper()
	webhook := &silentWebhook{release: make(chan struct{})}
	server := httptest.NewTLSServer(webhook)
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "silent.example.com",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				URL:      &server.URL,
				CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"services"}},
			}},
			NamespaceSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}},
			FailurePolicy:           new(admissionregistrationv1.Fail),
			SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:          new(int32(30)),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
	Expect(api.Create(ctx, configuration)).To(Succeed())
	DeferCleanup(func() {
		Expect(api.Delete(ctx, configuration)).To(Succeed())
		close(webhook.release)
		server.Close()
	})
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "probe", Namespace: namespace},
		Spec:       corev1.ServiceSpec{ExternalName: "probe.example.com", Type: corev1.ServiceTypeExternalName},
	}
	Eventually(func() error {
		soon, cancel := context.WithTimeout(ctx, slowAfter/2)
		defer cancel()
		return api.Create(soon, service, client.DryRunAll)
	}).WithTimeout(20*time.Second).Should(MatchError(context.DeadlineExceeded), "the API server does not call the webhook")
	return webhook
}

var _ = Describe("A webhook that does not answer", func() {
	It("does not block the scaling of an app that waits for it", func() {
		startManager()
		w := newTestEnv()
		w.create()
		Eventually(func() error { return api.Get(ctx, w.key, &appsv1.Deployment{}) }).Should(Succeed())
		Eventually(func() *v1alpha1.DerivationStatus { return w.app().Status.Derivation }).ShouldNot(BeNil())

		webhook := silence(w.namespace)
		Eventually(webhook.waiting.Load).Should(BeZero(), "the probe still waits")
		Expect(api.Delete(ctx, fetch(w, &corev1.Service{}))).To(Succeed())
		Eventually(webhook.waiting.Load).Should(BeNumerically(">", 0))
		w.setReplicas(5)
		// The API server waits for the webhook for 30 s.
		Eventually(func() int32 { return *w.deployment().Spec.Replicas }).WithTimeout(20 * time.Second).Should(BeEquivalentTo(5))
		err := api.Get(ctx, w.key, &corev1.Service{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the webhook has answered, or: %v", err)
	})

	It("does not block the scaling of an app in another namespace", func() {
		startManager()
		served, blocked := newTestEnv(), newTestEnv()
		served.create()
		Eventually(func() error { return api.Get(ctx, served.key, &appsv1.Deployment{}) }).Should(Succeed())

		webhook := silence(blocked.namespace)
		for i := range 3 * maxConcurrentReconciles {
			blocked.create(testapp.Everything, func(app *v1alpha1.GracefulApp) {
				app.Name = fmt.Sprintf("app-%d", i)
				app.Spec.Service.Spec.Type = ""
			})
		}
		Eventually(webhook.waiting.Load).WithTimeout(20 * time.Second).Should(BeNumerically(">=", maxSlowPerTarget))
		served.change(testapp.Replicas(5))
		Eventually(func() int32 { return *served.deployment().Spec.Replicas }).WithTimeout(20 * time.Second).Should(BeEquivalentTo(5))

		services := &corev1.ServiceList{}
		Expect(api.List(ctx, services, client.InNamespace(blocked.namespace))).To(Succeed())
		Expect(services.Items).To(BeEmpty(), "the webhook has answered")
	})
})

var _ = Describe("A reconcile that is interrupted", func() {
	It("is tried again, also if the same change started and interrupted it", func() {
		w := settled()
		Expect(api.Delete(ctx, fetch(w, &corev1.Service{}))).To(Succeed())
		w.Client = guardedClient{Client: w.Client, guard: func(ctx context.Context, _ write) error {
			w.GracefulAppReconciler.running.interrupt(w.key, w.clock.Now())
			<-ctx.Done()
			return ctx.Err()
		}}
		result, err := w.try()
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically(">", 0), "no other reconcile is in the queue")
	})
})
