package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/gracefulapp/gracefulapp/internal/webhook"
)

// everyReplica is a manager.Runnable that also runs on replicas that are not the leader. An error stops the manager.
type everyReplica func(context.Context) error

func (f everyReplica) Start(ctx context.Context) error { return f(ctx) }
func (everyReplica) NeedLeaderElection() bool          { return false }

// serveWebhook serves the webhook as soon as the certificates are mounted. The returned readiness check fails until then.
func serveWebhook(mgr ctrl.Manager, o options) (healthz.Checker, error) {
	certificates, err := awaitCertificates(mgr, o)
	if err != nil {
		return nil, err
	}
	var webhookReady atomic.Pointer[healthz.Checker]
	// GetWebhookServer starts the webhook server, which stops the manager if there is no certificate. So registering waits for it.
	register := everyReplica(func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-certificates:
		}
		check, err := webhook.SetupWithManager(ctx, mgr, webhook.Options{Configuration: o.webhookConfiguration, NodePorts: o.nodePorts})
		if err != nil {
			return fmt.Errorf("registering the webhook: %w", err)
		}
		webhookReady.Store(&check)
		return nil
	})
	if err := mgr.Add(register); err != nil {
		return nil, err
	}
	return func(req *http.Request) error {
		if check := webhookReady.Load(); check != nil {
			return (*check)(req)
		}
		return errors.New("the webhook has no certificate yet")
	}, nil
}

// awaitCertificates returns a channel that is closed when the certificates are mounted. With certificate rotation, the operator creates and renews them
// itself. Otherwise the kubelet starts the pod only when another program has created their Secret.
func awaitCertificates(mgr ctrl.Manager, o options) (<-chan struct{}, error) {
	mounted := make(chan struct{})
	if !o.webhookCertRotation {
		close(mounted)
		return mounted, nil
	}
	return mounted, rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:      types.NamespacedName{Namespace: o.namespace, Name: o.webhookSecret},
		CertDir:        o.webhookCertDir,
		CAName:         "gracefulapp-ca",
		CAOrganization: "gracefulapp",
		DNSName:        o.webhookService + "." + o.namespace + ".svc",
		IsReady:        mounted,
		Webhooks:       []rotator.WebhookInfo{{Name: o.webhookConfiguration, Type: rotator.Validating}},
		FieldOwner:     "gracefulapp-certificates",
		// Every replica serves, so every replica waits for the certificates.
		RequireLeaderElection: false,
	})
}
