package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// controlPlane is an etcd and an API server without controllers, nodes and webhooks.
type controlPlane struct {
	client.WithWatch
	clientset  *kubernetes.Clientset
	kubeconfig []byte
	stop       func() error
	skipped    *skippedDryRuns
}

// skippedDryRuns counts the webhook's warnings about dry runs.
type skippedDryRuns struct{ atomic.Int64 }

// HandleWarningHeaderWithContext counts a warning.
func (s *skippedDryRuns) HandleWarningHeaderWithContext(_ context.Context, _ int, _, text string) {
	if strings.Contains(text, "dry run") {
		s.Add(1)
	}
}

// startControlPlane starts a control plane with empty storage.
func startControlPlane(crds string) (*controlPlane, error) {
	environment := &envtest.Environment{
		CRDDirectoryPaths: []string{crds}, ErrorIfCRDPathMissing: true, ControlPlaneStartTimeout: 2 * time.Minute,
	}
	environment.ControlPlane.GetAPIServer().Configure().Set("service-cluster-ip-range", "10.0.0.0/12")
	config, err := environment.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the control plane: %w", err), environment.Stop())
	}
	config.QPS = -1 // no limit in the client
	c := &controlPlane{stop: environment.Stop, kubeconfig: environment.KubeConfig, skipped: &skippedDryRuns{}}
	config.WarningHandlerWithContext = c.skipped
	if c.WithWatch, err = client.NewWithWatch(config, client.Options{Scheme: newScheme()}); err == nil {
		c.clientset, err = kubernetes.NewForConfig(config)
	}
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}

// createNamespaces creates n namespaces and returns their names.
func (c *controlPlane) createNamespaces(ctx context.Context, prefix string, n int) ([]string, error) {
	var names []string
	for i := range n {
		name := fmt.Sprintf("%s-%d", prefix, i)
		if err := c.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

// requests are numbers of requests that the API server has answered since its start, without watches and without those for Leases.
type requests struct {
	Reads, Writes float64
	// Failed is the number of writes that were answered with an error.
	Failed float64
}

func (r requests) minus(other requests) requests {
	return requests{Reads: r.Reads - other.Reads, Writes: r.Writes - other.Writes, Failed: r.Failed - other.Failed}
}

// countedResources are the resources of which requests are counted. The API server itself reads and writes others, and also Events: about cluster
// addresses that its repair loop has not allocated yet.
var countedResources = map[string]bool{
	"gracefulapps": true, "deployments": true, "services": true, "poddisruptionbudgets": true, "pods": true,
	"horizontalpodautoscalers": true, "resourcequotas": true,
}

// requests reads the counts from the API server's metrics.
func (c *controlPlane) requests(ctx context.Context) (requests, error) {
	body, err := c.clientset.RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return requests{}, fmt.Errorf("reading the API server's metrics: %w", err)
	}
	defer func() { _ = body.Close() }()
	families, err := parseMetrics(body)
	return countRequests(families["apiserver_request_total"]), err
}

func parseMetrics(body io.Reader) (map[string]*dto.MetricFamily, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(body)
	if err != nil {
		return nil, fmt.Errorf("parsing metrics: %w", err)
	}
	return families, nil
}

// countRequests adds up the counters. Pure.
func countRequests(family *dto.MetricFamily) requests {
	var sum requests
	for _, m := range family.GetMetric() {
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		n := m.GetCounter().GetValue()
		switch verb := labels["verb"]; {
		case !countedResources[labels["resource"]] || verb == "WATCH":
		case verb == "GET" || verb == "LIST":
			sum.Reads += n
		default:
			sum.Writes += n
			if labels["code"] >= "300" {
				sum.Failed += n
			}
		}
	}
	return sum
}

// operatorName is the reporting controller of the operator's events.
const operatorName = "gracefulapp-controller"

// operatorEvents returns the number of stored Events of the operator. A series is one event.
func (c *controlPlane) operatorEvents(ctx context.Context) (int, error) {
	list := &eventsv1.EventList{}
	err := c.List(ctx, list)
	n := 0
	for _, event := range list.Items {
		if event.ReportingController == operatorName {
			n++
		}
	}
	return n, err
}
