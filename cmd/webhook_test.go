package main

import (
	"context"
	"errors"
	"testing"

	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"
)

var errStarted = errors.New("started")

type startedServer struct{ ctrlwebhook.Server }

func (startedServer) Start(context.Context) error { return errStarted }

// Code at the scaffold marker gets the webhook server before the manager starts, so the server itself must wait for the certificates.
func TestServerStartsWithCertificates(t *testing.T) {
	certificates := make(chan struct{})
	server := certifiedServer{Server: startedServer{}, certificates: certificates}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if err := server.Start(stopped); err != nil {
		t.Errorf("without certificates: %v", err)
	}
	close(certificates)
	if err := server.Start(t.Context()); !errors.Is(err, errStarted) {
		t.Errorf("with certificates: %v", err)
	}
}
