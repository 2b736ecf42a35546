package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/validation"
)

// options are the values of the manager's flags. The default names are those of the objects in config/default.
type options struct {
	metricsAddress          string
	probeAddress            string
	pprofAddress            loopbackAddress
	leaderElect             bool
	gracefulShutdownTimeout time.Duration

	enableWebhook        bool
	webhookPort          int
	webhookCertDir       string
	webhookCertRotation  bool
	webhookService       string
	webhookSecret        string
	webhookConfiguration string
	namespace            string

	nodePorts utilnet.PortRange

	drainProxyImage string

	watchNamespaces namespaceList
}

func (o *options) bind(flags *flag.FlagSet) {
	// The default of the API server's flag with the same name.
	o.nodePorts = utilnet.PortRange{Base: 30_000, Size: 2768}
	flags.Var(&o.nodePorts, "service-node-port-range",
		"Range of node ports, as in the API server's flag of this name. The webhook rejects a GracefulApp with a nodePort outside of it.")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443",
		"Address of the metrics endpoint (HTTPS, with authentication and authorization). 0 disables it.")
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address of /healthz and /readyz.")
	flags.Var(&o.pprofAddress, "pprof-bind-address",
		"Address of the profiles (/debug/pprof) on loopback, for example 127.0.0.1:6060. Profiles have no authentication, so other addresses are rejected. "+
			"Empty disables them.")
	flags.StringVar(&o.drainProxyImage, "drain-proxy-image", os.Getenv("DRAIN_PROXY_IMAGE"),
		"Image of the drain sidecar, for apps with drain.mode Sidecar that have none yet. Empty: such apps are rejected. The environment variable "+
			"DRAIN_PROXY_IMAGE sets the default.")
	flags.Var(&o.watchNamespaces, "watch-namespaces",
		"Namespaces of the apps, separated by commas. In these the operator needs RoleBindings only. Empty: all namespaces. If two operators watch the same "+
			"namespace, both write its objects.")
	flags.BoolVar(&o.leaderElect, "leader-elect", false,
		"Elect a leader, which alone reconciles. Every replica answers admission reviews.")
	flags.DurationVar(&o.gracefulShutdownTimeout, "graceful-shutdown-timeout", 10*time.Second,
		"How long admission reviews and reconciles in flight may take after SIGTERM (t1 of the manager itself).")
	flags.BoolVar(&o.enableWebhook, "enable-webhook", os.Getenv("ENABLE_WEBHOOKS") != "false",
		"Serve the admission webhook. The environment variable ENABLE_WEBHOOKS=false sets the default to false, for a manager outside of the cluster.")
	flags.IntVar(&o.webhookPort, "webhook-port", 9443, "Port of the admission webhook.")
	flags.StringVar(&o.webhookCertDir, "webhook-cert-dir", "/tmp/k8s-webhook-server/serving-certs",
		"Directory at which the webhook's Secret is mounted.")
	flags.BoolVar(&o.webhookCertRotation, "webhook-cert-rotation", true,
		"Create and renew the webhook's certificates, and write the CA into the webhook configuration. Set it to false if another program, such as "+
			"cert-manager, does this.")
	flags.StringVar(&o.webhookService, "webhook-service", "gracefulapp-webhook-service",
		"Name of the Service through which the API server reaches the webhook.")
	flags.StringVar(&o.webhookSecret, "webhook-secret", "gracefulapp-webhook-server-cert",
		"Name of the Secret with the webhook's certificates. It must exist. The operator creates and renews the certificates in it.")
	flags.StringVar(&o.webhookConfiguration, "webhook-configuration", "gracefulapp-validating-webhook-configuration",
		"Name of the ValidatingWebhookConfiguration into which the operator writes the CA certificate.")
	flags.StringVar(&o.namespace, "namespace", namespaceOr("gracefulapp-system"),
		"Namespace of the Secret, the Service and the Lease. The environment variable POD_NAMESPACE sets the default.")
}

func namespaceOr(fallback string) string {
	if namespace := os.Getenv("POD_NAMESPACE"); namespace != "" {
		return namespace
	}
	return fallback
}

// namespaceList is the value of a flag: names of namespaces, separated by commas.
type namespaceList []string

func (l *namespaceList) String() string { return strings.Join(*l, ",") }

// Set rejects a name that no namespace can have.
func (l *namespaceList) Set(value string) error {
	*l = nil
	if value == "" {
		return nil
	}
	for name := range strings.SplitSeq(value, ",") {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("want names of namespaces, separated by commas, but %q cannot be a name: %s", name, problems[0])
		}
		*l = append(*l, name)
	}
	return nil
}

// loopbackAddress is the value of a flag: an address on loopback, or "".
type loopbackAddress string

func (a *loopbackAddress) String() string { return string(*a) }

// Set rejects an address that other machines can reach.
func (a *loopbackAddress) Set(value string) error {
	if value == "" || value == "0" {
		*a = ""
		return nil
	}
	address, err := netip.ParseAddrPort(value)
	if err != nil || !address.Addr().IsLoopback() {
		return errors.New("want a loopback address and a port, for example 127.0.0.1:6060; reach it with kubectl port-forward")
	}
	*a = loopbackAddress(value)
	return nil
}
