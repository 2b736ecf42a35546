package children

import (
	"context"
	"slices"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// NewClient returns a client for the manager. The dry run of a pod collects the API server's warnings about it; the client logs other warnings.
func NewClient(config *rest.Config, options client.Options) (client.Client, error) {
	config = rest.CopyConfig(config)
	config.WarningHandlerWithContext = warningHandler{others: rest.WarningLogger{}}
	return client.New(config, options)
}

// warningHandler handles the warnings of the API server's responses.
type warningHandler struct {
	// others handles the warnings of requests whose context has no collectedWarnings.
	others rest.WarningHandlerWithContext
}

type collectedWarningsKey struct{}

// collectedWarnings are the warnings in the response to one request. The client handles them before it returns, in the goroutine of the request.
type collectedWarnings struct {
	texts []string
}

// collectWarnings returns a context for one request, and the warnings in its response.
func collectWarnings(ctx context.Context) (context.Context, *collectedWarnings) {
	collected := &collectedWarnings{}
	return context.WithValue(ctx, collectedWarningsKey{}, collected), collected
}

// miscellaneousWarning is the code of every warning for users.
const miscellaneousWarning = 299

// HandleWarningHeaderWithContext collects a warning if the context asks for that.
func (h warningHandler) HandleWarningHeaderWithContext(ctx context.Context, code int, agent, text string) {
	collected, ok := ctx.Value(collectedWarningsKey{}).(*collectedWarnings)
	switch {
	case !ok:
		h.others.HandleWarningHeaderWithContext(ctx, code, agent, text)
	case code == miscellaneousWarning && text != "" && !slices.Contains(collected.texts, text):
		collected.texts = append(collected.texts, text)
	}
}
