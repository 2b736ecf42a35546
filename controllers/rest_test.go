package controllers

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// fleetSize is a number of apps that a platform team may have in one cluster.
const fleetSize = 200

// restFor is the time for which the test counts writes. A loop of writes would show, because a reconcile takes milliseconds.
const restFor = 15 * time.Second

var (
	writingVerbs    = []string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}
	// The API server itself writes Events, about cluster addresses that its repair has not allocated yet, so events are counted at the recorder.
	writtenByUs     = []string{"gracefulapps", "deployments", "services", "poddisruptionbudgets"}
	requestsCounter = "apiserver_request_total"
)

// writesCounted returns the API server's own counts of writes to apps and owned objects since its start, by verb and resource.
func writesCounted(g Gomega) map[string]int {
	kube, err := kubernetes.NewForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	data, err := kube.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	g.Expect(err).NotTo(HaveOccurred())
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(data))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(families).To(HaveKey(requestsCounter))
	n := map[string]int{}
	for _, m := range families[requestsCounter].Metric {
		if slices.Contains(writingVerbs, label(m, "verb")) && slices.Contains(writtenByUs, label(m, "resource")) {
			n[fmt.Sprintf("%s %s/%s %s", label(m, "verb"), label(m, "resource"), label(m, "subresource"), label(m, "code"))] += int(m.GetCounter().GetValue())
		}
	}
	return n
}

// reconcileCount returns the number of reconciles from the metrics of this process.
func reconcileCount() int {
	GinkgoHelper()
	families, err := ctrlmetrics.Registry.Gather()
	Expect(err).NotTo(HaveOccurred())
	n := 0
	for _, f := range families {
		if f.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range f.Metric {
			n += int(m.GetCounter().GetValue())
		}
	}
	return n
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

var _ = Describe("A fleet at rest", func() {
	It("causes no write, and a restart of the operator causes none either", func() {
		w := newTestEnv()
		recorder := events.NewFakeRecorder(10_000)
		recording := func(r *GracefulAppReconciler) { r.Recorder = recorder }
		counts := func(g Gomega) map[string]int {
			n := writesCounted(g)
			n["events"] = len(recorder.Events)
			return n
		}
		stop := startManager(recording)
		keys := make([]client.ObjectKey, fleetSize)
		for i := range keys {
			keys[i] = client.ObjectKey{Namespace: w.namespace, Name: fmt.Sprintf("app-%d", i)}
			w.create(everything, func(app *v1alpha1.GracefulApp) {
				app.Name = keys[i].Name
				app.Spec.Service.Spec.Type = "" // two apps could want the same node port
			})
		}
		for _, key := range keys {
			w.key = key
			Eventually(func() error { return api.Get(ctx, key, &appsv1.Deployment{}) }).WithTimeout(time.Minute).Should(Succeed())
			w.rollOut()
		}
		for _, key := range keys {
			w.key = key
			Eventually(func() bool { return meta.IsStatusConditionTrue(w.app().Status.Conditions, v1alpha1.ConditionReady) }).
				WithTimeout(time.Minute).Should(BeTrue())
		}
		before := counts(Default)
		Expect(before).To(HaveKeyWithValue("APPLY deployments/ 201", BeNumerically(">=", fleetSize)), "the counter must see the operator's writes")
		Consistently(counts).WithTimeout(restFor).WithPolling(time.Second).Should(Equal(before))

		By("after a restart")
		stop()
		reconciles := reconcileCount()
		startManager(recording)
		Eventually(reconcileCount).WithTimeout(3*time.Minute).Should(BeNumerically(">=", reconciles+fleetSize), "caches sync within two minutes, or the manager ends")
		Consistently(counts).WithTimeout(restFor).WithPolling(time.Second).Should(Equal(before))
	})
})
